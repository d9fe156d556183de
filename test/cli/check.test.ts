import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runCheck, type CheckDeps, type CheckReport } from "../../src/cli/check.js";
import { vipsInLan } from "../../src/cli/bgp-lan.js";
import { capability, capabilityProblem, kernelFacts, marks, missingCapabilities, type KernelFact } from "../../src/cli/kernel-facts.js";
import { linkFact, nodeFacts } from "../../src/cli/node-facts.js";
import { loadSettings } from "../../src/config/load.js";
import { SETTING_ROWS } from "../../src/config/settings.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { Link } from "../../src/ports/kernel.js";
import { folder, json, kubeconfig, serve, statusBody } from "../kube/support.js";
import { FakeIo } from "./fake-io.js";

const BASE = { vip_arp: "true", svc_enable: "true" };
const FACTS: readonly KernelFact[] = [{ what: "nf_tables", state: "ok", detail: "usable" }, { what: "macvlan", state: "missing", detail: "not a part of this kernel" }];
const NODE: readonly KernelFact[] = [{ what: "API", state: "missing", detail: "find a kubeconfig" }];

async function check(env: Readonly<Record<string, string>>, flags: Readonly<Record<string, string>> = {}, kernel = FACTS): Promise<{ readonly code: number; readonly text: string; readonly report: CheckReport }> {
  const io = new FakeIo();
  const deps: CheckDeps = { kernel: async () => kernel, node: async () => NODE };
  const code = await runCheck({ env, flags, output: "text" }, deps, io);
  const asJson = new FakeIo();
  await runCheck({ env, flags, output: "json" }, deps, asJson);
  return { code, text: io.stdout, report: JSON.parse(asJson.stdout) as CheckReport };
}

describe("vip check", () => {
  test("shows every value with where it comes from, and ends with 0", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "vip-check-")), "vip.yaml");
    writeFileSync(file, "vip_retryperiod: 1\nvip_arpRate: 1000\n");
    const { code, text, report } = await check({ ...BASE, config_file: file, vip_address: "192.0.2.1" }, { interface: "eth0" });
    expect(code).toBe(0);
    expect(report.settings.map(({ name }) => name)).toEqual(SETTING_ROWS.map(([, { env }]) => env[0]));
    expect(text).toMatch(/^vip_interface +eth0 +--interface$/m);
    expect(text).toMatch(/^address +192\.0\.2\.1 +vip_address$/m);
    expect(text).toMatch(/^vip_leaseduration +5 s +default$/m);
    expect(report.settings.find(({ name }) => name === "vip_arpRate")).toEqual({ name: "vip_arpRate", value: "1000 ms", from: `${file}: vip_arpRate` });
    expect(text).toMatch(/^ok {2}nf_tables +usable$/m);
    expect(text).toMatch(/^NO {2}macvlan +not a part of this kernel$/m);
    expect(text).toMatch(/^NO {2}API +find a kubeconfig$/m);
    expect(report.node).toEqual(NODE);
    expect(text).toMatch(/\nthe daemon would start with these settings, and wait for or do without what is marked NO\n$/);
  });

  test("ends with 1 where this process lacks what a daemon does not start without", async () => {
    const { code, text } = await check(BASE, {}, [{ what: "CAP_NET_ADMIN", state: "missing", detail: "this process does not have it" }, { what: "CAP_NET_RAW", state: "ok", detail: "" }]);
    expect(code).toBe(1);
    expect(text).toMatch(/\nthe daemon would not start as this process, which lacks CAP_NET_ADMIN; the settings are fine\n$/);
  });

  test("shows values that are wrong, too, and ends with 1", async () => {
    const { code, text, report } = await check({ ...BASE, port: "many", lb_enable: "true" });
    expect(code).toBe(1);
    expect(report.problems).toEqual(['port="many": expected a whole number from 1 to 65535']);
    expect(report.node).toEqual([]);
    expect(text).toMatch(/^port +many +port$/m);
    expect(text).toContain('warning: lb_enable="true" has no effect');
    expect(text).toContain('error: port="many": expected a whole number from 1 to 65535');
    expect(text).toMatch(/\nthe daemon would not start with these settings\n$/);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string]>([
    ["a pool that is none", { ...BASE, svc_addresses: "192.0.2.0/99" }, "192.0.2.0/99"],
    ["a file that is not there", { ...BASE, config_file: "/does/not/exist" }, 'config_file="/does/not/exist": expected a file that can be read: ENOENT'],
    ["no mode", {}, 'vip_arp="false", bgp_enable="false": expected one of them to be true'],
  ])("ends with 1 for %s", async (_name, env, problem) => {
    const { code, report } = await check(env);
    expect(code).toBe(1);
    expect(report.problems[0]).toContain(problem);
  });
});

describe("what the kernel can do", () => {
  test.each([
    ["5.18.0-amd64", "5.18.0-amd64: addresses are marked by IFA_PROTO"],
    ["6.1.0", "6.1.0: addresses are marked by IFA_PROTO"],
    ["5.17.9", "5.17.9: before 5.18, so that a label"],
    ["4.19.0", "4.19.0: before 5.18, so that a label"],
  ])("Linux %s", (version, text) => {
    expect(marks(version).detail).toContain(text);
  });

  test.each([
    ["0000000000003000", "ok"],
    ["000001ffffffffff", "ok"],
    ["0000000000001000", "missing"],
  ] as const)("capability NET_RAW in CapEff %s: %s", (bits, state) => {
    expect(capability("NET_RAW", 13, `Name:\tvip\nCapPrm:\t0\nCapEff:\t${bits}\n`).state).toBe(state);
  });

  test.each<readonly [string, string, string | undefined]>([
    ["has both", "0000000000003000", undefined],
    ["has one", "0000000000001000", "CAP_NET_RAW: expected, for no VIP can be held without; run as root, or give capabilities: add: [NET_RAW] in a pod, AmbientCapabilities=CAP_NET_RAW in a unit"],
    ["has none", "0000000000000000", "CAP_NET_ADMIN CAP_NET_RAW: expected, for no VIP can be held without; run as root, or give capabilities: add: [NET_ADMIN, NET_RAW] in a pod, AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in a unit"],
  ])("a process that %s of the capabilities", (_name, bits, line) => {
    expect(capabilityProblem(missingCapabilities(`CapEff:\t${bits}\n`))).toBe(line);
  });

  test("is told without an error, whatever this process may do", async () => {
    const facts = await kernelFacts();
    expect(facts.map(({ what }) => what)).toEqual(["kernel", "CAP_NET_ADMIN", "CAP_NET_RAW", "raw sockets", "nf_tables", "8021q", "macvlan"]);
    for (const { detail } of facts) expect(detail).not.toBe("");
  });
});

describe("what the settings find on this node", () => {
  const LINK = { index: 2, mac: undefined, up: true, carrier: true, loopback: false, mtu: 1500, kind: undefined, alias: "", parentIndex: undefined, vlan: undefined };
  const LINKS: readonly Link[] = [{ ...LINK, name: "lo", loopback: true }, { ...LINK, name: "eth0" }, { ...LINK, name: "eth1", carrier: false }, { ...LINK, name: "eth2", up: false, carrier: false }];

  test.each([
    ["eth0", "ok", "up, with carrier"],
    ["eth1", "missing", "has no carrier: this node is not eligible for its VIPs"],
    ["eth2", "missing", "is down: ip link set eth2 up"],
    ["eth9", "missing", "not on this node: expected one of eth0, eth1, eth2"],
  ])("link %s: %s, %s", (name, state, detail) => {
    expect(linkFact(name, LINKS)).toEqual({ state, detail });
  });

  describe("VIPs of BGP on lo", () => {
    const OWN = { address: "192.0.2.1" as IpAddress, prefix: 24, scope: "global", mark: 0, validSeconds: Infinity, preferredSeconds: Infinity } as const;
    const ADDRESSES = [{ ...OWN, linkIndex: 2 }, { ...OWN, linkIndex: 1, address: "198.51.100.1" as IpAddress }, { ...OWN, linkIndex: 2, address: "203.0.113.7" as IpAddress, prefix: 32 }];
    const links = LINKS.slice(0, 2).map((link, i) => ({ ...link, index: i + 1 }));
    const BGP = { bgp_enable: "true", cp_enable: "true", address: "192.0.2.10,203.0.113.7,198.51.100.9" };
    const found = (env: Readonly<Record<string, string>>): readonly string[] => vipsInLan(loadSettings({ env: { ...BGP, ...env } }).settings, links, ADDRESSES).map(({ what }) => what);

    test("in a subnet of a LAN are told, and no others", () => {
      expect(vipsInLan(loadSettings({ env: BGP }).settings, links, ADDRESSES)).toMatchObject([{ what: "BGP 192.0.2.10", state: "unknown", detail: expect.stringMatching(/^in the subnet of 192\.0\.2\.1\/24 on eth0: /) as string }]);
    });

    test.each<readonly [string, Record<string, string>, readonly string[]]>([
      ["those of Services where they are put on lo, too", { svc_enable: "true", bgp_attach_ip_to_interface: "true", svc_addresses: "192.0.2.128/25, 203.0.113.0/24,192.0.2.250-192.0.3.4" }, ["BGP 192.0.2.10", "BGP 192.0.2.128/25", "BGP 192.0.2.250-192.0.3.4"]],
      ["those of Services are on no link by default", { svc_enable: "true", svc_addresses: "192.0.2.128/25" }, ["BGP 192.0.2.10"]],
      ["on a link of the LAN they belong there", { vip_interface: "eth0" }, []],
      ["in ARP mode they belong there", { vip_arp: "true", bgp_enable: "false" }, []],
    ])("%s", (_name, env, expected) => {
      expect(found(env)).toEqual(expected);
    });
  });

  test("links that cannot be read are unknown", () => {
    expect(linkFact("eth0", "list links: EPERM")).toEqual({ state: "unknown", detail: "list links: EPERM" });
  });

  test("the API is asked for the Lease, and an answer that is an error is told as it is", async () => {
    const record = { holderIdentity: "n2", leaseDurationSeconds: 5 };
    await using server = await serve(({ path }, response) => {
      if (path.endsWith("/leases/plndr-svcs-lock")) json(response, 200, { metadata: { namespace: "kube-system", name: "plndr-svcs-lock", uid: "u", resourceVersion: "1" }, spec: record });
      else json(response, 403, statusBody(403, "Forbidden", "not you"));
    });
    using dir = folder();
    const path = dir.file("config", kubeconfig({ server: server.url, "insecure-skip-tls-verify": true }));
    const api = async (env: Readonly<Record<string, string>>): Promise<KernelFact | undefined> => (await nodeFacts(loadSettings({ env: { vip_arp: "true", k8s_config_file: path, ...env } }).settings)).at(-1);
    expect(await api({ svc_enable: "true" })).toEqual({ what: "API", state: "ok", detail: `${new URL(server.url).host} by ${path}; Lease kube-system/plndr-svcs-lock is held by n2` });
    expect(await api({ cp_enable: "true", address: "192.0.2.1" })).toMatchObject({ state: "missing", detail: expect.stringContaining("not you") as string });
    await server.noneOpen();
  });
});
