/** An annotation or label of a Service or node. */
export interface Annotation {
  readonly name: string;
  readonly on: "Service" | "Node" | "Lease";
  readonly fate: "supported" | "planned" | "dropped";
  /** What it means and how it is written; for the others what brings it, or why it never comes. */
  readonly doc: string;
  /** Written by the program itself. */
  readonly written: boolean;
}

type Rest = Partial<Pick<Annotation, "on" | "written">>;

const WRITTEN: Rest = { written: true };
const NODE: Rest = { on: "Node" };
const EGRESS = "egress; a Service that has it is served without";
const BGP_NODE = "BGP, with the setting `annotation` as prefix: ";

function row(fate: Annotation["fate"], name: string, doc: string, rest: Rest = {}): Annotation {
  return { name, on: "Service", fate, doc, written: false, ...rest };
}

const ours = (name: string, doc: string, rest?: Rest): Annotation => row("supported", `vip.internal/${name}`, doc, rest);
const supported = (name: string, doc: string, rest?: Rest): Annotation => row("supported", `kube-vip.io/${name}`, doc, rest);
const planned = (name: string, doc: string, rest?: Rest): Annotation => row("planned", `kube-vip.io/${name}`, doc, rest);
const dropped = (name: string, doc: string, rest?: Rest): Annotation => row("dropped", `kube-vip.io/${name}`, doc, rest);

/** Every annotation and label that we or kube-vip read or write; annotations of kube-vip's nodes with `<prefix>` for the setting `annotation`. */
export const ANNOTATIONS: readonly Annotation[] = [
  supported("loadbalancerIPs", "The addresses of the Service: IP addresses and DNS names, comma separated. Comes before `spec.loadBalancerIP`. `0.0.0.0`: a DHCP server gives one; `::`: a DHCPv6 server does; `0.0.0.0,::`: one of each."),
  supported("ignore", "`\"true\"`: the Service is left alone; what it has is taken back."),
  supported("serviceInterface", "Link for the addresses of the Service, or `auto`: the link whose subnet holds the address."),
  supported("serviceVLAN", "A VLAN such as `eth0.200` for the addresses of the Service: the link is made where it is missing, and removed with the last Service that asks for it."),
  supported("allow-reconcile-without-endpoints", "`\"true\"`: held although no endpoint serves; policy Cluster only."),
  supported("forcePerServiceElection", "`\"true\"`, with `per_service_election_on_demand`: the Service has an owner of its own, together with those that share something with it."),
  supported("leaseName", "With `svc_election` or `per_service_election_on_demand`: Services that name the same Lease (`name` or `namespace/name`) are owned together."),
  supported("forwardUPNP", "`\"true\"`, with `enable_upnp`: every TCP and UDP port of the Service is opened at the gateway of the link, by UPnP (IGD 1 and 2), PCP or NAT-PMP, and leads to its address; to an IPv6 address through a pinhole of the firewall."),
  supported("upnp-lease-duration", "For how long the gateway is asked at a time, as `1h30m` or `45s`; `0s`: for ever. Default `1h`. Asked again when half of it is over."),
  supported("loadbalancerHostname", "With `0.0.0.0` or `::`: the name that the DHCP server is told (option 12; DHCPv6: option 39)."),
  supported("ddns", "`\"true\"`: a DNS name among the addresses is none to look up: a DHCP server gives the address (`dhcp_mode` says of which family), and is told the first label of the name."),
  supported("hwaddr", "With `0.0.0.0` or `::`: the MAC address of the Service's link, by which the DHCP server knows it on every node. Made of the UID where it is not set. A DHCPv6 server knows it by the UID itself.", WRITTEN),
  supported("requestedIP", "With `0.0.0.0` or `::`: the address that was given last (IPv4 before IPv6, with a comma between them); it is asked for again after a failover or a restart.", WRITTEN),
  supported("macvlanName", "With `0.0.0.0` or `::`: name of the link that is made for the address. Services that name the same one share one address."),
  supported("dhcp-broadcast", "With `0.0.0.0`: `\"true\"` asks DHCP servers to answer by broadcast."),
  supported("rp_filter", "With `0.0.0.0`: the reverse path filter of the link: `0` off, `1` strict, `2` loose (default). The kernel takes the larger of this and `net.ipv4.conf.all.rp_filter`."),
  supported("vipHost", "The node that holds the addresses.", WRITTEN),
  supported("has-ip", "A label, with `enable_node_labeling`: the control-plane VIP that the node holds; an IPv6 address as its 32 hexadecimal digits, several with `_` between them.", { on: "Node", written: true }),
  row("supported", "service-provided.kube-vip.io/<service>.<namespace>", "A label, with `enable_node_labeling`: the VIPs of this Service that the node holds, written as those of `has-ip`. A name longer than a label may be is cut, and ends in a hash of the whole.", { on: "Node", written: true }),
  row("supported", "metallb.io/loadBalancerIPs", "MetalLB's spelling of `kube-vip.io/loadbalancerIPs`."),
  row("supported", "romanaip", "Romana's way to ask for an address: `{\"auto\": false, \"ip\": \"192.0.2.10\"}` or `{\"auto\": true}`; on Services of any type."),
  row("supported", "romanavip", "The same, as Romana v2.0.2 spells it."),
  ours("bgp-communities", "BGP: communities of the Service's routes, instead of those of the peer, comma separated: `65000:100`, `64496:1:2` (large), `no-export`, `graceful-shutdown` and so on."),
  ours("bgp-local-pref", "BGP: LOCAL_PREF of the Service's routes to internal peers."),
  ours("bgp-med", "BGP: MULTI_EXIT_DISC of the Service's routes."),
  ours("bgp-prepend", "BGP: how often the own AS number is repeated in the path of the Service's routes, 0 to 32."),
  ours("bgp-peers", "BGP: names of the peers that get the Service's routes, comma separated; without it all do."),
  row("supported", "<prefix>/[bgp-peers-N-]node-asn", `${BGP_NODE}AS number of the node. What group N does not say, it has from group 0.`, NODE),
  row("supported", "<prefix>/[bgp-peers-N-]peer-asn", `${BGP_NODE}AS number of the peers.`, NODE),
  row("supported", "<prefix>/[bgp-peers-N-]peer-ip", `${BGP_NODE}addresses of peers, comma separated.`, NODE),
  row("supported", "<prefix>/[bgp-peers-N-]src-ip", `${BGP_NODE}source address, and router ID.`, NODE),
  row("supported", "<prefix>/[bgp-peers-N-]bgp-pass", `${BGP_NODE}password (TCP MD5), in base64.`, NODE),
  row("supported", "<prefix>/[bgp-peers-N-]peer-multi-hop", `${BGP_NODE}\`true\`: the peers are not on a link of the node.`, NODE),
  ours("announced", "What was written to the status, so that only that is ever changed.", WRITTEN),
  ours("granted", "The address that the Service was given from a pool, so that it keeps it.", WRITTEN),
  ours("granted-in-use", "Such an address at which another host answered, until the Service is given another one.", WRITTEN),
  ours("external-ips", "Which of `spec.externalIPs` are ours, so that only these are ever removed.", WRITTEN),
  ours("external-ips-refused", "Which of `spec.externalIPs` the API did not take, so that the next holder does not ask again.", WRITTEN),
  ours("load", "With an owner of its own: how many VIPs the Service counts for where they are spread evenly, above 0 and up to 1000; by default 1."),
  ours("preferred-nodes", "With an owner of its own: names of nodes, comma separated, the best one first. The first that can holds the Service; once one has been there for a while, the Service moves to it, at the pace of `svc_rebalance_rate`."),
  ours("drain", "`\"true\"`: the VIPs of this node are handed over, also that of the control plane (`vip drain <node>`).", { on: "Node" }),
  ours("weight", "How many VIPs the node takes in proportion to others, with `svc_election`; by default 1.", { on: "Node" }),
  ours("external", "Where the ports are reached from outside: `198.51.100.1:80/TCP`, comma separated; followed when the gateway's address or port changes.", WRITTEN),
  ours("ownership", "A label: what the Lease is for, `member` or `claims`.", { on: "Lease", written: true }),
  ours("node", "The whole name of the node whose member Lease it is.", { on: "Lease", written: true }),
  ours("member", "What a member says of itself.", { on: "Lease", written: true }),
  ours("renewed", "The renewTime that one of ours wrote last: another one tells that somebody else has written the Lease since.", { on: "Lease", written: true }),
  ours("claims", "Which node has which key.", { on: "Lease", written: true }),
  planned("ignore-service-security", "a filter for ports that a Service does not have"),
  planned("egress", EGRESS),
  planned("egress-internal", EGRESS),
  planned("egress-ipv6", EGRESS),
  planned("egress-destination-ports", EGRESS),
  planned("egress-source-ports", EGRESS),
  planned("egress-allowed-networks", EGRESS),
  planned("egress-denied-networks", EGRESS),
  planned("egress-no-internal-traffic", EGRESS),
  planned("egress-detect-api-server", EGRESS),
  planned("active-endpoint", EGRESS, WRITTEN),
  planned("active-endpoint-ipv6", EGRESS, WRITTEN),
  planned("egress-nftables-table", EGRESS, WRITTEN),
  dropped("flush-conntrack", "a VIP that moves meets a node that knows none of its connections, and one that stays loses none"),
  row("dropped", "development.kube-vip.io/synthetic-api-server-error-on-update", "a hook for tests"),
];
