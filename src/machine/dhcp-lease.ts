import type { IpAddress } from "../lib/ip.js";
import type { DhcpLossReason } from "./dhcp-client-state.js";
import { just, type Turn } from "./turn.js";

/** What DHCP and DHCPv6 have in common of an address for a time. Times are monotonic ms. */
interface Timed {
  readonly address: IpAddress;
  readonly expiresAt: number;
}

interface Leasing<L extends Timed> {
  readonly phase: string;
  readonly nextAt: number;
  /** Given, and not yet known to be free. */
  readonly pending: L | undefined;
  readonly lease: L | undefined;
}

type Lost = { readonly type: "lost"; readonly address: IpAddress; readonly reason: DhcpLossReason };

/** What is told where a lease that was in use is not any more. */
export function lossOf(lease: { readonly address: IpAddress } | undefined, reason: DhcpLossReason): readonly Lost[] {
  return lease === undefined ? [] : [{ type: "lost", address: lease.address, reason }];
}

/** What a client has of this address, in use or not yet. */
export function heldAt<L extends Timed>({ pending, lease }: Pick<Leasing<L>, "pending" | "lease">, address: IpAddress): L | undefined {
  return [pending, lease].find((held) => held?.address === address);
}

/** RFC 2131 4.4.5, RFC 8415 18.2.5: the client stops using what has expired, and starts again by `seeking`. */
export function withoutExpired<L extends Timed, S extends Leasing<L>>(state: S, now: number, seeking: (state: S, nextAt: number) => S): Turn<S, Lost> {
  const { lease, pending } = state;
  const next = pending !== undefined && now >= pending.expiresAt ? seeking(state, now) : state;
  if (lease === undefined || now < lease.expiresAt) return just(next);
  const kept = next.phase === "bound" || next.phase === "renewing" || next.phase === "rebinding";
  return { state: { ...(kept ? seeking(next, now) : next), lease: undefined }, actions: lossOf(lease, "expired") };
}

/** When something is due, or ends; undefined: never again. */
export function leaseWakeAt({ phase, nextAt, lease, pending }: Leasing<Timed>): number | undefined {
  if (phase === "released") return undefined;
  const at = Math.min(nextAt, lease?.expiresAt ?? Infinity, pending?.expiresAt ?? Infinity);
  return at === Infinity ? undefined : at;
}
