import { parseIp } from "../lib/ip.js";
import type { IpAddress } from "../lib/ip.js";

/** A text that is no value of its type: what was expected instead. */
export interface Refused {
  readonly expected: string;
}

export interface SettingType<T> {
  /** How the type is called where settings are explained. */
  readonly name: string;
  parse(text: string): { readonly value: T } | Refused;
}

export interface Setting<T> {
  /** Environment variables, the first one found counts; names as in kube-vip. */
  readonly env: readonly string[];
  /** Long option without dashes, as in kube-vip; undefined where there is none. */
  readonly flag: string | undefined;
  readonly type: SettingType<T>;
  /** The default as text, parsed like any other value; an empty text stands for `unset`. */
  readonly fallback: string;
  readonly unit?: string;
  readonly doc: string;
}

// Go's strconv.ParseBool, so that every manifest that works with kube-vip reads the same.
const TRUE = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE = ["0", "f", "F", "false", "FALSE", "False"];

const bool: SettingType<boolean> = {
  name: "true or false",
  parse(text) {
    if (TRUE.includes(text)) return { value: true };
    return FALSE.includes(text) ? { value: false } : { expected: "true or false" };
  },
};

const onOff: SettingType<boolean> = {
  name: "on or off",
  parse: (value) => (value === "on" || value === "off" ? { value: value === "on" } : { expected: "on or off" }),
};

const text: SettingType<string | undefined> = {
  name: "text",
  parse: (value) => ({ value: value === "" ? undefined : value }),
};

const addresses: SettingType<readonly IpAddress[]> = {
  name: "IP addresses, comma separated",
  parse(value) {
    const parsed: IpAddress[] = [];
    for (const part of value.split(",").filter((p) => p.trim() !== "")) {
      const address = parseIp(part.trim());
      if (address === undefined) return { expected: "IP addresses such as 192.0.2.10, comma separated" };
      parsed.push(address);
    }
    return { value: parsed };
  },
};

/** What turns the health check of the API server off. */
const OFF = "off";

const healthAddress: SettingType<string | undefined> = {
  name: "an http or https URL, or `off`",
  parse(value) {
    if (value === "" || value === OFF) return { value: value === "" ? undefined : OFF };
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) return { expected: "a URL such as https://127.0.0.1:6443/livez, or `off`" };
    return { value };
  },
};

/** Prefix lengths of VIPs by family; `auto`: of the subnet that holds the address. */
const prefixes: SettingType<{ readonly 4: number | "auto"; readonly 6: number | "auto" }> = {
  name: "prefix lengths such as 32 or 32,128, or `auto`",
  parse(value) {
    const [first = "32", second = first === "auto" ? "auto" : "128", ...more] = value.split(",").map((part) => part.trim().replace(/^\//, ""));
    const one = (part: string, most: number): number | "auto" | undefined => (part === "auto" ? "auto" : /^\d{1,3}$/.test(part) && Number(part) >= 1 && Number(part) <= most ? Number(part) : undefined);
    const [v4, v6] = [one(first, 32), one(second, 128)];
    if (v4 === undefined || v6 === undefined || more.length > 0) return { expected: "`auto`, or a prefix length for IPv4 (1 to 32) and, after a comma, one for IPv6 (1 to 128)" };
    return { value: { 4: v4, 6: v6 } };
  },
};

function oneOf<const T extends string>(...values: readonly T[]): SettingType<T> {
  const name = values.join(", ").replace(/, ([^,]*)$/, " or $1");
  return {
    name,
    parse(value) {
      const found = values.find((candidate) => candidate === value);
      return found === undefined ? { expected: name } : { value: found };
    },
  };
}

function int(least: number, most: number): SettingType<number> {
  const name = `a whole number from ${least} to ${most}`;
  return {
    name,
    parse(value) {
      const number = Number(value);
      return /^-?\d+$/.test(value) && number >= least && number <= most ? { value: number } : { expected: name };
    },
  };
}

/** `undefined`: off. */
const listenAddress: SettingType<string | undefined> = {
  name: "address:port or :port, or `off`",
  parse(value) {
    if (value === "" || value === OFF) return { value: undefined };
    const [, host = "", port = ""] = /^(.*):(\d{1,5})$/.exec(value) ?? [];
    const bare = host.replace(/^\[(.*)\]$/, "$1");
    const isAddress = bare === "" || parseIp(bare) !== undefined || /^[A-Za-z0-9.-]+$/.test(bare);
    if (!isAddress || Number(port) < 1 || Number(port) > 65535) return { expected: "an address and a port such as 127.0.0.1:2112, `:2112`, or `off`" };
    return { value };
  },
};

/** As in kube-vip: below 1024 a pod without more rights cannot listen. */
const healthPort: SettingType<number> = {
  name: "0, or a port from 1024 to 65535",
  parse(value) {
    const port = Number(value);
    return /^\d{1,5}$/.test(value) && (port === 0 || (port >= 1024 && port <= 65535)) ? { value: port } : { expected: "0, or a port from 1024 to 65535" };
  },
};

/** One table, from which environment, flags and documentation come. */
export const SETTINGS = {
  arp: { env: ["vip_arp"], flag: "arp", type: bool, fallback: "false", doc: "Hold VIPs on a link and announce them by ARP and Neighbor Discovery." },
  services: { env: ["svc_enable"], flag: "services", type: bool, fallback: "false", doc: "Serve Services of type LoadBalancer." },
  controlPlane: { env: ["cp_enable"], flag: "controlplane", type: bool, fallback: "false", doc: "Serve a VIP for the API server." },
  address: { env: ["address", "vip_address"], flag: "address", type: addresses, fallback: "", doc: "The control-plane VIP." },
  port: { env: ["port"], flag: "port", type: int(1, 65535), fallback: "6443", doc: "Port of the API server." },
  iface: { env: ["vip_interface"], flag: "interface", type: text, fallback: "", doc: "Link for the VIPs; unset: the link of the default route." },
  servicesIface: { env: ["vip_servicesinterface"], flag: "serviceInterface", type: text, fallback: "", doc: "Link for the VIPs of Services, or `auto`: the link whose subnet holds the address; unset: as `vip_interface`." },
  duplicateCheck: { env: ["duplicate_check"], flag: undefined, type: onOff, fallback: "on", doc: "Look whether somebody else has an address before it is taken for the first time, and listen for it afterwards." },
  nodeName: { env: ["vip_nodename"], flag: "nodeName", type: text, fallback: "", doc: "Name of this node; unset: the host name, lower case." },
  kubeconfig: { env: ["k8s_config_file"], flag: "k8sConfigPath", type: text, fallback: "/etc/kubernetes/admin.conf", doc: "Path of the kubeconfig." },
  kubernetesAddress: { env: ["kubernetes_addr"], flag: undefined, type: text, fallback: "", doc: "Host or URL of the API server, instead of the kubeconfig's." },
  controlPlaneNamespace: { env: ["cp_namespace"], flag: "namespace", type: text, fallback: "kube-system", doc: "Namespace of the Leases." },
  controlPlaneLease: { env: ["vip_leasename"], flag: "leaseName", type: text, fallback: "plndr-cp-lock", doc: "Lease of the control-plane VIP." },
  bootstrap: { env: ["cp_bootstrap"], flag: undefined, type: bool, fallback: "false", doc: "For the first node of a kubeadm cluster: while the API has never been reached and nobody else answers for the control-plane VIP, hold it without a Lease." },
  healthAddress: { env: ["control_plane_health_check_address"], flag: "controlPlaneHealthCheckAddress", type: healthAddress, fallback: "", doc: "Where this node's API server tells its health; unset: /livez at 127.0.0.1 and `port`, by HTTPS; `off`: never asked." },
  healthPeriodSeconds: { env: ["control_plane_health_check_period_seconds"], flag: "controlPlaneHealthCheckPeriodSeconds", type: int(1, 3600), fallback: "5", unit: "s", doc: "Time from one health check of the API server to the next." },
  healthTimeoutSeconds: { env: ["control_plane_health_check_timeout_seconds"], flag: "controlPlaneHealthCheckTimeoutSeconds", type: int(1, 3600), fallback: "3", unit: "s", doc: "A health check without an answer for so long has failed." },
  healthFailureThreshold: { env: ["control_plane_health_check_failure_threshold"], flag: "controlPlaneHealthCheckFailureThreshold", type: int(1, 1000), fallback: "3", doc: "So many failed checks in a row make the API server sick: this node gives the control-plane VIP up." },
  healthCaPath: { env: ["control_plane_health_check_ca_path"], flag: "controlPlaneHealthCheckCAPath", type: text, fallback: "", doc: "PEM file of the CA of the API server's certificate; unset: kubeadm's for a loopback address, else the well-known CAs." },
  servicesLease: { env: ["svc_leasename"], flag: "servicesLeaseName", type: text, fallback: "plndr-svcs-lock", doc: "Lease of the Services." },
  serviceNamespace: { env: ["svc_namespace"], flag: undefined, type: text, fallback: "", doc: "Serve Services of this namespace only; unset: of all." },
  leaseSeconds: { env: ["vip_leaseduration"], flag: "leaseDuration", type: int(1, 3600), fallback: "5", unit: "s", doc: "A holder that is silent for so long is taken for dead." },
  renewDeadlineSeconds: { env: ["vip_renewdeadline"], flag: "leaseRenewDuration", type: int(1, 3600), fallback: "3", unit: "s", doc: "A holder that could not renew for so long lets go." },
  retrySeconds: { env: ["vip_retryperiod"], flag: "leaseRetry", type: int(1, 3600), fallback: "1", unit: "s", doc: "Time between two renews." },
  arpRateMs: { env: ["vip_arpRate"], flag: undefined, type: int(500, 3_600_000), fallback: "3000", unit: "ms", doc: "Time between two announcements of one VIP, after the burst of a take-over." },
  arpPacketsPerSecond: { env: ["vip_arp_pps"], flag: undefined, type: int(1, 1_000_000), fallback: "500", unit: "1/s", doc: "Announcements per second of this node, at the most." },
  prefixes: { env: ["vip_subnet"], flag: "vipSubnet", type: prefixes, fallback: "32,128", doc: "Prefix lengths of VIPs for IPv4 and IPv6; `auto`: of the link's subnet that holds the address." },
  addresses: { env: ["svc_addresses"], flag: "svcAddresses", type: text, fallback: "", doc: "CIDRs and ranges (192.0.2.10-192.0.2.20), comma separated: addresses for Services that ask for none, where the ConfigMap of addresses has none for their namespace." },
  poolNamespace: { env: ["KUBEVIP_NAMESPACE"], flag: undefined, type: text, fallback: "kube-system", doc: "Namespace of the ConfigMap of addresses." },
  poolConfigMap: { env: ["KUBEVIP_CONFIG_MAP"], flag: undefined, type: text, fallback: "kubevip", doc: "Name of the ConfigMap of addresses, as kube-vip-cloud-provider reads it (`cidr-global`, `range-<namespace>` ...)." },
  dnsMode: { env: ["dns_mode"], flag: "dnsMode", type: oneOf("first", "ipv4", "ipv6", "dual"), fallback: "first", doc: "Which addresses of a DNS name are held: the first, the first of one family, or the first of each." },
  dataplaneCheck: { env: ["dataplane_check"], flag: undefined, type: oneOf("auto", "off"), fallback: "auto", doc: "Serve from nodes only where kube-proxy (port 10256) or a Service's healthCheckNodePort says that traffic arrives; counted once it has answered." },
  romanaDatapath: { env: ["romana_datapath"], flag: undefined, type: oneOf("auto", "nft"), fallback: "auto", doc: "How traffic of Romana VIPs reaches pods where the Service is not of type LoadBalancer: by spec.externalIPs where the API accepts it, or by nftables rules on the holder." },
  loadBalancerClass: { env: ["lb_class_name", "LoadBalancerClassName"], flag: "lbClassName", type: text, fallback: "kube-vip.io/kube-vip-class", doc: "Services of another class are left alone." },
  legacyClasses: { env: ["lb_class_legacy_handling", "LoadBalancerClassLegacyHandling"], flag: "lbClassNameLegacyHandling", type: bool, fallback: "true", doc: "Serve Services without a class, too; false: only those whose class equals `lb_class_name`." },
  classOnly: { env: ["lb_class_only"], flag: "lbClassOnly", type: bool, fallback: "false", doc: "With legacy handling: leave Services without a class alone." },
  controlDirectory: { env: ["vip_control_dir"], flag: undefined, type: text, fallback: "/run/vip", doc: "Directory of the socket by which `vip status` and `vip why` ask the daemon of this node." },
  prometheusServer: { env: ["prometheus_server"], flag: "prometheusHTTPServer", type: listenAddress, fallback: ":2112", doc: "Where metrics are served (`/metrics`), as `address:port` or `:port`; `off` or an empty flag: nowhere." },
  healthCheckPort: { env: ["health_check_port"], flag: "healthCheckPort", type: healthPort, fallback: "0", doc: "Port of `/livez` and `/readyz` on every address of the node; 0: none." },
  logLevel: { env: ["vip_loglevel"], flag: "log", type: int(-4, 8), fallback: "0", doc: "Least severity that is logged: -4 debug, 0 info, 4 warn, 8 error." },
} as const satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;

/** Every setting with its value, after its type. */
export type Settings = { readonly [N in SettingName]: (typeof SETTINGS)[N] extends Setting<infer T> ? T : never };

/** The URL that tells the health of this node's API server; undefined where nobody asks. */
export function controlPlaneHealthUrl({ controlPlane, healthAddress: address, port }: Pick<Settings, "controlPlane" | "healthAddress" | "port">): string | undefined {
  if (!controlPlane || address === OFF) return undefined;
  return address ?? `https://127.0.0.1:${port}/livez`;
}
