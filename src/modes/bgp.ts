import type { Fence, VipMode } from "../core/mode.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Net } from "../ports/net.js";
import type { Random } from "../ports/random.js";
import type { BgpPeerReport, BgpSentRoute, NodeAddress } from "./bgp-report.js";

export interface BgpModeConfig {
  /** Where peers may dial, usually 179. */
  readonly listenPort: number;
  /** Listen although no peer is passive. Without a passive peer nothing listens: another BGP speaker of the node may own the port. */
  readonly listen: boolean;
  /** For how long routes carry GRACEFUL_SHUTDOWN (RFC 8326) before they are withdrawn by `drain`, ms; 0: not at all. */
  readonly gracefulShutdownMs: number;
}

export interface BgpModeDeps {
  readonly net: Net;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** For routes with an ownership. */
  readonly fence: Fence;
  /** For next hops, and the first IPv4 one as router ID of peers without one. Looked at when a session comes up, and at `addressesChanged`. */
  nodeAddresses(): readonly NodeAddress[];
  /** A report has changed. */
  changed(): void;
}

/** BGP mode: announces prefixes to peers. Nothing of it is left in the kernel, so `held` is empty. */
export interface BgpMode extends VipMode<"bgp"> {
  /** Exactly these from now on. A peer that is as before is left alone. */
  setPeers(peers: readonly BgpPeer[]): void;
  /** In the order of `setPeers`. */
  reports(): readonly BgpPeerReport[];
  /** What a peer has of us; empty for one that is not known. */
  routes(peer: string): readonly BgpSentRoute[];
  /** `up` has been called for all routes that were wanted at start. Until then, or for 30 s, peers with graceful restart are not told that routes are complete. */
  complete(): void;
  /** `nodeAddresses` may answer differently: next hops are chosen anew. */
  addressesChanged(): void;
  /** A clean stop, bounded in time: GRACEFUL_SHUTDOWN, then all is withdrawn, then every session ends with Cease/Administrative Shutdown. */
  drain(): Promise<void>;
}
