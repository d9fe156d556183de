import { BGP_SETTINGS } from "./bgp-settings.js";
import { bool, healthAddress, healthPort, hosts, int, listenAddress, OFF, oneOf, onOff, prefixes, text, type Setting } from "./setting-types.js";

export type { Refused, Setting, SettingType } from "./setting-types.js";

/** One table, from which environment, flags, file keys, manifests, `vip explain` and documentation come. What kube-vip has beside it: UNSUPPORTED. */
export const SETTINGS = {
  arp: { env: ["vip_arp"], flag: "arp", type: bool, fallback: "false", doc: "Hold VIPs on a link and announce them by ARP and Neighbor Discovery." },
  services: { env: ["svc_enable"], flag: "services", type: bool, fallback: "false", doc: "Serve Services of type LoadBalancer." },
  controlPlane: { env: ["cp_enable"], flag: "controlplane", type: bool, fallback: "false", doc: "Serve a VIP for the API server." },
  address: { env: ["address", "vip_address"], flag: "address", flagAliases: ["vip"], type: hosts, fallback: "", needs: ["controlPlane"], doc: "The control-plane VIP: IP addresses, comma separated; with `vip_ddns` a DNS name." },
  ddns: { env: ["vip_ddns"], flag: "ddns", type: bool, fallback: "false", needs: ["controlPlane"], doc: "The control-plane VIP comes from a DHCP server, which is told the first label of `address` as the host name." },
  dhcpMode: { env: ["dhcp_mode"], flag: "dhcpMode", type: oneOf("first", "ipv4", "ipv6", "dual"), fallback: "first", doc: "Addresses of which families are asked for by DHCP with `vip_ddns` and `kube-vip.io/ddns`; `first`: as `dns_mode`, and IPv4 where that is `first`, too." },
  port: { env: ["port"], flag: "port", type: int(1, 65535), fallback: "6443", doc: "Port of the API server." },
  iface: { env: ["vip_interface"], flag: "interface", type: text, fallback: "", doc: "Link for the VIPs; unset: the link of the default route, and in BGP mode `lo`." },
  servicesIface: { env: ["vip_servicesinterface"], flag: "serviceInterface", flagAliases: ["servicesInterface"], type: text, fallback: "", needs: ["services"], doc: "Link for the VIPs of Services, or `auto`: the link whose subnet holds the address; unset: as `vip_interface`." },
  duplicateCheck: { env: ["duplicate_check"], flag: undefined, type: onOff, fallback: "on", needs: ["arp"], doc: "Look whether somebody else has an address before it is taken for the first time, and listen for it afterwards." },
  nodeName: { env: ["vip_nodename"], flag: "nodeName", type: text, fallback: "", doc: "Name of this node; unset: the host name, lower case." },
  kubeconfig: { env: ["k8s_config_file"], flag: "k8sConfigPath", type: text, fallback: "/etc/kubernetes/admin.conf", doc: "Path of the kubeconfig." },
  kubernetesAddress: { env: ["kubernetes_addr"], flag: undefined, type: text, fallback: "", doc: "Host or URL of the API server, instead of the kubeconfig's." },
  controlPlaneNamespace: { env: ["cp_namespace"], flag: "namespace", short: "n", type: text, fallback: "kube-system", doc: "Namespace of the Leases." },
  controlPlaneLease: { env: ["vip_leasename"], flag: "leaseName", type: text, fallback: "plndr-cp-lock", needs: ["controlPlane"], doc: "Lease of the control-plane VIP." },
  bootstrap: { env: ["cp_bootstrap"], flag: "bootstrap", type: bool, fallback: "false", needs: ["controlPlane"], doc: "For the first node of a kubeadm cluster: while the API has never been reached and nobody else answers for the control-plane VIP, hold it without a Lease." },
  healthAddress: { env: ["control_plane_health_check_address"], flag: "controlPlaneHealthCheckAddress", type: healthAddress, fallback: "", needs: ["controlPlane"], doc: "Where this node's API server tells its health; unset: /livez at 127.0.0.1 and `port`, by HTTPS; `off`: never asked." },
  healthPeriodSeconds: { env: ["control_plane_health_check_period_seconds"], flag: "controlPlaneHealthCheckPeriodSeconds", type: int(1, 3600), fallback: "5", unit: "s", needs: ["controlPlane"], doc: "Time from one health check of the API server to the next." },
  healthTimeoutSeconds: { env: ["control_plane_health_check_timeout_seconds"], flag: "controlPlaneHealthCheckTimeoutSeconds", type: int(1, 3600), fallback: "3", unit: "s", needs: ["controlPlane"], doc: "A health check without an answer for so long has failed." },
  healthFailureThreshold: { env: ["control_plane_health_check_failure_threshold"], flag: "controlPlaneHealthCheckFailureThreshold", type: int(1, 1000), fallback: "3", needs: ["controlPlane"], doc: "So many failed checks in a row make the API server sick: this node gives the control-plane VIP up." },
  healthCaPath: { env: ["control_plane_health_check_ca_path"], flag: "controlPlaneHealthCheckCAPath", type: text, fallback: "", needs: ["controlPlane"], doc: "PEM file of the CA of the API server's certificate; unset: kubeadm's for a loopback address, else the well-known CAs." },
  servicesLease: { env: ["svc_leasename"], flag: "servicesLeaseName", type: text, fallback: "plndr-svcs-lock", needs: ["services"], doc: "Lease of the Services." },
  serviceNamespace: { env: ["svc_namespace"], flag: undefined, type: text, fallback: "", needs: ["services"], doc: "Serve Services of this namespace only; unset: of all." },
  leaseSeconds: { env: ["vip_leaseduration"], flag: "leaseDuration", type: int(1, 3600), fallback: "5", unit: "s", kubeVip: "15", doc: "A holder that is silent for so long is taken for dead." },
  renewDeadlineSeconds: { env: ["vip_renewdeadline"], flag: "leaseRenewDuration", type: int(1, 3600), fallback: "3", unit: "s", kubeVip: "10", doc: "A holder that could not renew for so long lets go." },
  retrySeconds: { env: ["vip_retryperiod"], flag: "leaseRetry", type: int(1, 3600), fallback: "1", unit: "s", kubeVip: "2", doc: "Time between two renews." },
  arpRateMs: { env: ["vip_arpRate"], flag: undefined, type: int(500, 3_600_000), fallback: "3000", unit: "ms", needs: ["arp"], doc: "Time between two announcements of one VIP, after the burst of a take-over." },
  arpPacketsPerSecond: { env: ["vip_arp_pps"], flag: undefined, type: int(1, 1_000_000), fallback: "500", unit: "1/s", needs: ["arp"], doc: "Announcements per second of this node, at the most." },
  prefixes: { env: ["vip_subnet", "vip_cidr"], flag: "vipSubnet", type: prefixes, fallback: "32,128", doc: "Prefix lengths of VIPs for IPv4 and IPv6; `auto`: of the link's subnet that holds the address. Of IPv4 only a subnet in which the link has an address with that prefix length, else 32." },
  addresses: { env: ["svc_addresses"], flag: "svcAddresses", type: text, fallback: "", needs: ["services"], doc: "CIDRs and ranges (192.0.2.10-192.0.2.20), comma separated: addresses for Services that ask for none, where the ConfigMap of addresses has none for their namespace. `0.0.0.0/32` alone: from a DHCP server." },
  poolNamespace: { env: ["KUBEVIP_NAMESPACE"], flag: undefined, type: text, fallback: "kube-system", needs: ["services"], doc: "Namespace of the ConfigMap of addresses." },
  poolConfigMap: { env: ["KUBEVIP_CONFIG_MAP"], flag: undefined, type: text, fallback: "kubevip", needs: ["services"], doc: "Name of the ConfigMap of addresses, as kube-vip-cloud-provider reads it (`cidr-global`, `range-<namespace>` ...)." },
  dnsMode: { env: ["dns_mode"], flag: "dnsMode", type: oneOf("first", "ipv4", "ipv6", "dual"), fallback: "first", doc: "Which addresses of a DNS name are held: the first, the first of one family, or the first of each." },
  dataplaneCheck: { env: ["dataplane_check"], flag: undefined, type: oneOf("auto", "off"), fallback: "auto", needs: ["services"], doc: "Serve from nodes only where kube-proxy (port 10256) or a Service's healthCheckNodePort says that traffic arrives; counted once it has answered." },
  dhcpManageParent: { env: ["dhcp_manage_parent"], flag: undefined, type: bool, fallback: "false", needs: ["services"], doc: "While addresses by DHCP are on macvlans, set `arp_ignore` 1 and `arp_announce` 2 on the link below, which otherwise answers for them with its own MAC, too; put back with the last of them." },
  romanaDatapath: { env: ["romana_datapath"], flag: undefined, type: oneOf("auto", "nft"), fallback: "auto", needs: ["services"], doc: "How traffic of Romana VIPs reaches pods where the Service is not of type LoadBalancer: by spec.externalIPs where the API accepts it, or by nftables rules on the holder." },
  upnp: { env: ["enable_upnp", "enableUPNP"], flag: undefined, type: bool, fallback: "false", needs: ["services"], doc: "Open the ports of Services that have `kube-vip.io/forwardUPNP` at the gateway: by UPnP, or by PCP or NAT-PMP where it speaks no UPnP." },
  upnpStatus: { env: ["upnp_status"], flag: undefined, type: bool, fallback: "false", needs: ["upnp"], doc: "Write the external address of the gateway into the status of such Services, too, as kube-vip does: kube-proxy and external-dns then take it for an address of ours." },
  election: { env: ["svc_election"], flag: "servicesElection", type: bool, fallback: "false", needs: ["services"], doc: "An owner for each Service (or group of Services that share addresses) instead of one for all: VIPs are spread over the nodes." },
  electionOnDemand: { env: ["per_service_election_on_demand"], flag: "perServiceElectionOnDemand", type: bool, fallback: "false", needs: ["services"], doc: "The same for Services with the annotation `kube-vip.io/forcePerServiceElection` and those that share an address with them; the others have one owner for all." },
  rebalanceRate: { env: ["svc_rebalance_rate"], flag: undefined, type: int(0, 1000), fallback: "5", unit: "1/s", needs: ["election", "electionOnDemand"], doc: "With `svc_election`: so many VIPs a second are handed over to spread them evenly once a node has been there for a while; 0: never." },
  moveCordoned: { env: ["svc_move_cordoned"], flag: undefined, type: bool, fallback: "true", needs: ["services"], doc: "A cordoned node hands the VIPs of Services over to others, where there are any that are not; false: a cordon changes nothing." },
  loadBalancerClass: { env: ["lb_class_name", "LoadBalancerClassName"], flag: "lbClassName", type: text, fallback: "kube-vip.io/kube-vip-class", emptyCounts: true, needs: ["services"], doc: "Services of another class are left alone. Set and empty: the class of Services that have none." },
  legacyClasses: { env: ["lb_class_legacy_handling", "LoadBalancerClassLegacyHandling"], flag: "lbClassNameLegacyHandling", type: bool, fallback: "true", needs: ["services"], doc: "Serve Services without a class, too; false: only those whose class equals `lb_class_name`." },
  classOnly: { env: ["lb_class_only"], flag: "lbClassOnly", type: bool, fallback: "false", needs: ["services"], doc: "With legacy handling: leave Services without a class alone." },
  nodeLabels: { env: ["enable_node_labeling"], flag: "enableNodeLabeling", type: bool, fallback: "false", doc: "The Node says by labels what it holds: `kube-vip.io/has-ip` and `service-provided.kube-vip.io/<service>.<namespace>`." },
  ...BGP_SETTINGS,
  controlDirectory: { env: ["vip_control_dir"], flag: undefined, type: text, fallback: "/run/vip", doc: "Directory of the socket by which `vip status` and `vip why` ask the daemon of this node." },
  prometheusServer: { env: ["prometheus_server"], flag: "prometheusHTTPServer", type: listenAddress, fallback: ":2112", doc: "Where metrics are served (`/metrics`), as `address:port` or `:port`; `off` or an empty flag: nowhere." },
  healthCheckPort: { env: ["health_check_port"], flag: "healthCheckPort", type: healthPort, fallback: "0", doc: "Port of `/livez` and `/readyz` on every address of the node; 0: none." },
  configFile: { env: ["config_file"], flag: "config-file", type: text, fallback: "", doc: "A file of settings in YAML or JSON: their environment names as keys. Flags and environment come before it; a key that is not known is an error." },
  logLevel: { env: ["vip_loglevel"], flag: "log", type: int(-4, 8), fallback: "0", doc: "Least severity that is logged: -4 debug, 0 info, 4 warn, 8 error." },
} as const satisfies Record<string, Setting<unknown>>;

/** The key of a setting in the table; also its name in a config file, beside those of its environment variables. */
export type SettingName = keyof typeof SETTINGS;

/** Every setting with its value, after its type. */
export type Settings = { readonly [N in SettingName]: (typeof SETTINGS)[N] extends Setting<infer T> ? T : never };

/** The rows of the table, for those who go through all of them. */
export const SETTING_ROWS: readonly (readonly [SettingName, Setting<unknown>])[] = Object.entries(SETTINGS) as [SettingName, Setting<unknown>][];

/** The URL that tells the health of this node's API server; undefined where nobody asks. */
export function controlPlaneHealthUrl({ controlPlane, healthAddress: address, port }: Pick<Settings, "controlPlane" | "healthAddress" | "port">): string | undefined {
  if (!controlPlane || address === OFF) return undefined;
  return address ?? `https://127.0.0.1:${port}/livez`;
}

/** A value as it may be shown: without the secrets that are in it. */
export function shownText({ secret }: Setting<unknown>, value: string): string {
  return secret === undefined ? value : secret(value);
}
