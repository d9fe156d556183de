import type { IpAddress } from "../lib/ip.js";
import type { PcpPace } from "./pcp-exchange.js";

/** `pcp`: RFC 6887; `nat-pmp`: RFC 6886, which many routers know without knowing more. */
export type PcpDialect = "pcp" | "nat-pmp";

/** All in ms but `pace`, `bothAfter` and `checkTries`. */
export interface PcpServerTiming {
  /** Between the questions whether there is a server. */
  readonly pace: PcpPace;
  /** After so many questions without an answer both dialects are tried: some routers drop what they do not know. */
  readonly bothAfter: number;
  /** Without an answer for so long, there is none for now. */
  readonly searchMs: number;
  /** Whatever is announced, questions are this far apart. */
  readonly leastMs: number;
  /** Between two checks of a server that is known. */
  readonly checkMs: number;
  /** How long the answer to a check is waited for. */
  readonly checkWaitMs: number;
  /** So many checks without an answer, and there is no server any more. */
  readonly checkTries: number;
}

/** What a server said of itself. */
export interface PcpGreeting {
  readonly dialect: PcpDialect;
  readonly host: IpAddress;
  /** s since it lost its mappings. */
  readonly epoch: number;
  /** PCP says it with each mapping only. */
  readonly externalAddress: IpAddress | undefined;
}

/** A router that mappings can be asked of. */
export interface PcpServer extends PcpGreeting {
  /** When `epoch` was heard. */
  readonly heardAt: number;
}

/** A question whether there is a server: which dialects, and how long the answer is waited for. */
export interface PcpProbe {
  readonly type: "probe";
  readonly id: number;
  readonly dialects: readonly PcpDialect[];
  readonly waitMs: number;
}

export interface PcpServerState {
  readonly server: PcpServer | undefined;
  /** A search has lasted long enough, so that `server` says something also where it is undefined. */
  readonly searched: boolean;
  readonly startedAt: number;
  readonly probe: PcpProbe | undefined;
  readonly lastProbeAt: number;
  readonly nextProbeAt: number;
  /** The wait of the search that is under way, ms; undefined before its first question. */
  readonly waitMs: number | undefined;
  /** Questions without an answer, in a row. */
  readonly unanswered: number;
  /** The router has said that it knows NAT-PMP only. */
  readonly older: boolean;
  readonly nextId: number;
}

/** `random` is uniform in [0, 1). */
export type PcpServerEvent = { readonly random: number } & (
  | { readonly type: "tick" }
  | { readonly type: "answered"; readonly id: number; readonly greeting: PcpGreeting }
  /** It speaks the older dialect only. */
  | { readonly type: "older"; readonly id: number }
  | { readonly type: "failed"; readonly id: number }
  /** Something was announced, or a request was not answered: it is asked now. Anybody could announce, so that no more is believed. */
  | { readonly type: "doubt" }
  /** What the answer to a mapping says of the server. */
  | { readonly type: "learned"; readonly epoch: number; readonly externalAddress: IpAddress | undefined }
);

/** `cancel`: the answer is of no more interest. `restarted`: the server has lost all mappings. */
export type PcpServerAction = PcpProbe | { readonly type: "cancel"; readonly id: number } | { readonly type: "restarted" };

/** Nothing is known; the first question is asked at once. */
export function pcpServerStart(now: number): PcpServerState {
  return { server: undefined, searched: false, startedAt: now, probe: undefined, lastProbeAt: -Infinity, nextProbeAt: now, waitMs: undefined, unanswered: 0, older: false, nextId: 1 };
}
