import type { BfdTiming, BgpPeer } from "../lib/bgp-peer.js";
import { messageOf } from "../lib/errors.js";
import type { Bfd, BfdReport, BfdSession, BfdTarget } from "../ports/bfd.js";
import { onLink } from "./bgp-next-hop.js";
import type { NodeAddress } from "./bgp-report.js";
import { isInternal } from "./bgp-session-options.js";

export interface WatchDeps {
  readonly bfd: Bfd | undefined;
  nodeAddresses(): readonly NodeAddress[];
  /** BFD was up and has lost the peer. */
  lost(): void;
  changed(): void;
}

/** BFD beside one BGP session (RFC 5882 10.2): it tells of a peer that is gone, and never keeps a session from coming up. */
export class Watch implements Disposable {
  readonly #deps: WatchDeps;
  #session: BfdSession | undefined;
  #report: BfdReport | undefined;
  #problem: string | undefined;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
  }

  get report(): BfdReport | undefined {
    return this.#session?.report();
  }

  get problem(): string | undefined {
    return this.#problem ?? this.#report?.problem;
  }

  /** Watches with this timing, or no longer. */
  set(peer: BgpPeer): void {
    const { bfd: timing, address } = peer;
    if (timing === undefined || address === undefined) this[Symbol.dispose]();
    else if (this.#session !== undefined) this.#session.setTiming(timing);
    else this.#open(targetOf(peer, address, this.#deps.nodeAddresses()), timing);
  }

  [Symbol.dispose](): void {
    this.#session?.[Symbol.dispose]();
    this.#session = undefined;
    this.#report = undefined;
    this.#problem = undefined;
  }

  #open(target: BfdTarget, timing: BfdTiming): void {
    if (this.#deps.bfd === undefined) return;
    try {
      this.#session = this.#deps.bfd.open(target, timing, (report) => this.#changed(report));
      this.#report = this.#session.report();
      this.#problem = undefined;
    } catch (error) {
      this.#problem = `BFD: ${messageOf(error)}`;
    }
  }

  #changed(report: BfdReport): void {
    const before = this.#report;
    this.#report = report;
    // RFC 5882 3.2: a peer that has switched BFD off has not failed.
    const failed = before?.state === "Up" && report.state === "Down" && report.remoteState !== "AdminDown";
    if (failed) this.#deps.lost();
    this.#deps.changed();
  }
}

/** RFC 5881 where the peer is on a link of this node, RFC 5883 where routers may lie between. */
function targetOf(peer: BgpPeer, address: NonNullable<BgpPeer["address"]>, addresses: readonly NodeAddress[]): BfdTarget {
  const near = peer.iface !== undefined || addresses.some((one) => onLink(one, address));
  const multihop = peer.multihopTtl !== undefined || (isInternal(peer) && !near);
  return { address, iface: multihop ? undefined : peer.iface, local: peer.sourceAddress, multihop };
}
