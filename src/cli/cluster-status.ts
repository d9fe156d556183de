import { examineSettings } from "../config/load.js";
import { SETTINGS, type Settings } from "../config/settings.js";
import { recordedAddresses, VIP_HOST } from "../core/status.js";
import { createClusterReader, type ClusterReader } from "../kube/lease-list.js";
import type { Warning } from "../kube/event-list.js";
import { createClock } from "../linux/clock.js";
import type { Lease, Service } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import { apiConnection, type ApiOptions } from "./api-connection.js";
import { membersOf, type ClusterClaim, type ClusterMember } from "./cluster-members.js";
import { EXIT, type CommandIo, type OutputFormat } from "./io.js";
import { age, table, wrap } from "./table.js";

export interface ClusterOptions extends ApiOptions {
  readonly output: OutputFormat;
  /** Namespace of the Leases. Default kube-system. */
  readonly namespace?: string | undefined;
}

/** One Lease of the program, as the API has it. */
export interface ClusterLease {
  readonly name: string;
  /** Empty where nobody holds it; null where there is no such Lease. */
  readonly holder: string | null;
  /** Seconds since renewTime by the clock of the one who asks, which may differ from the holder's; null where there is none. */
  readonly renewedSecondsAgo: number | null;
  readonly leaseSeconds: number;
  readonly transitions: number;
}

export interface ClusterService {
  readonly service: string;
  readonly status: readonly string[];
  /** Node named by `kube-vip.io/vipHost`; null where none is. */
  readonly node: string | null;
  /** The addresses that vip wrote, by its own record; null where it wrote none (kube-vip keeps no record). */
  readonly announced: readonly string[] | null;
  readonly warning: { readonly reason: string; readonly message: string; readonly count: number; readonly secondsAgo: number; readonly component: string } | null;
}

/** What `vip status --cluster` tells: the API's view only. */
export interface ClusterReport {
  readonly leases: readonly ClusterLease[];
  /** Nodes that share out Services (`svc_election`) and Romana VIPs. */
  readonly members: readonly ClusterMember[];
  readonly claims: readonly ClusterClaim[];
  /** Services of type LoadBalancer, and others with an address of ours, by name. */
  readonly services: readonly ClusterService[];
  /** Parts that could not be read. */
  readonly errors: readonly string[];
}

/** Names of the Leases with one holder each: as the daemon would have them with this environment. */
function leaseNames(env: ApiOptions["env"]): readonly string[] {
  const { controlPlaneLease, servicesLease } = examineSettings({ env }).settings as Partial<Settings>;
  return [controlPlaneLease ?? SETTINGS.controlPlaneLease.fallback, servicesLease ?? SETTINGS.servicesLease.fallback];
}

/** `vip status --cluster`: from the API alone, so that it works from a laptop. Rejects where the API cannot be read. */
export async function runClusterStatus(options: ClusterOptions, io: CommandIo): Promise<number> {
  const clock = createClock();
  await using reader = createClusterReader(apiConnection(options), { clock, log: SILENT });
  const report = await clusterReport(reader, { namespace: options.namespace ?? "kube-system", names: leaseNames(options.env), wallMs: clock.wallTime() }, new AbortController().signal);
  io.out(options.output === "json" ? JSON.stringify(report, undefined, 2) : clusterText(report));
  return EXIT.ok;
}

/** Only a command's own output is of interest. */
const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, with: () => SILENT };

/** What of the cluster is asked for. */
interface ClusterQuestion {
  /** Of the Leases. */
  readonly namespace: string;
  /** Leases with one holder each. */
  readonly names: readonly string[];
  readonly wallMs: number;
}

/** Reads and joins the three lists. Services must be readable; what else is refused is named in `errors`. */
export async function clusterReport(reader: Pick<ClusterReader, "leases" | "services" | "warnings">, at: ClusterQuestion, signal: AbortSignal): Promise<ClusterReport> {
  const errors: string[] = [];
  const optional = async <T>(work: Promise<T>, instead: T): Promise<T> =>
    work.catch((error: unknown) => {
      errors.push(error instanceof Error ? error.message : String(error));
      return instead;
    });
  const [services, warnings, leases] = await Promise.all([reader.services(signal), optional(reader.warnings(signal), []), optional(reader.leases(at.namespace, signal), [])]);
  const { members, claims, errors: unreadable } = membersOf(leases, at.wallMs);
  const named = at.names.map((name) => leaseReport(name, leases.find(({ id }) => id.name === name), at.wallMs));
  const newest = newestOf(warnings);
  const ours = services.filter(({ type, annotations }) => type === "LoadBalancer" || annotations[VIP_HOST] !== undefined);
  const sorted = ours.map((service) => serviceReport(service, newest, at.wallMs)).toSorted((a, b) => (a.service < b.service ? -1 : 1));
  return { leases: named, members, claims, services: sorted, errors: [...errors, ...unreadable] };
}

function leaseReport(name: string, lease: Lease | undefined, wallMs: number): ClusterLease {
  const { renewTime, leaseDurationSeconds = 0, leaseTransitions = 0 } = lease?.record ?? {};
  const renewed = Date.parse(renewTime ?? "");
  return { name, holder: lease?.record.holderIdentity ?? null, renewedSecondsAgo: Number.isNaN(renewed) ? null : secondsSince(renewed, wallMs), leaseSeconds: leaseDurationSeconds, transitions: leaseTransitions };
}

function newestOf(warnings: readonly Warning[]): ReadonlyMap<string, Warning> {
  const newest = new Map<string, Warning>();
  for (const warning of warnings) if (warning.lastMs >= (newest.get(warning.service)?.lastMs ?? 0)) newest.set(warning.service, warning);
  return newest;
}

function serviceReport(service: Service, warnings: ReadonlyMap<string, Warning>, wallMs: number): ClusterService {
  const key = `${service.namespace}/${service.name}`;
  const found = warnings.get(key);
  const warning = found === undefined ? null : { reason: found.reason, message: found.message, count: found.count, secondsAgo: secondsSince(found.lastMs, wallMs), component: found.component };
  return {
    service: key,
    status: service.ingress.map(({ ip, hostname }) => ip ?? hostname ?? "?"),
    node: service.annotations[VIP_HOST] ?? null,
    announced: recordedAddresses(service) ?? null,
    warning,
  };
}

function secondsSince(ms: number, wallMs: number): number {
  return Math.max(0, Math.floor((wallMs - ms) / 1000));
}

/** What `vip status --cluster` prints. */
export function clusterText({ leases, members, claims, services, errors }: ClusterReport): string {
  const memberRows = members.map((member) => [member.node, member.draining ? `${member.state}, draining` : member.state, renewedText({ ...member, holder: member.node }), String(member.keys)]);
  const free = claims.filter(({ valid }) => !valid);
  const leaseRows = leases.map((lease) => [lease.name, holderText(lease), renewedText(lease), String(lease.transitions)]);
  const rows = services.map(({ service, status, node }) => [service, status.join(",") || "-", node ?? "-"]);
  const blocks = [
    table(["LEASE", "HOLDER", "RENEWED", "TRANSITIONS"], leaseRows),
    members.length === 0 ? [] : table(["MEMBER", "STATE", "RENEWED", "KEYS"], memberRows),
    rows.length === 0 ? ["there is no Service of type LoadBalancer"] : table(["SERVICE", "ADDRESSES", "NODE"], rows),
    services.flatMap(({ service, warning }) => (warning === null ? [] : wrap(`! ${service}: ${warning.reason} (${age(warning.secondsAgo)} ago${warning.count > 1 ? `, ${warning.count} times` : ""}): ${warning.message}`, 2))),
    free.flatMap(({ key, node }) => wrap(`! ${key}: claimed by a life of ${node} that is over; it is taken as soon as a member may`, 2)),
    errors.flatMap((error) => wrap(`! not read: ${error}`, 2)),
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function holderText({ holder }: ClusterLease): string {
  if (holder === null) return "(no such Lease)";
  return holder === "" ? "(nobody)" : holder;
}

function renewedText({ holder, renewedSecondsAgo: seconds, leaseSeconds }: Pick<ClusterLease, "holder" | "renewedSecondsAgo" | "leaseSeconds">): string {
  if (seconds === null) return "-";
  // The clocks of two machines may differ: a hint, not a verdict.
  const late = holder !== null && holder !== "" && seconds > leaseSeconds + 1 ? ` (lease is ${leaseSeconds}s: expired, if the clocks agree)` : "";
  return `${age(seconds)} ago${late}`;
}
