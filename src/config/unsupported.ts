/** A setting of kube-vip that this version does not act on. */
export interface Unsupported {
  /** Environment variables, with older spellings. */
  readonly env: readonly string[];
  /** Long options without dashes. */
  readonly flags: readonly string[];
  /** `planned`: `reason` names the feature that brings it. `dropped`: `reason` says why it never comes. `always`: what it asks for is so in any case. */
  readonly fate: "planned" | "dropped" | "always";
  readonly reason: string;
  /** What a start does where it is set: says so and goes on, goes on without a word, or ends, where silence would weaken security or lose traffic. */
  readonly today: "warn" | "silent" | "refuse";
  /** Values that ask for nothing, beside the empty one. */
  readonly harmless: readonly string[];
  /** The value is not shown. */
  readonly secret: boolean;
}

type Rest = Partial<Omit<Unsupported, "env" | "reason" | "fate">>;

const NO = ["0", "f", "F", "false", "FALSE", "False"];

function row(fate: Unsupported["fate"], env: string, reason: string, rest: Rest = {}): Unsupported {
  const names = env === "" ? [] : env.split(" ");
  return { env: names, flags: [], fate, reason, today: fate === "always" ? "silent" : "warn", harmless: NO, secret: false, ...rest };
}

const TABLE = "the routing table mode";
const EGRESS = "egress: without its rules the traffic of pods would leave with the address of a node";
const IPVS = "the VIP leads to the API server of the node that holds it; IPVS of our own would be in the way of kube-proxy's";
const ZEBRA = "routes are announced by BGP; there is no second way into FRR";

/** What of kube-vip's settings is not in SETTINGS: each is planned or dropped, with the reason. */
export const UNSUPPORTED: readonly Unsupported[] = [
  // Modes and features to come.
  row("planned", "vip_routingtable", `${TABLE}; this version serves by ARP or BGP (vip_arp, bgp_enable)`, { flags: ["table"], today: "refuse" }),
  row("planned", "vip_routingtableid", TABLE, { flags: ["tableID"] }),
  row("planned", "vip_routingtabletype", TABLE, { flags: ["tableType"] }),
  row("planned", "vip_routingprotocol", TABLE, { flags: ["routingProtocol"] }),
  row("planned", "vip_cleanroutingtable", TABLE, { flags: ["cleanRoutingTable"] }),
  row("dropped", "dhcp_backoff_attempts", "a DHCP server is asked for ever, with growing pauses; an Event says so when it takes long", { flags: ["dhcpBackoffAttempts"] }),
  row("planned", "enable_service_security", "a filter for ports that a Service does not have: without it they would be open", { flags: ["onlyAllowTrafficServicePorts"], today: "refuse" }),
  row("planned", "disable_service_updates", "leaving statuses alone; until then the status and annotations of Services are written", { flags: ["disableServiceUpdates"] }),
  row("planned", "egress_podcidr", EGRESS, { today: "refuse" }),
  row("planned", "egress_servicecidr", EGRESS, { today: "refuse" }),
  row("planned", "egress_withnftables", EGRESS, { flags: ["egressWithNftables"], today: "refuse", harmless: [] }),
  row("planned", "egress_enableinternalsnat", EGRESS, { today: "refuse" }),
  row("planned", "egress_clean EGRESS_CLEAN", EGRESS, { today: "refuse" }),
  // What never comes.
  row("dropped", "vip_wireguard", "tunnels are another program's business, and without the tunnel the traffic would go in the clear", { flags: ["wireguard"], today: "refuse" }),
  row("dropped", "iptables_backend", "nothing here uses iptables; kube-vip does not use the setting either. Rules that somebody counts on would be missing", { today: "refuse" }),
  row("dropped", "lb_enable", IPVS, { flags: ["enableLoadBalancer"] }),
  row("dropped", "lb_port", IPVS, { flags: ["lbPort"] }),
  row("dropped", "lb_fwdmethod", IPVS, { flags: ["lbForwardingMethod"] }),
  row("dropped", "backend_health_check_interval", IPVS),
  row("dropped", "zebra_enable", ZEBRA, { flags: ["zebra"] }),
  row("dropped", "zebra_url", ZEBRA, { flags: ["zebraUrl"] }),
  row("dropped", "zebra_version", ZEBRA, { flags: ["zebraVersion"] }),
  row("dropped", "zebra_software_name", ZEBRA, { flags: ["zebraSoftwareName"] }),
  row("dropped", "mirror_dest_interface", "mirroring of traffic has nothing to do with VIPs: `tc` does it", { flags: ["mirrorDestInterface"] }),
  row("dropped", "debounce_time", "changes are put together for some milliseconds; there is nothing to wait for", { flags: ["debounceTime"], harmless: ["0s", "0"] }),
  row("dropped", "enable_endpoints", "EndpointSlices say the same, and more", { flags: ["enableEndpoints"] }),
  row("dropped", "instance_name INSTANCE_NAME", "it names kube-vip's tables for egress; ours need no name", { flags: ["instanceName"] }),
  row("dropped", "vip_configmap", "kube-vip does not use it", { flags: ["configMap"] }),
  row("dropped", "vip_interfaceloglobal", "a VIP has scope host, so that it is never a source address; it answers all the same", { flags: ["loInterfaceGlobalScope"] }),
  row("dropped", "vip_preserve_on_leadership_loss", "an address that stays after its Lease is one that two nodes have", { flags: ["preserveVipOnLeadershipLoss"] }),
  row("dropped", "vip_loseleadership_timeout_seconds", "a link without carrier gives its VIPs up after 200 ms", { flags: ["loseLeadershiptTimeoutSeconds", "loseLeadershipTimeoutSeconds"] }),
  row("dropped", "vip_leaseannotations", "nothing reads them; annotations that are on a Lease are kept"),
  row("dropped", "cp_detect", "name the API server by kubernetes_addr, for example 127.0.0.1", { flags: ["autodetectcp"] }),
  row("dropped", "KUBEVIP_ENABLE_LOADBALANCERCLASS KUBEVIP_CUSTOM_LOADBALANCERCLASS_NAME", "kube-vip-cloud-provider's; lb_class_name says which class is served"),
  row("dropped", "vip_singlenode vip_startleader", "kube-vip does not use it"),
  row("dropped", "vip_packet vip_packetproject vip_packetprojectid provider_config", "the cloud that it was for is gone"),
  row("dropped", "", "Leases in the Kubernetes API are the only way to elect", { flags: ["leaderElectionType"], today: "refuse", harmless: ["kubernetes"] }),
  row("dropped", "", "Leases in the Kubernetes API are the only way to elect", { flags: ["etcdCACert", "etcdCert", "etcdKey", "etcdEndpoints"] }),
  // Asked for or not, it is so.
  row("always", "vip_allow_interface_not_up", "a link that is down at the start is waited for", { flags: ["allowInterfaceNotUp"] }),
  row("always", "vip_loseleadership", "a node whose link is down gives its VIPs up at once, and does not end", { flags: ["loseLeadership"] }),
  row("always", "vip_skipdad", "IPv6 VIPs are added without the kernel's detection of duplicates, after a probe of our own"),
  row("always", "enable_endpointslices", "EndpointSlices are what is read"),
];
