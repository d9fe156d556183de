import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { runCleanup, type CleanupDeps } from "../../src/cli/cleanup/cleanup.js";
import { fileLeftovers } from "../../src/cli/cleanup/files.js";
import { kernelLeftovers } from "../../src/cli/cleanup/leftovers.js";
import { labelLeftovers } from "../../src/cli/cleanup/labels.js";
import { leaseFindings } from "../../src/cli/cleanup/leases.js";
import { serviceLeftovers } from "../../src/cli/cleanup/services.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { LINK_ALIAS } from "../../src/modes/link-parent.js";
import type { Lease } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeNft } from "../fakes/nft.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { folder } from "../kube/support.js";
import { FakeIo } from "./fake-io.js";

const SIGNAL = new AbortController().signal;
const LEASE = { namespace: "kube-system", name: "plndr-svcs-lock" };

/** A node with two addresses, a link and rules of ours, and one of each of somebody else. */
async function usedNode(): Promise<{ readonly kernel: FakeKernel; readonly nft: FakeNft }> {
  const kernel = new FakeKernel(new FakeClock());
  const put = async (address: string, mark: number): Promise<unknown> => kernel.putAddress({ linkIndex: 2, address: address as IpAddress, prefix: 32, scope: "host", mark, validUntil: Infinity }, SIGNAL);
  await put("192.0.2.1", 118);
  await put("192.0.2.2", 119);
  await put("192.0.2.3", 0);
  kernel.addLink({ name: "eth0.200", alias: LINK_ALIAS });
  kernel.addLink({ name: "eth0.300", alias: "of somebody else" });
  const nft = new FakeNft();
  await nft.putVip({ key: "eth0/192.0.2.1", address: "192.0.2.1" as IpAddress, ports: [] }, SIGNAL);
  return { kernel, nft };
}

async function cleanup(yes: boolean, deps: Partial<CleanupDeps> & Pick<CleanupDeps, "find">): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const io = new FakeIo();
  const code = await runCleanup({ yes }, { daemons: async () => [], ...deps }, io);
  return { code, stdout: io.stdout, stderr: io.stderr };
}

describe("what is left in the kernel", () => {
  test("is named, and stays without --yes", async () => {
    const node = await usedNode();
    expect(await cleanup(false, { find: async (signal) => kernelLeftovers(node, signal) })).toEqual({
      code: 0,
      stderr: "",
      stdout: "would remove rules for eth0/192.0.2.1 in memory\nwould remove 192.0.2.1/32 on eth0\nwould remove 192.0.2.2/32 on eth0\nwould remove link eth0.200\nnothing was removed: `vip cleanup --yes` removes it\n",
    });
    expect(node.kernel.shown()).toHaveLength(3);
  });

  test("is removed by --yes, and what others made stays; the second time nothing is left", async () => {
    const node = await usedNode();
    const find: CleanupDeps["find"] = async (signal) => kernelLeftovers(node, signal);
    const { code, stdout } = await cleanup(true, { find });
    expect(code).toBe(0);
    expect(stdout).toBe("removed rules for eth0/192.0.2.1 in memory\nremoved 192.0.2.1/32 on eth0\nremoved 192.0.2.2/32 on eth0\nremoved link eth0.200\n4 found\n");
    expect(node.kernel.shown()).toEqual(["192.0.2.3/32 dev eth0 scope host"]);
    expect(node.kernel.linkList.map(({ name }) => name)).toEqual(["lo", "eth0", "eth0.300"]);
    expect(node.nft.table.size).toBe(0);
    expect(await cleanup(true, { find })).toEqual({ code: 0, stderr: "", stdout: "nothing is left\n" });
  });

  test("is not touched while a daemon runs here", async () => {
    const node = await usedNode();
    const deps: CleanupDeps = { daemons: async () => ["/run/vip/vip.sock"], find: async (signal) => kernelLeftovers(node, signal) };
    expect(await cleanup(true, deps)).toEqual({ code: 1, stdout: "", stderr: "vip: a daemon answers at /run/vip/vip.sock: stop it first, it would put back what is removed\n" });
    expect((await cleanup(false, deps)).stdout).toContain("nothing was removed: a daemon runs here, and this is in use");
    expect(node.kernel.shown()).toHaveLength(3);
  });

  test("one thing that cannot be removed does not keep the others, and ends with 1", async () => {
    const gone: string[] = [];
    const thing = (what: string, fails: boolean): { readonly what: string; remove(): Promise<void> } => ({ what, remove: async () => (fails ? Promise.reject(new Error("EPERM")) : void gone.push(what)) });
    const { code, stderr } = await cleanup(true, { find: async () => ({ leftovers: [thing("a", true), thing("b", false)], problems: [] }) });
    expect({ code, stderr, gone }).toEqual({ code: 1, stderr: "vip: not removed: a: EPERM\n", gone: ["b"] });
  });

  test("is found also where the kernel has no nf_tables", async () => {
    const node = await usedNode();
    node.nft.refuse = new Error("list: EPROTONOSUPPORT");
    const { code, stdout, stderr } = await cleanup(false, { find: async (signal) => kernelLeftovers(node, signal) });
    expect(code).toBe(0);
    expect(stderr).toBe("vip: not looked at: list: EPROTONOSUPPORT\n");
    expect(stdout).toContain("would remove 192.0.2.1/32 on eth0");
  });

  test("is an error, not nothing, for who may not look", async () => {
    const node = await usedNode();
    node.nft.refuse = Object.assign(new Error("list the VIPs: EPERM"), { code: "EPERM" });
    expect(await cleanup(true, { find: async (signal) => kernelLeftovers(node, signal) })).toEqual({ code: 1, stdout: "", stderr: "vip: expected the capability NET_ADMIN, run it as root: list the VIPs: EPERM\n" });
    expect(node.kernel.shown()).toHaveLength(3);
  });

  test("an error of the search is one line", async () => {
    expect(await cleanup(true, { find: async () => Promise.reject(new Error("dump addresses: EPERM")) })).toEqual({ code: 1, stdout: "", stderr: "vip: dump addresses: EPERM\n" });
  });
});

describe("what is left in the API", () => {
  test("is taken back by our records of it; what others wrote stays", async () => {
    const kube = new FakeKube();
    kube.put(
      fakeService({
        name: "ours",
        externalIPs: ["192.0.2.7", "198.51.100.1", "192.0.2.8"],
        ingress: [fakeIngress("192.0.2.1"), fakeIngress("203.0.113.9")],
        annotations: { "vip.internal/announced": '{"addresses":["192.0.2.1"],"node":"n1"}', "vip.internal/granted": "192.0.2.1", "vip.internal/external-ips": "192.0.2.7,192.0.2.8", "kube-vip.io/vipHost": "n1", "kube-vip.io/loadbalancerIPs": "192.0.2.1" },
      }),
    );
    kube.put(fakeService({ name: "theirs", ingress: [fakeIngress("192.0.2.2")], annotations: { "kube-vip.io/vipHost": "n2" } }));
    const found = serviceLeftovers([...kube.services.values()], kube.servicePort);
    expect(found.map(({ what }) => what)).toEqual(["Service default/ours: vip.internal/announced, vip.internal/granted, vip.internal/external-ips, kube-vip.io/vipHost, and what they say is ours"]);
    for (const leftover of found) await leftover.remove(SIGNAL);
    const [ours, theirs] = [...kube.services.values()];
    expect(ours).toMatchObject({ externalIPs: ["198.51.100.1"], ingress: [{ ip: "203.0.113.9" }], annotations: { "kube-vip.io/loadbalancerIPs": "192.0.2.1" } });
    expect(Object.keys(ours?.annotations ?? {})).toEqual(["kube-vip.io/loadbalancerIPs"]);
    expect(theirs).toMatchObject({ ingress: [{ ip: "192.0.2.2" }], annotations: { "kube-vip.io/vipHost": "n2" } });
    expect(serviceLeftovers([...kube.services.values()], kube.servicePort)).toEqual([]);
  });

  const lease = (name: string, holderIdentity: string, resourceVersion: string): Lease => ({ id: { ...LEASE, name }, uid: "u", resourceVersion, record: { holderIdentity, leaseDurationSeconds: 5, acquireTime: undefined, renewTime: undefined, leaseTransitions: 0 }, annotations: {} });
  const SVCS = LEASE.name;
  const [ROMANA, MEMBER, CLAIMS] = ["vip-romana.default.web", "vip-member-n1", "vip-claims-0"];

  test.each<readonly [string, readonly (readonly Lease[])[], string | undefined]>([
    ["there is no Lease", [[]], undefined],
    ["nobody holds one", [[lease(SVCS, "", "1")]], undefined],
    ["its holder is dead", [[lease(SVCS, "n1", "1")], [lease(SVCS, "n1", "1")]], undefined],
    ["its holder renews it", [[lease(SVCS, "n1", "1")], [lease(SVCS, "n1", "2")]], "n1 kube-system/plndr-svcs-lock"],
    ["another one takes it meanwhile", [[lease(SVCS, "n1", "1")], [lease(SVCS, "n2", "2")]], "n2 kube-system/plndr-svcs-lock"],
    ["it is released meanwhile", [[lease(SVCS, "n1", "1")], [lease(SVCS, "", "2")]], undefined],
    ["a Romana VIP is held", [[lease(SVCS, "", "1"), lease(ROMANA, "n1", "1")], [lease(SVCS, "", "1"), lease(ROMANA, "n1", "2")]], `n1 kube-system/${ROMANA}`],
    ["a member comes meanwhile", [[lease(CLAIMS, "x", "1")], [lease(CLAIMS, "x", "1"), lease(MEMBER, "n1", "2")]], `n1 kube-system/${MEMBER}`],
    ["somebody else's Lease is renewed", [[lease(SVCS, "n1", "1"), lease("kube-scheduler", "n1", "1")], [lease(SVCS, "n1", "1"), lease("kube-scheduler", "n1", "2")]], undefined],
  ])("belongs to whoever renews a Lease when %s", async (_name, readings, holder) => {
    const clock = new FakeClock();
    const left = [...readings];
    const asked = leaseFindings({ namespace: LEASE.namespace, services: SVCS }, { reader: { leases: async () => left.shift() ?? [], removeLease: async () => undefined }, clock }, SIGNAL);
    await clock.advance(5000);
    const { living } = await asked;
    expect(living === undefined ? undefined : `${living.holder} ${living.lease}`).toBe(holder);
    expect(left).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test("is of Leases those that only we make", async () => {
    const all = [lease(SVCS, "", "1"), lease(ROMANA, "", "1"), lease(MEMBER, "", "1"), lease(CLAIMS, "", "1"), lease("vip-of-somebody-else", "", "1")];
    const gone: string[] = [];
    const reader = { leases: async () => all, removeLease: async ({ id }: Lease) => void gone.push(id.name) };
    const { leftovers } = await leaseFindings({ namespace: LEASE.namespace, services: SVCS }, { reader, clock: new FakeClock() }, SIGNAL);
    expect(leftovers.map(({ what }) => what)).toEqual([ROMANA, MEMBER, CLAIMS].map((name) => `Lease kube-system/${name}`));
    for (const leftover of leftovers) await leftover.remove(SIGNAL);
    expect(gone).toEqual([ROMANA, MEMBER, CLAIMS]);
  });
});

test("of files, sockets and the record go, and nothing else", async () => {
  using dir = folder();
  for (const name of ["vip.sock", "vip-12.sock", "addresses.json", "other.sock", "addresses.json.old"]) dir.file(name, "x");
  const found = fileLeftovers(dir.path);
  expect(found.map(({ what }) => what.slice(dir.path.length + 1))).toEqual(["addresses.json", "vip-12.sock", "vip.sock"]);
  for (const leftover of found) await leftover.remove(SIGNAL);
  expect(readdirSync(dir.path).toSorted()).toEqual(["addresses.json.old", "other.sock"]);
  expect(fileLeftovers(`${dir.path}/none`)).toEqual([]);
});

test("labels of Nodes are named and removed, those of others stay", async () => {
  const labels = { "kube-vip.io/has-ip": "192.0.2.1", "service-provided.kube-vip.io/web.default": "192.0.2.2", zone: "a" };
  const patches: unknown[] = [];
  const reader = {
    nodeLabels: async () => new Map<string, Readonly<Record<string, string>>>([["n1", labels], ["n2", { zone: "a" }]]),
    patchNode: async (name: string, marks: unknown) => void patches.push([name, marks]),
  };
  const find: CleanupDeps["find"] = async (signal) => ({ leftovers: await labelLeftovers(reader, signal), problems: [] });
  const { code, stdout } = await cleanup(true, { find });
  expect(code).toBe(0);
  expect(stdout).toBe("removed labels of Node n1: kube-vip.io/has-ip, service-provided.kube-vip.io/web.default\n1 found\n");
  expect(patches).toEqual([["n1", { labels: { "kube-vip.io/has-ip": null, "service-provided.kube-vip.io/web.default": null } }]]);
});
