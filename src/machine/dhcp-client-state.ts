import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { ClasslessRoute } from "../wire/dhcp/classless-routes.js";
import type { DhcpMessage } from "../wire/dhcp/message.js";

/** Who asks, and for what. */
export interface DhcpClientConfig {
  /** Of the link that the address is for; `chaddr` of every message. */
  readonly mac: MacAddress;
  /** Option 61 with its type octet. The server knows the lease by it, so it must be the same after a failover. */
  readonly clientId: Uint8Array;
  /** Option 12. */
  readonly hostname: string | undefined;
  /** Option 60. */
  readonly vendorClass: string | undefined;
  /** Asks servers to broadcast until there is an address. A packet socket does not need it. */
  readonly broadcast: boolean;
  /** The address of an earlier life, asked for first (INIT-REBOOT). */
  readonly requestedAddress: IpAddress | undefined;
  readonly timing: DhcpTiming;
}

/** Of RFC 2131 where it names them. */
export interface DhcpTiming {
  /** RFC 2131 4.1: 4, 8, 16, 32, 64 s between sends, each with 1 s more or less, and then 64 s for ever. */
  readonly retryFirstMs: number;
  readonly retryMostMs: number;
  readonly jitterMs: number;
  /** The most before the second DISCOVER that follows a NAK, then doubled; the first one goes out at once. */
  readonly refusedFirstMs: number;
  /** REQUESTs for one offer before it is given up. */
  readonly requestTries: number;
  /** REQUESTs for the address of an earlier life before it is only a wish in a DISCOVER: a server that does not know us is silent (RFC 2131 4.3.2). */
  readonly rebootTries: number;
  /** RFC 2131 3.1.5: not at once after a DECLINE. */
  readonly declineWaitMs: number;
  /** Least time between sends while a lease is renewed (RFC 2131 4.4.5); less for leases that are short. */
  readonly renewLeastMs: number;
  /** An answer to `probe` that takes longer is asked for again. */
  readonly probeMs: number;
}

/** The numbers of the RFC; no patience with an address of an earlier life that nobody knows. */
export const DHCP_TIMING: DhcpTiming = {
  retryFirstMs: 4000,
  retryMostMs: 64_000,
  jitterMs: 1000,
  refusedFirstMs: 500,
  requestTries: 3,
  rebootTries: 1,
  declineWaitMs: 10_000,
  renewLeastMs: 60_000,
  probeMs: 5000,
};

/** An address that a server has given. Times are monotonic ms, Infinity for a lease without end. */
export interface DhcpLease {
  readonly address: IpAddress;
  /** 32 where the server named no mask. */
  readonly prefix: number;
  /** Empty where there are classless routes (RFC 3442). */
  readonly routers: readonly IpAddress[];
  readonly routes: readonly ClasslessRoute[];
  readonly dnsServers: readonly IpAddress[];
  readonly domainName: string | undefined;
  /** The name that the server has written down, where it says so. */
  readonly hostname: string | undefined;
  readonly server: IpAddress;
  /** The MAC that the server's answer came from (its own, or that of a relay). */
  readonly nextHop: MacAddress | undefined;
  /** T1, T2 and the end. */
  readonly renewAt: number;
  readonly rebindAt: number;
  readonly expiresAt: number;
}

/**
 * The states of RFC 2131 4.4, figure 5, and: `init` waits for its time (INIT, INIT-REBOOT, after a DECLINE or a NAK); `rebooting` also verifies a lease in
 * use; `probing` waits for whether anyone has the address; `released` is the end.
 */
export type DhcpPhase = "init" | "selecting" | "requesting" | "rebooting" | "probing" | "bound" | "renewing" | "rebinding" | "released";

/** What is known, asked and due. */
export interface DhcpState {
  readonly phase: DhcpPhase;
  /** When the phase acts next without being asked. */
  readonly nextAt: number;
  readonly xid: number;
  /** Messages sent in this phase. */
  readonly sends: number;
  /** Since when a server has been asked without success, be it for an address or for more time; undefined while all is well. */
  readonly seekingSince: number | undefined;
  /** `secs` of the last DISCOVER or first REQUEST, which the REQUESTs after it repeat. */
  readonly secs: number;
  /** When the REQUEST went out that an ACK would be for; a lease counts from there (RFC 2131 4.4.1). */
  readonly requestedAt: number;
  /** What `requesting` asks for. */
  readonly offer: { readonly address: IpAddress; readonly server: IpAddress } | undefined;
  /** Given and not yet probed. */
  readonly pending: DhcpLease | undefined;
  /** The address in use. It outlives phases: it goes by its end, a NAK, a conflict or a release only. */
  readonly lease: DhcpLease | undefined;
  /** The address to ask for, if it is to be had. */
  readonly wanted: IpAddress | undefined;
  /** Whether it is to be asked for by INIT-REBOOT. */
  readonly mayReboot: boolean;
  /** NAKs in a row. */
  readonly refusals: number;
}

/** `random` is uniform in [0, 1). */
export type DhcpEvent = { readonly random: number } & DhcpInput;

/** What can happen to the client. */
export type DhcpInput =
  | { readonly type: "tick" }
  /** A message to a client's port on our link; `from` is the MAC that it came from. Those of others are sorted out here. */
  | { readonly type: "received"; readonly message: DhcpMessage; readonly from: MacAddress | undefined }
  /** Whether anyone else has the address: the answer to `probe`, or a conflict seen later. */
  | { readonly type: "probed"; readonly address: IpAddress; readonly inUse: boolean }
  /** The link is back, and may lead to another network: a lease is verified (RFC 2131 4.4.2), a DISCOVER is not waited for. */
  | { readonly type: "rejoined" }
  /** Time has passed that the clock did not count. */
  | { readonly type: "slept"; readonly ms: number }
  /** The address is not wanted any more, by anyone. Never for a failover, hand-over or shutdown: there the machine is simply stopped. */
  | { readonly type: "release" };

/** Where a message goes. By `broadcast`: a frame to all. By `unicast`: to the server, from the leased address and by the leased link. */
export type DhcpPath = {
  readonly sourceIp: IpAddress;
  readonly destinationIp: IpAddress;
} & ({ readonly via: "broadcast" } | { readonly via: "unicast"; readonly nextHop: MacAddress | undefined });

/** `expired`: nobody renewed it. `refused`: NAK. `inUse`: somebody else has it. `released`: by `release`. */
export type DhcpLossReason = "expired" | "refused" | "inUse" | "released";

/** Why a message counts for nothing. The first four are ordinary on a link with other clients. */
export type DhcpDropReason =
  | "notAReply"
  | "otherHardware"
  | "otherTransaction"
  | "otherClient"
  | "unexpectedType"
  | "noServer"
  | "otherServer"
  | "unusableAddress"
  | "noLeaseTime"
  | "tooLate";

/** What is to be done, in this order. */
export type DhcpAction =
  | { readonly type: "send"; readonly message: DhcpMessage; readonly path: DhcpPath }
  /** Ask the link whether anyone has the address (RFC 5227); the answer is the event `probed`. */
  | { readonly type: "probe"; readonly address: IpAddress }
  /** In use from now on, or its times are new. One with another address is instead of the one before. */
  | { readonly type: "lease"; readonly lease: DhcpLease }
  /** Not to be used any more, from now on. */
  | { readonly type: "lost"; readonly address: IpAddress; readonly reason: DhcpLossReason }
  /** A server said NAK, with its own words. */
  | { readonly type: "refused"; readonly server: IpAddress; readonly text: string | undefined }
  /** The server was told that somebody else has the address. */
  | { readonly type: "declined"; readonly address: IpAddress; readonly server: IpAddress }
  | { readonly type: "dropped"; readonly reason: DhcpDropReason };

/** Nothing sent yet. The first event, a `tick`, sends the first message. RFC 2131 4.4.1's wait of 1 to 10 s is for hosts that lose power together. */
export function dhcpStart(config: DhcpClientConfig): DhcpState {
  return {
    phase: "init",
    nextAt: -Infinity,
    xid: 0,
    sends: 0,
    seekingSince: undefined,
    secs: 0,
    requestedAt: 0,
    offer: undefined,
    pending: undefined,
    lease: undefined,
    wanted: config.requestedAddress,
    mayReboot: config.requestedAddress !== undefined,
    refusals: 0,
  };
}

/** All times so much earlier, for time that the clock did not count. */
export function aged(state: DhcpState, ms: number): DhcpState {
  return {
    ...state,
    nextAt: state.nextAt - ms,
    seekingSince: state.seekingSince === undefined ? undefined : state.seekingSince - ms,
    requestedAt: state.requestedAt - ms,
    pending: agedLease(state.pending, ms),
    lease: agedLease(state.lease, ms),
  };
}

function agedLease(lease: DhcpLease | undefined, ms: number): DhcpLease | undefined {
  if (lease === undefined) return undefined;
  return { ...lease, renewAt: lease.renewAt - ms, rebindAt: lease.rebindAt - ms, expiresAt: lease.expiresAt - ms };
}
