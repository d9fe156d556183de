import { maskPeerTexts } from "./bgp-peer-text.js";
import { asNumber, bfdTiming, communityList, holdTime, ipAddress, nextHopMode, optionalInt, peerList } from "./bgp-types.js";
import { bool, int, needing, text, type Setting } from "./setting-types.js";

const HIDDEN = (value: string): string => (value === "" ? "" : "***");

/** First those of kube-vip, then ours. */
const OPTIONS = {
  bgpAs: { env: ["bgp_as"], flag: "localAS", type: asNumber, fallback: "65000", doc: "AS number of this node." },
  bgpRouterId: { env: ["bgp_routerid"], flag: "bgpRouterID", type: ipAddress(4), fallback: "", doc: "Router ID; unset: after `bgp_routerinterface`, else the first IPv4 address of the node. It has to be another one on every node." },
  bgpRouterInterface: { env: ["bgp_routerinterface"], flag: undefined, type: text, fallback: "", doc: "Link whose first IPv4 address is the router ID." },
  bgpPeers: { env: ["bgp_peers"], flag: "bgppeers", type: peerList, fallback: "", secret: maskPeerTexts, doc: "Peers as `address:AS[:password[:multihop[:port[:mpbgp[:bfd]]]]]`; IPv6 in brackets, `unnumbered:eth0`, or `unnumbered:eth0:AS`, for the router on a link, which is found by its Router Advertisements, a password with colons or commas in double quotes." },
  bgpPeerAddress: { env: ["bgp_peeraddress"], flag: "peerAddress", type: ipAddress(), fallback: "", doc: "One more peer." },
  bgpPeerAs: { env: ["bgp_peeras"], flag: "peerAS", type: asNumber, fallback: "65000", doc: "AS number of the peer `bgp_peeraddress`." },
  bgpPeerPassword: { env: ["bgp_peerpass"], flag: "peerPass", type: text, fallback: "", secret: HIDDEN, doc: "Password (TCP MD5) of the peer `bgp_peeraddress`." },
  bgpMultihop: { env: ["bgp_multihop"], flag: "multihop", type: bool, fallback: "false", doc: "The peer `bgp_peeraddress` is not on a link of this node." },
  bgpSourceInterface: { env: ["bgp_sourceif"], flag: "sourceIF", type: text, fallback: "", doc: "Link that sessions are bound to." },
  bgpSourceIp: { env: ["bgp_sourceip"], flag: "sourceIP", type: ipAddress(), fallback: "", doc: "Source address of sessions with peers of its family." },
  bgpHoldSeconds: { env: ["bgp_hold_time"], flag: "bgpHoldTimer", type: holdTime, fallback: "30", unit: "s", doc: "A peer that is silent for so long is taken for dead, and the same is offered to it; 0: never." },
  bgpKeepaliveSeconds: { env: ["bgp_keepalive_interval"], flag: "bgpKeepAliveInterval", type: optionalInt(1, 21_845), fallback: "", unit: "s", kubeVip: "10", doc: "Time between two KEEPALIVE messages; unset: a third of the hold time." },
  bgpAttach: { env: ["bgp_attach_ip_to_interface"], flag: "bgpAttachIPToInterface", type: bool, fallback: "false", doc: "Put the VIPs of Services on `vip_servicesinterface` (unset: `vip_interface`, else `lo`), too, for a data plane that needs them there." },
  bgpNextHopMode: { env: ["mpbgp_nexthop"], flag: undefined, type: nextHopMode, fallback: "", doc: "Carry IPv4 and IPv6 on every session, with next hops that are `fixed` (`mpbgp_ipv4`, `mpbgp_ipv6`), or addresses of the link that has the source address, or that is the source interface." },
  bgpNextHop4: { env: ["mpbgp_ipv4"], flag: undefined, type: ipAddress(4), fallback: "", doc: "Next hop of IPv4 routes with `mpbgp_nexthop` fixed." },
  bgpNextHop6: { env: ["mpbgp_ipv6"], flag: undefined, type: ipAddress(6), fallback: "", doc: "Next hop of IPv6 routes with `mpbgp_nexthop` fixed." },
  bgpAnnotations: { env: ["annotation", "annotations"], flag: "annotations", type: text, fallback: "", doc: "Prefix of annotations of this node that name peers, such as `metal.equinix.com`: `<prefix>/bgp-peers-0-peer-ip` and so on. They may change at any time." },
  bgpConfigFile: { env: ["bgp_config_file"], flag: undefined, type: text, fallback: "", doc: "A YAML file with `peers:` and `bfd-profiles:` as in MetalLB's ConfigMap. It may change at any time." },
  bgpConfigMap: { env: ["bgp_configmap"], flag: undefined, type: text, fallback: "", doc: "A ConfigMap, `name` or `namespace/name`, with the same text under the key `config`. It may change at any time." },
  bgpSecret: { env: ["bgp_secret"], flag: undefined, type: text, fallback: "", doc: "A Secret, `name` or `namespace/name`, with passwords by the names of peers (`:` as `-`); the key `password` is for all others. It may change at any time." },
  bgpPasswordFile: { env: ["bgp_peerpass_file"], flag: undefined, type: text, fallback: "", doc: "A file whose text is the password of all peers that have no other." },
  bgpListen: { env: ["bgp_listen"], flag: undefined, type: bool, fallback: "false", doc: "Let peers dial this node; with a passive peer they always may." },
  bgpListenPort: { env: ["bgp_listen_port"], flag: undefined, type: int(1, 65_535), fallback: "179", doc: "Port on which peers may dial." },
  bgpPassive: { env: ["bgp_passive"], flag: undefined, type: bool, fallback: "false", doc: "Wait until peers dial." },
  bgpTtlSecurity: { env: ["bgp_ttl_security"], flag: undefined, type: optionalInt(1, 254), fallback: "", unit: "hops", doc: "Take packets only of peers that are at most so many hops away (GTSM, RFC 5082); the peers need the same." },
  bgpGracefulRestartSeconds: { env: ["bgp_graceful_restart"], flag: undefined, type: int(0, 4095), fallback: "0", unit: "s", doc: "Ask peers to keep the routes for so long while this process restarts, after a crash or for an update (RFC 4724); 0: they go with the session." },
  bgpGracefulShutdownMs: { env: ["bgp_graceful_shutdown"], flag: undefined, type: int(0, 60_000), fallback: "500", unit: "ms", doc: "On a clean stop routes that are to be withdrawn carry GRACEFUL_SHUTDOWN (RFC 8326) for so long before." },
  bgpBfd: { env: ["bgp_bfd"], flag: undefined, type: bfdTiming, fallback: "off", doc: "Watch peers by BFD (RFC 5880), an interval in ms and after how many missing packets a peer is down; `on` is 300x3." },
  bgpCommunities: { env: ["bgp_communities"], flag: undefined, type: communityList, fallback: "", doc: "Communities of all routes: `65000:100`, `64496:1:2` (large), `no-export` and so on." },
  bgpLocalPref: { env: ["bgp_local_pref"], flag: undefined, type: optionalInt(0, 4_294_967_295), fallback: "", doc: "LOCAL_PREF of all routes to internal peers; unset: 100." },
  bgpMed: { env: ["bgp_med"], flag: undefined, type: optionalInt(0, 4_294_967_295), fallback: "", doc: "MULTI_EXIT_DISC of all routes; unset: none." },
  bgpPrepend: { env: ["bgp_prepend"], flag: undefined, type: int(0, 32), fallback: "0", doc: "How often the own AS number is repeated in the path to external peers." },
} as const satisfies Record<string, Setting<unknown>>;

/** The rows of SETTINGS that are about BGP. */
export const BGP_SETTINGS = {
  bgp: { env: ["bgp_enable"], flag: "bgp", type: bool, fallback: "false", doc: "Announce VIPs to routers by BGP." },
  bgpElection: { env: ["vip_leaderelection"], flag: "leaderElection", type: bool, fallback: "false", doc: "BGP mode: only the holder of the Lease announces the control-plane VIP; otherwise every node whose API server is well. ARP mode always elects." },
  ...needing(["bgp"], OPTIONS),
} as const satisfies Record<string, Setting<unknown>>;
