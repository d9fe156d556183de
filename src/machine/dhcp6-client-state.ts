import type { IpAddress } from "../lib/ip.js";
import type { Dhcp6Message } from "../wire/dhcp6/message.js";
import type { DhcpLossReason } from "./dhcp-client-state.js";

/** Who asks, and for what. */
export interface Dhcp6ClientConfig {
  /** The client by its DUID, and the address by its number among those of the client: the server knows the lease by both, so they must be the same after a failover. */
  readonly duid: Uint8Array;
  readonly iaid: number;
  /** The name in option 39: `web`, or `web.example.org`. */
  readonly hostname: string | undefined;
  /** The address of an earlier life: whoever gives it is taken at once. */
  readonly requestedAddress: IpAddress | undefined;
  readonly timing: Dhcp6Timing;
}

/** How a message is sent again (RFC 8415 15). */
export interface Retransmission {
  /** IRT: until the second time, ms. */
  readonly firstMs: number;
  /** MRT: between two times at the most, ms. */
  readonly mostMs: number;
  /** MRC: so often, then it has failed; Infinity: until it is answered or its time is over. */
  readonly tries: number;
}

/** Of RFC 8415 7.6 where it names them. */
export interface Dhcp6Timing {
  readonly solicit: Retransmission;
  readonly request: Retransmission;
  readonly renew: Retransmission;
  readonly rebind: Retransmission;
  readonly release: Retransmission;
  readonly decline: Retransmission;
  /** Not at once after a Decline. */
  readonly declineWaitMs: number;
  /** After a refusal, and twice as long after the next. */
  readonly refusedFirstMs: number;
  /** An answer to `probe` that takes longer is asked for again. */
  readonly probeMs: number;
}

/**
 * The numbers of the RFC, but for Solicit: two minutes at the most, as in RFC 3315. The hour of RFC 8415 is for networks that never have a server, and
 * here somebody has asked for one. A server that says SOL_MAX_RT is obeyed.
 */
export const DHCP6_TIMING: Dhcp6Timing = {
  solicit: { firstMs: 1000, mostMs: 120_000, tries: Infinity },
  request: { firstMs: 1000, mostMs: 30_000, tries: 10 },
  renew: { firstMs: 10_000, mostMs: 600_000, tries: Infinity },
  rebind: { firstMs: 10_000, mostMs: 600_000, tries: Infinity },
  release: { firstMs: 1000, mostMs: Infinity, tries: 4 },
  decline: { firstMs: 1000, mostMs: Infinity, tries: 4 },
  declineWaitMs: 10_000,
  refusedFirstMs: 4000,
  probeMs: 5000,
};

/** An address that a server has given. Times are monotonic ms, Infinity for a lease without end. */
export interface Dhcp6Lease {
  readonly address: IpAddress;
  /** Where its answer came from. */
  readonly server: IpAddress;
  /** Its DUID. */
  readonly serverId: Uint8Array;
  /** T1, T2 and the end. */
  readonly renewAt: number;
  readonly rebindAt: number;
  readonly expiresAt: number;
}

/** What a server would give, or gave. */
export interface Dhcp6Offer {
  readonly address: IpAddress;
  readonly server: IpAddress;
  readonly serverId: Uint8Array;
}

/**
 * The exchanges of RFC 8415 18.2, and: `init` waits for its time; `probing` waits for whether anyone has the address; `bound` until T1; `released` is the
 * end.
 */
export type Dhcp6Phase = "init" | "selecting" | "requesting" | "probing" | "bound" | "renewing" | "rebinding" | "declining" | "releasing" | "released";

/** What is known, asked and due. */
export interface Dhcp6State {
  readonly phase: Dhcp6Phase;
  /** When the phase acts next without being asked. */
  readonly nextAt: number;
  /** Of the exchange under way: its number, when it began, when its last message went out, how many there were, and the last RT (RFC 8415 15). */
  readonly transactionId: number;
  readonly startedAt: number;
  readonly sentAt: number;
  readonly sends: number;
  readonly rtMs: number;
  /** Since when a server has been asked without success; undefined while all is well. */
  readonly seekingSince: number | undefined;
  /** In `selecting` the best offer so far, with its preference; in `requesting` the one that is asked for. */
  readonly offer: (Dhcp6Offer & { readonly preference: number }) | undefined;
  /** Given and not yet probed. */
  readonly pending: Dhcp6Lease | undefined;
  /** The address in use. It outlives exchanges: it goes by its end, a refusal, a conflict or a release only. */
  readonly lease: Dhcp6Lease | undefined;
  /** What `declining` and `releasing` are about. */
  readonly leaving: Dhcp6Offer | undefined;
  /** The address to ask for, if it is to be had. */
  readonly wanted: IpAddress | undefined;
  /** Refusals in a row. */
  readonly refusals: number;
  /** Most time between two Solicits. */
  readonly solicitMostMs: number;
}

/** `random` is uniform in [0, 1). */
export type Dhcp6Event = { readonly random: number } & Dhcp6Input;

export type Dhcp6Input =
  | { readonly type: "tick" }
  /** `from`: where the datagram came from. */
  | { readonly type: "received"; readonly message: Dhcp6Message; readonly from: IpAddress }
  | { readonly type: "probed"; readonly address: IpAddress; readonly inUse: boolean }
  /** The link is another one, or was away: is the lease good there? */
  | { readonly type: "rejoined" }
  /** The address is not wanted any more, by anyone. Never for a failover, hand-over or shutdown: there the machine is simply stopped. */
  | { readonly type: "release" };

/** Why a message counts for nothing. The first three are ordinary on a link with other clients. */
export type Dhcp6DropReason = "notAReply" | "otherTransaction" | "otherClient" | "unexpectedType" | "noServer" | "otherServer" | "noAddress" | "tooLate";

/** What is to be done, in this order. */
export type Dhcp6Action =
  /** To all servers of the link (RFC 8415 7.1): no server is ever asked by unicast. */
  | { readonly type: "send"; readonly message: Dhcp6Message }
  /** Ask the link whether anyone has the address (RFC 4862 5.4); the answer is the event `probed`. */
  | { readonly type: "probe"; readonly address: IpAddress }
  /** In use from now on, or its times are new. One with another address is instead of the one before. */
  | { readonly type: "lease"; readonly lease: Dhcp6Lease }
  /** Not to be used any more, from now on. */
  | { readonly type: "lost"; readonly address: IpAddress; readonly reason: DhcpLossReason }
  /** A server gives nothing, with its own words. */
  | { readonly type: "refused"; readonly server: IpAddress; readonly text: string | undefined }
  /** The server is told that somebody else has the address. */
  | { readonly type: "declined"; readonly address: IpAddress; readonly server: IpAddress }
  | { readonly type: "dropped"; readonly reason: Dhcp6DropReason };

/** Nothing sent yet. The first event, a `tick`, sends the first message: the wait of RFC 8415 18.2.1 is for hosts that lose power together. */
export function dhcp6Start(config: Dhcp6ClientConfig): Dhcp6State {
  return {
    phase: "init",
    nextAt: -Infinity,
    transactionId: 0,
    startedAt: 0,
    sentAt: 0,
    sends: 0,
    rtMs: 0,
    seekingSince: undefined,
    offer: undefined,
    pending: undefined,
    lease: undefined,
    leaving: undefined,
    wanted: config.requestedAddress,
    refusals: 0,
    solicitMostMs: config.timing.solicit.mostMs,
  };
}
