import { sinceOf, type ExplainInput, type SinceReport } from "./explain-input.js";
import { failureReport, type FailureReport } from "./explain-failure.js";
import { leaseSubject } from "./history.js";
import type { LeaseKey, LeaseSeen, LeaseWant, ServiceKey } from "./model.js";

/** One address that is asked of DHCP servers from this node. */
export interface LeaseReport {
  readonly key: LeaseKey;
  readonly services: readonly ServiceKey[];
  readonly link: string;
  readonly mac: string;
  /** As RFC 2131 4.4 names it, lower case; of DHCPv6 the exchange under way, by the same names. */
  readonly state: LeaseSeen["phase"];
  /** Null while there is none. */
  readonly address: string | null;
  readonly server: string | null;
  /** Since when there is this address, or none. */
  readonly since: SinceReport | null;
  /** Whole seconds until T1, T2 and the end; `never` for a lease without end, null without a lease. */
  readonly renewsIn: number | "never" | null;
  readonly rebindsIn: number | "never" | null;
  readonly endsIn: number | "never" | null;
  /** For how many seconds servers have been asked without success; null while all is well. */
  readonly askingFor: number | null;
  readonly lastFailure: FailureReport | null;
}

/** Every lease that this node asks for. */
export function leaseReports(input: ExplainInput): readonly LeaseReport[] {
  return [...input.plan.wants.dhcp.values()].map((want) => leaseReport(input, want, input.world.leases.get(want.key)));
}

function leaseReport({ history, at }: ExplainInput, want: LeaseWant, seen: LeaseSeen | undefined): LeaseReport {
  const lease = seen?.lease;
  const subject = leaseSubject(want.key);
  const until = (ms: number | undefined): number | "never" | null => (ms === undefined ? null : ms === Infinity ? "never" : Math.max(0, Math.floor((ms - at.now) / 1000)));
  return {
    key: want.key,
    services: want.owners,
    link: want.iface,
    mac: want.mac,
    state: seen?.phase ?? "init",
    address: lease?.address ?? null,
    server: lease?.server ?? null,
    since: sinceOf(history, subject, at),
    renewsIn: until(lease?.renewAt),
    rebindsIn: until(lease?.rebindAt),
    endsIn: until(lease?.expiresAt),
    askingFor: seen?.seekingSince === undefined ? null : Math.max(0, Math.floor((at.now - seen.seekingSince) / 1000)),
    lastFailure: failureReport(history.past(subject).failure, at),
  };
}
