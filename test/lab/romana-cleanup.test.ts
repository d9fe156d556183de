import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import { HAVE_KUBECTL } from "./kubectl.js";
import type { LabProcess } from "./process.js";
import { asking, externalIpsOf, makeApp, messageOf, nodesWithRules, reaches, watchExternalIps } from "./romana.js";

const USERS = "192.0.2.77";
const USERS_TOO = "192.0.2.78";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.up(3);
  await cluster.lab.startProxies(cluster.api);
});

// Where it never came up, there is nothing to end.
afterAll(async () => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]());

/** spec.externalIPs in every version that the watch saw. */
function versions(watch: LabProcess): readonly (readonly string[])[] {
  return watch.lines().filter((line) => line.startsWith("ips:")).map((line) => JSON.parse(line.slice(4) || "[]") as readonly string[]);
}

async function entries(name: string, wanted: readonly string[], ms = 3000): Promise<void> {
  await cluster.service(name, ms, `externalIPs ${wanted.join(" ") || "empty"}`, (service) => externalIpsOf(service).join() === wanted.join());
}

async function annotate(name: string, romanaip: string | null): Promise<void> {
  await cluster.api.client.patchService(name, { metadata: { annotations: { romanaip } } });
}

/** Starts every vip again, and waits until the new processes own all that they should: what is still there then is not left over. */
async function startAll(owned: readonly string[]): Promise<void> {
  const started = await Promise.all(cluster.lab.nodes.map(async ({ name }) => await cluster.startVip(name)));
  const taken = (key: string): boolean => started.some((vip) => vip.lines().some((line) => line.includes("ownership taken") && line.includes(`"${key}"`)));
  for (const key of ["services", ...owned.map((name) => `romana/default/${name}`)]) await cluster.lab.waitFor(() => taken(key), 12_000, `somebody to own ${key}`);
}

describe.skipIf(!HAVE_KUBECTL)("row 5: cleanup, and nothing of the user's is overwritten", () => {
  test("the annotation, the last endpoint and the Service go: the address goes within 3 s, and the user's externalIPs were there at every step", async () => {
    const { lab, admin, api } = cluster;
    const [name, ip] = ["steps", "10.77.0.230"];
    await makeApp(cluster, { name, ip, spec: { externalIPs: [USERS] } }, ["n2"]);
    const watch = await watchExternalIps(cluster, name);
    await entries(name, [USERS, ip]);
    await reaches(cluster, ip, "n2");

    await annotate(name, null);
    await cluster.free(ip, 3000);
    await entries(name, [USERS]);
    await api.client.patchService(name, { spec: { externalIPs: [USERS, USERS_TOO] } });
    await annotate(name, asking(ip));
    await cluster.heldBy(ip, 3000, "n2");
    await entries(name, [USERS, USERS_TOO, ip]);

    await admin.podReady(`${name}-n2`, false);
    await cluster.free(ip, 3000);
    await admin.podReady(`${name}-n2`, true);
    await cluster.heldBy(ip, 3000, "n2");
    await reaches(cluster, ip, "n2");

    // To another address, and with the user's entries in another order around ours.
    await api.client.patchService(name, { spec: { externalIPs: [ip, USERS_TOO, USERS] } });
    await annotate(name, asking("10.77.0.231"));
    await cluster.heldBy("10.77.0.231", 3000, "n2");
    await cluster.free(ip, 3000);
    await entries(name, [USERS_TOO, USERS, "10.77.0.231"]);

    await api.client.deleteService(name);
    await cluster.free("10.77.0.231", 3000);
    const seen = versions(watch);
    expect(seen.length).toBeGreaterThan(8);
    expect(seen.filter((one) => !one.includes(USERS))).toEqual([]);
    const lost = seen.slice(seen.findIndex((one) => one.includes(USERS_TOO))).filter((one) => !one.includes(USERS_TOO));
    expect(lost).toEqual([]);
    await lab.waitFor(async () => (await api.client.services()).every(({ metadata }) => metadata.name !== name), 1000, "no Service");
  });

  test("an entry that the user made for the very same address stays when the annotation goes", async () => {
    const [name, ip] = ["same", "10.77.0.232"];
    await makeApp(cluster, { name, ip, spec: { externalIPs: [ip] } }, ["n3"]);
    await reaches(cluster, ip, "n3");
    await annotate(name, null);
    await cluster.free(ip, 3000);
    await cluster.service(name, 3000, "no record of ours", ({ metadata }) => Object.keys(metadata.annotations ?? {}).every((key) => !key.startsWith("vip.internal/")));
    expect(externalIpsOf(await cluster.api.client.service(name))).toEqual([ip]);
    await cluster.api.client.deleteService(name);
  });

  test("all vips stop and start again: the right set is back, and our entry is where it was", async () => {
    const [name, ip] = ["restarted", "10.77.0.233"];
    await makeApp(cluster, { name, ip, spec: { externalIPs: [USERS] } }, ["n1"]);
    await entries(name, [USERS, ip]);
    const watch = await watchExternalIps(cluster, name);
    for (const { name: node } of cluster.lab.nodes) await cluster.vip(node).stop("SIGTERM");
    expect(await cluster.lab.holders(ip)).toEqual([]);
    await startAll([name]);
    await cluster.heldBy(ip, 3000, "n1");
    await reaches(cluster, ip, "n1");
    expect(versions(watch).filter((one) => one.join() !== `${USERS},${ip}`)).toEqual([]);
    await cluster.api.client.deleteService(name);
    await cluster.free(ip, 3000);
  });
});

describe("kill -9 of every vip", () => {
  test("leaves no address, no nftables rules and no entry in externalIPs that nobody owns, whatever went meanwhile", async () => {
    const { api, lab } = cluster;
    const headless = { clusterIP: "None" };
    await makeApp(cluster, { name: "stays", ip: "10.77.0.234" }, ["n1"]);
    await makeApp(cluster, { name: "stays-nft", ip: "10.77.0.235", spec: headless }, ["n2"]);
    await makeApp(cluster, { name: "bare", ip: "10.77.0.236", spec: { externalIPs: [USERS] } }, ["n2"]);
    await makeApp(cluster, { name: "deleted", ip: "10.77.0.237", spec: headless }, ["n3"]);
    // Ages have whole seconds; of the same age, the name decides: the address stays with the first by either.
    await makeApp(cluster, { name: "usurper", ip: "10.77.0.238", spec: { externalIPs: [USERS] } }, ["n3"]);
    await makeApp(cluster, { name: "emptied", ip: "10.77.0.239", spec: headless }, ["n1"]);
    await entries("bare", [USERS, "10.77.0.236"]);
    await entries("usurper", [USERS, "10.77.0.238"]);
    await lab.waitFor(async () => (await nodesWithRules(cluster)).join() === "n1,n2,n3", 3000, "rules on every node");

    for (const { name } of lab.nodes) await cluster.vip(name).stop("SIGKILL");
    await annotate("bare", null);
    await api.client.deleteService("deleted");
    await annotate("usurper", asking("10.77.0.234"));
    await cluster.admin.podReady("emptied-n1", false);
    await startAll(["stays", "stays-nft"]);

    expect(await messageOf(cluster, "usurper", "AddressTaken")).toContain("default/stays");
    await entries("bare", [USERS]);
    await entries("usurper", [USERS]);
    for (const last of [236, 237, 238, 239]) await cluster.free(`10.77.0.${last}`, 3000);
    await lab.waitFor(async () => (await nodesWithRules(cluster)).join() === "n2", 3000, "rules for the headless one that stays only");
    await cluster.heldBy("10.77.0.234", 1000, "n1");
    await reaches(cluster, "10.77.0.234", "n1");
    await cluster.heldBy("10.77.0.235", 1000, "n2");
    expect(await reaches(cluster, "10.77.0.235", "n2")).toBe("10.77.0.100");
    for (const name of ["stays", "stays-nft", "bare", "usurper", "emptied"]) await api.client.deleteService(name);
    for (const last of [234, 235]) await cluster.free(`10.77.0.${last}`, 3000);
    await lab.waitFor(async () => (await nodesWithRules(cluster)).length === 0, 1000, "no rules");
  });
});
