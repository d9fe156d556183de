import type { Settings } from "../config/settings.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import { isLoopback } from "./bgp-drafts.js";

/** What works in itself and is not what somebody wants, a line each; for `vip check`. */
export function bgpWarnings(peers: readonly BgpPeer[], settings: Pick<Settings, "bgpSourceIp" | "bgpSourceInterface" | "bgpPeers">): readonly string[] {
  const both = settings.bgpSourceIp !== undefined && settings.bgpSourceInterface !== undefined;
  return [
    ...settings.bgpPeers.warnings,
    ...(both ? ["bgp_sourceip and bgp_sourceif are both set: sessions have the address and are bound to the link, where kube-vip takes one of them only"] : []),
    ...peers.flatMap((peer) => peerWarnings(peer).map((line) => `BGP peer ${peer.name}: ${line}`)),
  ];
}

function peerWarnings(peer: BgpPeer): readonly string[] {
  return [...publisherWarnings(peer), ...routerIdWarnings(peer), ...timerWarnings(peer), ...nextHopWarnings(peer)];
}

/** RFC 4271 9.2: what was learned from an internal peer is not passed on to another internal peer. */
function publisherWarnings({ address, localAs, peerAs, routerId }: BgpPeer): readonly string[] {
  if (address === undefined || !isLoopback(address)) return [];
  const internal = peerAs === "internal" || peerAs === localAs;
  return [
    ...(internal
      ? [`it is a process of this node in the same AS ${localAs}, so it passes our routes on to external peers only: if its routers are in AS ${localAs}, too (iBGP everywhere), they get none; put this node, or the routers, into another AS`]
      : []),
    ...(routerId === undefined ? [`router ID not set: a process of this node most likely has the same one, the node's address, and may refuse the session then (Bad BGP Identifier); set router-id (bgp_routerid), for example to 127.0.0.1`] : []),
  ];
}

/** RFC 4271 6.2: the identifier of a peer may not be one's own. */
function routerIdWarnings({ address, routerId }: BgpPeer): readonly string[] {
  if (routerId === undefined || routerId !== address || isLoopback(address)) return [];
  return [`the router ID ${routerId} is the peer's own address, and most likely its router ID, too: the peer refuses the session (Bad BGP Identifier)`];
}

function timerWarnings({ holdSeconds, keepaliveSeconds, bfd, gracefulRestartSeconds }: BgpPeer): readonly string[] {
  const long = keepaliveSeconds !== undefined && holdSeconds > 0 && keepaliveSeconds * 3 > holdSeconds;
  return [
    ...(long ? [`keepalive time ${keepaliveSeconds} s is more than a third of the hold time ${holdSeconds} s: a single lost message may end the session`] : []),
    ...(holdSeconds === 0 && bfd === undefined ? ["hold time 0 without BFD: nobody notices that the other side is gone, until TCP does"] : []),
    ...(bfd !== undefined && gracefulRestartSeconds !== undefined
      ? [`graceful restart (${gracefulRestartSeconds} s) and BFD: a router such as FRR keeps the routes of a node that crashed although BFD has seen it, and traffic is lost meanwhile; expected one of them`]
      : []),
  ];
}

function nextHopWarnings({ nextHop }: BgpPeer): readonly string[] {
  return ([4, 6] as const).flatMap((family) => {
    const hop = nextHop[family];
    return hop !== undefined && isLoopback(hop) ? [`next hop ${hop} leads every router to itself: expected an address of this node`] : [];
  });
}
