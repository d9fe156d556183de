import { describe, expect, test } from "vitest";
import { ConfigError, loadSettings } from "../../src/config/load.js";
import { controlPlaneHealthUrl, SETTINGS, type Settings } from "../../src/config/settings.js";

const BASE = { vip_arp: "true", svc_enable: "true" };

function problems(env: Record<string, string>): readonly string[] {
  try {
    loadSettings({ env: { ...BASE, ...env } });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("settings", () => {
  test("defaults are those of the table", () => {
    const { settings, warnings } = loadSettings({ env: BASE });
    expect(settings).toMatchObject({ leaseSeconds: 5, renewDeadlineSeconds: 3, retrySeconds: 1, servicesLease: "plndr-svcs-lock", address: [], iface: undefined });
    expect(warnings).toEqual([]);
    expect(Object.keys(settings)).toEqual(Object.keys(SETTINGS));
  });

  test.each<readonly [string, Record<string, string>, string]>([
    ["no boolean", { vip_arp: "yes" }, 'vip_arp="yes": expected true or false'],
    ["no number", { port: "64x" }, 'port="64x": expected a whole number from 1 to 65535'],
    ["out of range", { port: "65536" }, 'port="65536": expected a whole number from 1 to 65535'],
    ["no address", { address: "10.0.0" }, 'address="10.0.0": expected IP addresses such as 192.0.2.10, comma separated, or a DNS name'],
    ["no URL", { control_plane_health_check_address: "127.0.0.1:6443/livez" }, 'control_plane_health_check_address="127.0.0.1:6443/livez": expected a URL such as https://127.0.0.1:6443/livez, or `off`'],
    ["no URL of HTTP", { control_plane_health_check_address: "tcp://127.0.0.1:6443" }, 'control_plane_health_check_address="tcp://127.0.0.1:6443": expected a URL such as https://127.0.0.1:6443/livez, or `off`'],
    ["no health checks in a row", { control_plane_health_check_failure_threshold: "0" }, 'control_plane_health_check_failure_threshold="0": expected a whole number from 1 to 1000'],
    ["no mode", { vip_arp: "false" }, 'vip_arp="false", bgp_enable="false": expected one of them to be true (--arp or --bgp), the mode'],
    ["two modes", { bgp_enable: "true" }, 'vip_arp="true", bgp_enable="true": expected one of them, since a process has one mode'],
    ["a bootstrap where nobody has to hold the VIP", { vip_arp: "false", bgp_enable: "true", cp_bootstrap: "true" }, 'cp_bootstrap="true": expected false with bgp_enable, for every node whose API server is well announces the control-plane VIP'],
    ["nothing to do", { svc_enable: "false" }, 'svc_enable="false", cp_enable="false": expected one of them to be true (--services, --controlplane), or there is nothing to do'],
    ["control plane without address", { cp_enable: "true" }, 'address="": expected the address of the control-plane VIP (--address), for cp_enable is true'],
    ["lease too short for the kernel", { vip_leaseduration: "4" }, "vip_leaseduration x 0.98 - 1.6 must be at least vip_renewdeadline (vip_leaseduration=4, vip_renewdeadline=3, vip_retryperiod=1)"],
    ["retry too long", { vip_retryperiod: "2" }, "vip_renewdeadline must be more than 2 x vip_retryperiod (vip_leaseduration=5, vip_renewdeadline=3, vip_retryperiod=2)"],
  ])("%s ends the start with the name, the value and what was expected", (_name, env, line) => {
    expect(problems(env)).toContain(line);
  });

  test("kube-vip's defaults 15/10/2 work", () => {
    expect(problems({ vip_leaseduration: "15", vip_renewdeadline: "10", vip_retryperiod: "2" })).toEqual([]);
  });

  test("every problem is told, not only the first", () => {
    expect(problems({ port: "x", vip_arp: "y" })).toHaveLength(2);
  });

  test("a flag comes before the environment, and a difference is told", () => {
    const { settings, warnings } = loadSettings({ env: { ...BASE, port: "1" }, flags: { port: "2" } });
    expect(settings.port).toBe(2);
    expect(warnings).toEqual(["--port=2 is used, port=1 is not (kube-vip does it the other way round)"]);
  });

  test("an empty variable counts as unset, and `address` comes before the old `vip_address`", () => {
    expect(loadSettings({ env: { ...BASE, address: "", vip_address: "192.0.2.1" } }).settings.address).toEqual(["192.0.2.1"]);
    expect(loadSettings({ env: { ...BASE, address: "192.0.2.2", vip_address: "192.0.2.1" } }).settings.address).toEqual(["192.0.2.2"]);
  });
});

describe("a name as the address of the control plane", () => {
  const loaded = (env: Record<string, string>): Settings => loadSettings({ env: { ...BASE, cp_enable: "true", ...env } }).settings;

  test("is for a DHCP server", () => {
    expect(loaded({ address: "VIP.example.org", vip_ddns: "true", dhcp_mode: "dual" })).toMatchObject({ address: ["vip.example.org"], ddns: true, dhcpMode: "dual" });
  });

  test.each<readonly [string, Record<string, string>, string]>([
    ["without one", { address: "vip.example.org" }, "a name such as vip.example.org needs vip_ddns"],
    ["an address where a name is to be", { address: "192.0.2.1", vip_ddns: "true" }, 'vip_ddns="true", address="192.0.2.1": expected one DNS name'],
    ["two names", { address: "a.example.org,b.example.org", vip_ddns: "true" }, "expected one DNS name"],
    ["before there is an API", { address: "vip.example.org", vip_ddns: "true", cp_bootstrap: "true" }, 'vip_ddns="true", cp_bootstrap="true": expected one of them'],
    ["in BGP mode", { address: "vip.example.org", vip_ddns: "true", vip_arp: "false", bgp_enable: "true" }, 'vip_ddns="true", vip_arp="false": expected ARP mode'],
  ])("is refused: %s", (_name, env, problem) => {
    expect(() => loaded(env)).toThrow(problem);
  });
});

describe("a setting of something that is off", () => {
  const warned = (env: Record<string, string>): readonly string[] => loadSettings({ env: { ...BASE, ...env } }).warnings;

  test.each<readonly [string, Record<string, string>, readonly string[]]>([
    ["BGP", { bgp_as: "65001", bgp_peers: "192.0.2.1:65000:secret" }, ["bgp_as has no effect without bgp_enable", "bgp_peers has no effect without bgp_enable"]],
    ["UPnP", { upnp_status: "true" }, ["upnp_status has no effect without enable_upnp"]],
    ["the control plane", { address: "192.0.2.1" }, ["address has no effect without cp_enable"]],
    ["one of two elections", { svc_rebalance_rate: "0" }, ["svc_rebalance_rate has no effect without svc_election or per_service_election_on_demand"]],
  ])("is told: %s", (_name, env, lines) => {
    expect(warned(env)).toEqual(lines);
  });

  test("is told of Services where there is the control plane only, and of ARP in BGP mode", () => {
    const { warnings } = loadSettings({ env: { bgp_enable: "true", cp_enable: "true", address: "192.0.2.1", lb_class_only: "true", vip_arpRate: "1000" } });
    expect(warnings).toEqual(["vip_arpRate has no effect without vip_arp", "lb_class_only has no effect without svc_enable"]);
  });

  test("is not told where it says what holds anyway, is on, or is one of kube-vip's that ARP mode has, too", () => {
    expect(warned({ bgp_as: "65000", bgp_routerinterface: "", vip_leaderelection: "true", per_service_election_on_demand: "true", svc_rebalance_rate: "1" })).toEqual([]);
  });
});

test("an empty name of a class is one, as in kube-vip: that of Services without a class", () => {
  expect(loadSettings({ env: { ...BASE, lb_class_name: "" } }).settings.loadBalancerClass).toBeUndefined();
  expect(loadSettings({ env: BASE }).settings.loadBalancerClass).toBe("kube-vip.io/kube-vip-class");
});

describe("the health check of the API server", () => {
  const CP = { cp_enable: "true", address: "192.0.2.1" };
  const urlOf = (env: Record<string, string>): string | undefined => controlPlaneHealthUrl(loadSettings({ env: { ...BASE, ...CP, ...env } }).settings);

  test("has kube-vip's names and times", () => {
    const { settings } = loadSettings({ env: BASE, flags: { controlPlaneHealthCheckCAPath: "/ca" } });
    expect(settings).toMatchObject({ healthAddress: undefined, healthPeriodSeconds: 5, healthTimeoutSeconds: 3, healthFailureThreshold: 3, healthCaPath: "/ca" });
  });

  test.each<readonly [string, Record<string, string>, string | undefined]>([
    ["nothing is set", {}, "https://127.0.0.1:6443/livez"],
    ["another port is set", { port: "443" }, "https://127.0.0.1:443/livez"],
    ["an address is set", { control_plane_health_check_address: "http://[::1]:8080/readyz" }, "http://[::1]:8080/readyz"],
    ["it is off", { control_plane_health_check_address: "off" }, undefined],
    ["there is no control plane", { cp_enable: "false" }, undefined],
  ])("asks the right URL when %s", (_name, env, url) => {
    expect(urlOf(env)).toBe(url);
  });
});
