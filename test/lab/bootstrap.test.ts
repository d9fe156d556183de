import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { ApiAdmin } from "./api/admin.js";
import { KubeClient } from "./kube-client.js";
import { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";

const VIP = "10.77.0.210";
const VIP6 = "fd77::210";
const SERVER = `https://${VIP}:6443`;
const LEASE = "plndr-cp-lock";
/** Who kubeadm's admin.conf and super-admin.conf are for. */
const ADMIN = "admin-of-the-first-node";
const SUPER_ADMIN = "super-admin-of-the-first-node";
/** A second between questions, and what it takes to let go. */
const OVERLAP_MS = 1200;

const ENV = { svc_enable: "", cp_enable: "true", address: VIP, control_plane_health_check_address: "off" };

/** The first node of a cluster, as kubeadm leaves it: its API server listens there, and kubeconfigs name the VIP. */
interface FirstNode {
  readonly admin: ApiAdmin;
  readonly client: KubeClient;
  /** What is `/etc/kubernetes` on a real node. */
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Starts the API server on n1, at the VIP (held or not) and, where `local`, at 127.0.0.1; the tests' own way to it is another. */
async function firstNode(lab: Lab, local: boolean): Promise<FirstNode> {
  const own = `${lab.node("n1").apiIpv4}:6443`;
  const [apiDir, dir] = [join(lab.dir, "api"), join(lab.dir, "kubernetes")];
  for (const made of [apiDir, dir]) mkdirSync(made);
  await lab.exec("n1", ["sh", "-ec", "echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind"]);
  const listen = [`${VIP}:6443`, own, ...(local ? ["127.0.0.1:6443"] : [])];
  const server = await lab.spawnProgram("n1", "api", [...listen.flatMap((address) => ["--listen", address]), "--dir", apiDir]);
  await server.waitFor(/"ready":true/, 10_000);
  const admin = new ApiAdmin(join(apiDir, "admin.sock"));
  const testConf = join(lab.dir, "test.conf");
  writeFileSync(testConf, readFileSync(join(apiDir, "admin.conf"), "utf8").replace(SERVER, `https://${own}`));
  await admin.rights(ADMIN, []);
  return { admin, client: KubeClient.from(testConf), dir, env: { ...ENV, k8s_config_file: join(dir, "admin.conf") } };
}

/** Writes a kubeconfig beside its place and moves it there, as kubeadm does. */
async function conf({ admin, dir }: FirstNode, name: string, user: string): Promise<void> {
  writeFileSync(join(dir, `${name}.new`), await admin.kubeconfig(user, SERVER));
  renameSync(join(dir, `${name}.new`), join(dir, name));
}

async function leaseHolder(client: KubeClient): Promise<string> {
  return (await client.leases()).find(({ metadata }) => metadata.name === LEASE)?.spec?.holderIdentity ?? "";
}

/** The lines about how this process stands with the API, in order. */
function standings(vip: LabProcess): readonly string[] {
  return vip.logs().map(({ message }) => String(message)).filter((message) => /^(api server |kubeconfig or certificate)/.test(message));
}

const NOT_THERE = "api server is not there yet, trying again";
const NOT_ALLOWED = "api server does not allow it yet, trying again";
const WRONG = "kubeconfig or certificate is wrong, trying again";
const REACHED = "api server reached";

describe("the first node of a kubeadm cluster", () => {
  test("holds the VIP before anybody has rights, they are given through it, and the Lease is taken without a gap", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const first = await firstNode(lab, false);
    using client = first.client;
    await lab.serve();
    await conf(first, "admin.conf", ADMIN);
    const started = lab.now();
    const vip = await lab.startVip("n1", { env: { ...first.env, cp_bootstrap: "true" } });
    await lab.waitFor(async () => lab.holders(VIP), 3000, "the VIP on n1");
    const heldMs = Math.round(lab.now() - started);
    await vip.waitFor(/does not allow it yet/);
    expect(await leaseHolder(client)).toBe("");
    await using log = await AddressLog.start(lab);
    const probe = await lab.probe(VIP);
    const [shown] = await lab.addresses("n1", "eth0").then((all) => all.filter(({ local }) => local === VIP));
    expect(shown?.validLifetime).toBeLessThanOrEqual(4);
    const asked = await lab.exec("client", ["curl", "-sk", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", `${SERVER}/version`]);
    expect(asked.stdout).toBe("200");
    const granted = lab.now();
    await first.admin.rights(ADMIN);
    await lab.waitFor(async () => (await leaseHolder(client)) === "n1", 5000, "the Lease");
    const takenMs = Math.round(lab.now() - granted);
    await vip.waitFor(/it alone decides/);
    // Some renews, so that the kernel's lifetime is by the Lease.
    await lab.waitFor(() => lab.now() > granted + takenMs + 5000, 6000, "five seconds by the Lease");
    const { udp } = await probe.stop();
    console.log(JSON.stringify({ figure: "kubeadm bootstrap", heldMs, takenMs, gapMs: Math.round(udp.gapMs) }));
    expect(udp.gapMs).toBeLessThan(200);
    expect(log.of("n1", VIP, "removed")).toEqual([]);
    // Nobody could be there: the API server is only where the VIP is.
    expect(standings(vip)).toEqual([NOT_THERE, NOT_ALLOWED, REACHED]);
  });

  test("its process is killed before there is a Lease: the kernel takes the VIP off by itself", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const vip = await lab.startVip("n1", { env: { ...ENV, cp_bootstrap: "true" } });
    await lab.waitFor(async () => lab.holders(VIP), 3000, "the VIP on n1");
    await vip.stop("SIGKILL");
    const killed = lab.now();
    await lab.waitFor(async () => (await lab.holders(VIP)).length === 0, 6000, "no VIP");
    console.log(JSON.stringify({ figure: "bootstrap dead man", ms: Math.round(lab.now() - killed) }));
  });

  test("has super-admin.conf: where admin.conf is not allowed yet, it serves, by the API server of this machine", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const first = await firstNode(lab, true);
    using client = first.client;
    await conf(first, "admin.conf", ADMIN);
    await conf(first, "super-admin.conf", SUPER_ADMIN);
    // As set on a real node: this machine's API server is asked for its health, too.
    const vip = await lab.startVip("n1", { env: { ...first.env, control_plane_health_check_address: "" } });
    await lab.waitFor(async () => (await leaseHolder(client)) === "n1", 5000, "the Lease");
    await lab.waitFor(async () => lab.holders(VIP), 2000, "the VIP on n1");
    expect(standings(vip)).toEqual([NOT_ALLOWED, REACHED]);
    expect(vip.logs().find(({ message }) => message === REACHED)).toMatchObject({ source: join(first.dir, "super-admin.conf"), server: "127.0.0.1:6443" });
  });

  test("without cp_bootstrap holds nothing before the Lease, and says why: not there, wrong, not allowed; each is tried until it works", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const first = await firstNode(lab, true);
    using client = first.client;
    const vip = await lab.startVip("n1", { env: first.env });
    const seen = async (...want: readonly string[]): Promise<void> => {
      await lab.waitFor(() => ({ ok: standings(vip).length >= want.length, seen: standings(vip) }), 6000, want.join(", "));
      expect(standings(vip)).toEqual(want);
      expect(await lab.holders(VIP)).toEqual([]);
    };
    await seen(NOT_THERE);
    writeFileSync(join(first.dir, "admin.conf"), "{{{");
    await seen(NOT_THERE, WRONG);
    await conf(first, "admin.conf", ADMIN);
    await seen(NOT_THERE, WRONG, NOT_ALLOWED);
    await conf(first, "admin.conf", "somebody-with-rights");
    await first.admin.rights(ADMIN);
    await lab.waitFor(async () => (await leaseHolder(client)) === "n1", 5000, "the Lease");
    await lab.waitFor(async () => lab.holders(VIP), 2000, "the VIP on n1");
    expect(standings(vip)).toEqual([NOT_THERE, WRONG, NOT_ALLOWED, REACHED]);
  });
});

/** `vip` with cp_bootstrap on both nodes, started in the same moment, for a VIP of each family; there is no API. */
async function bothNodes(lab: Lab): Promise<readonly LabProcess[]> {
  const env = { ...ENV, address: `${VIP},${VIP6}`, cp_bootstrap: "true" };
  return await Promise.all(lab.nodes.map(async ({ name }) => lab.startVip(name, { env })));
}

async function holdersOfBoth(lab: Lab): Promise<readonly [string, string]> {
  const [four, six] = await Promise.all([lab.holders(VIP), lab.holders(VIP6)]);
  return [four.join(), six.join()];
}

describe("two nodes after a power cut, with no API", () => {
  test("start at once: one of them holds the VIPs within 4 s; with the API, the one that has the Lease", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    await lab.serve();
    const answerers = await lab.answerers([VIP, VIP6], { intervalMs: 10 });
    const started = lab.now();
    const vips = await bothNodes(lab);
    await lab.waitFor(async () => lab.holders(VIP), 4000, "a holder");
    const heldMs = Math.round(lab.now() - started);
    // The other has come to the end of its waiting, and found the first.
    await lab.waitFor(() => vips.some((vip) => vip.output().includes("held by another host")), 5000, "one that waits");
    const [holder] = await lab.holders(VIP);
    expect(await holdersOfBoth(lab)).toEqual([holder, holder]);
    const { client } = await lab.startApi();
    using _client = client;
    const owner = await lab.waitFor(async () => leaseHolder(client), 10_000, "the Lease");
    await lab.waitFor(async () => (await holdersOfBoth(lab)).join() === `${owner},${owner}`, 3000, `the VIPs on ${owner} only`);
    const { worstOverlapMs, perVip } = await answerers.stop();
    console.log(JSON.stringify({ figure: "two nodes, no API", heldMs, overlapMs: Math.round(worstOverlapMs), moved: owner !== holder, longestGapMs: Math.round(perVip[0]?.longestGapMs ?? NaN) }));
    expect(worstOverlapMs).toBeLessThanOrEqual(OVERLAP_MS);
  });

  test("could not hear each other, and both hold it: when they can, the lower MAC keeps it, within little more than a second", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    await lab.serve();
    const macs = await Promise.all(lab.nodes.map(async ({ name }) => lab.mac(name)));
    const lower = (macs[0] ?? "") < (macs[1] ?? "") ? "n1" : "n2";
    const heal = await lab.drop({ network: "lan", from: "n1", to: "n2" });
    const healBack = await lab.drop({ network: "lan", from: "n2", to: "n1" });
    await bothNodes(lab);
    await lab.waitFor(async () => (await lab.holders(VIP)).length === 2, 6000, "two holders");
    await lab.waitFor(async () => (await lab.holders(VIP6)).length === 2, 1000, "two holders");
    await heal();
    await healBack();
    const healed = lab.now();
    await lab.waitFor(async () => (await holdersOfBoth(lab)).join() === `${lower},${lower}`, OVERLAP_MS + 500, `the VIPs on ${lower} only`);
    console.log(JSON.stringify({ figure: "two halves made whole", ms: Math.round(lab.now() - healed) }));
    const answerers = await lab.answerers([VIP, VIP6]);
    await lab.waitFor(() => lab.now() > healed + 5000, 6000, "some more questions");
    expect((await answerers.stop()).worstOverlapMs).toBe(0);
    expect(await holdersOfBoth(lab)).toEqual([lower, lower]);
  });
});
