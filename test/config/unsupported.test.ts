import { describe, expect, test } from "vitest";
import { examineSettings, type Examined, type SettingsInput } from "../../src/config/load.js";

const BASE = { vip_arp: "true", svc_enable: "true" };

function examine(env: Readonly<Record<string, string>>, more: Partial<SettingsInput> = {}): Examined {
  return examineSettings({ env: { ...BASE, ...env }, ...more });
}

describe("a setting of kube-vip that this version does not act on", () => {
  test.each<readonly [string, Record<string, string>, string]>([
    ["lb_enable", { lb_enable: "true" }, 'lb_enable="true" has no effect: the VIP leads to the API server of the node'],
    ["zebra_url", { zebra_url: "unix:/z" }, 'zebra_url="unix:/z" has no effect: routes are announced by BGP'],
    ["debounce_time", { debounce_time: "500ms" }, 'debounce_time="500ms" has no effect: changes are put together'],
  ])("%s: is spoken about, and the start goes on", (_name, env, text) => {
    const { warnings, problems } = examine(env);
    expect(problems).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining(text)]);
  });

  test.each<readonly [string, Record<string, string>, string]>([
    ["the routing table mode beside ARP", { vip_routingtable: "1" }, 'vip_routingtable="1" is refused in this version; planned: the routing table mode; this version serves by ARP or BGP (vip_arp, bgp_enable)'],
    ["WireGuard", { vip_wireguard: "true" }, 'vip_wireguard="true" is refused: tunnels are'],
    ["the filter for ports", { enable_service_security: "true" }, 'enable_service_security="true" is refused in this version; planned: a filter for ports that a Service does not have: without it they would be open'],
    ["egress", { egress_podcidr: "10.0.0.0/8" }, 'egress_podcidr="10.0.0.0/8" is refused in this version; planned: egress'],
    ["iptables", { iptables_backend: "nft" }, 'iptables_backend="nft" is refused: nothing here uses iptables'],
  ])("%s: ends the start with one line", (_name, env, text) => {
    expect(examine(env).problems).toEqual([expect.stringContaining(text)]);
  });

  test.each<Record<string, string>>([{ bgp_enable: "false" }, { vip_wireguard: "0" }, { egress_clean: "F" }, { lb_enable: "false" }, { vip_leaderelection: "true" }, { vip_skipdad: "true" }, { dhcp_mode: "ipv4" }])(
    "is passed over where it asks for nothing, or for what is so anyway: %j",
    (env) => {
      const { warnings, problems } = examine(env);
      expect([...warnings, ...problems]).toEqual([]);
    },
  );

  test("is found as a flag and in a file, too", () => {
    expect(examine({}, { flags: { leaderElectionType: "etcd" } }).problems).toEqual([expect.stringContaining('--leaderElectionType="etcd" is refused')]);
    expect(examine({}, { flags: { leaderElectionType: "kubernetes" } }).problems).toEqual([]);
    expect(examine({}, { file: { path: "/f", text: "egress_podcidr: 10.0.0.0/8" } }).problems).toEqual([expect.stringContaining('/f: egress_podcidr="10.0.0.0/8" is refused')]);
  });

  test("what kube-vip's Helm chart and manifests set starts", () => {
    const chart = { vip_interface: "", vip_arp: "true", lb_enable: "true", lb_port: "6443", vip_subnet: "32", cp_enable: "false", svc_enable: "true", svc_election: "false", vip_leaderelection: "false" };
    const { problems, warnings } = examine(chart);
    expect(problems).toEqual([]);
    expect(warnings.map((line) => line.split(/[ =]/)[0])).toEqual(["lb_enable", "lb_port"]);
    const pod = { vip_arp: "true", port: "6443", vip_nodename: "n1", dns_mode: "first", dhcp_mode: "first", address: "192.0.2.1", prometheus_server: ":2112", vip_subnet: "32", cp_enable: "true", cp_namespace: "kube-system", vip_leaderelection: "true", vip_leasename: "plndr-cp-lock", vip_leaseduration: "15", vip_renewdeadline: "10", vip_retryperiod: "2" };
    expect(examine(pod)).toMatchObject({ problems: [], warnings: [] });
  });
});

describe("a variable that nobody knows", () => {
  test.each<readonly [string, string]>([
    ["svc_enabled", "svc_enabled is not known and has no effect; did you mean svc_enable?"],
    ["vip_interfase", "vip_interfase is not known and has no effect; did you mean vip_interface?"],
    ["VIP_ARP", "VIP_ARP is not known and has no effect; did you mean vip_arp?"],
    ["adress", "adress is not known and has no effect; did you mean address?"],
    ["vip_something_else_entirely", "vip_something_else_entirely is not known and has no effect"],
    ["control_plane_health_check_adress", "control_plane_health_check_adress is not known and has no effect; did you mean control_plane_health_check_address?"],
  ])("%s is reported, with the name that may have been meant", (name, line) => {
    expect(examine({ [name]: "x" }).warnings).toEqual([line]);
  });

  test.each(["VIP_PORT", "VIP_SERVICE_HOST", "VIP_SERVICE_PORT_HTTPS", "KUBE_VIP_SERVICE_HOST", "VIP_PORT_443_TCP", "VIP_PORT_443_TCP_ADDR", "LB_PORT", "SVC_PORT_53_UDP_PROTO", "HOME", "PATH", "http_proxy", "no_proxy", "LANG", "KUBERNETES_PORT"])(
    "%s comes from Kubernetes or the system and is none of ours",
    (name) => {
      expect(examine({ [name]: "tcp://10.0.0.1:443" }).warnings).toEqual([]);
    },
  );

  test("that is empty counts as unset", () => {
    expect(examine({ vip_foo: "" }).warnings).toEqual([]);
  });
});
