import type { BgpPeer } from "../lib/bgp-peer.js";
import type { Bfd } from "../ports/bfd.js";
import type { TcpCaller } from "../ports/net.js";
import { Peering, type PeeringDeps, type PeeringPast } from "./bgp-peering.js";
import { Rival, type RivalDeps } from "./bgp-rival.js";
import { Watch } from "./bgp-watch.js";

/** A peer with all that belongs to its session. */
export interface Neighbour {
  readonly peering: Peering;
  readonly watch: Watch;
  readonly rival: Rival;
}

export interface NeighbourDeps extends PeeringDeps, RivalDeps {
  /** Undefined: the peer is not watched. */
  readonly bfd: Bfd | undefined;
  /** The session, or the last attempt at one, is another one. Before `changed`. */
  moved(): void;
}

/** Nothing is dialled before `peering.start`. `past`: of the session that this one follows. */
export function openNeighbour(peer: BgpPeer, deps: NeighbourDeps, past: PeeringPast | undefined): Neighbour {
  const rival = new Rival(peer, deps);
  const changed = (): void => {
    if (peering.established) rival.clear();
    else if (peering.report().lastEnd !== undefined) rival.look();
    deps.moved();
    deps.changed();
  };
  const peering = new Peering(peer, { ...deps, changed }, past);
  const watch = new Watch({ bfd: deps.bfd, nodeAddresses: () => deps.nodeAddresses(), lost: () => peering.bfdDown(), changed: () => deps.changed() });
  return { peering, watch, rival };
}

/** Ends the session and what is beside it; nothing follows. */
export function endNeighbour({ peering, watch, rival }: Neighbour, cease: Parameters<Peering["stop"]>[0]): void {
  rival[Symbol.dispose]();
  watch[Symbol.dispose]();
  peering.stop(cease);
}

/** Who has dialled. Several may share an address (on 127.0.0.1, with ports of their own): the one that waits, and has no session yet. */
export function callingNeighbour(neighbours: Iterable<Neighbour>, { address, iface }: TcpCaller): Neighbour | undefined {
  const candidates = [...neighbours].filter(({ peering: { peer } }) => peer.address === address && (iface === undefined || peer.iface === iface));
  const waiting = candidates.filter(({ peering }) => !peering.established);
  return waiting.find(({ peering }) => peering.peer.passive) ?? waiting[0] ?? candidates[0];
}
