import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PolicyRule } from "./api/rights.js";
import { Cluster, ingressOf, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import type { LabProcess } from "./process.js";
import { makeApp } from "./romana.js";
import { KUBE_VIP_ROLE, printedRole, rightsIn, userWith, without } from "./roles.js";
import { answeringNode } from "./service-plane.js";

const POOLED = "10.77.0.210";

/** Warnings and errors of a process that name this. */
function complaints(vip: LabProcess, ...parts: readonly string[]): readonly Record<string, unknown>[] {
  return vip.logs().filter((line) => ["warn", "error"].includes(String(line["level"])) && parts.every((part) => JSON.stringify(line).includes(part)));
}

test("with the rights of kube-vip's manifests and no more: Services are served with status, one from svc_addresses too, and another node takes over", async () => {
  await using cluster = await Cluster.bare(2);
  const { lab, api, admin } = cluster;
  const env = { k8s_config_file: await userWith(cluster, "kube-vip", KUBE_VIP_ROLE), svc_addresses: POOLED };
  for (const { name } of lab.nodes) await cluster.startVip(name, { env });
  await cluster.owner();
  await api.client.createService(loadBalancer({ name: "web", ip: VIP, annotations: { "example.com/note": "kept" } }));
  await api.client.createService(loadBalancer({ name: "pooled" }));
  const holder = await cluster.heldBy(VIP, 1000);
  const service = await cluster.service("web", 1000, "a status", (one) => ingressOf(one).join() === VIP);
  expect(service.metadata.annotations).toMatchObject({ "kube-vip.io/vipHost": holder, "example.com/note": "kept" });
  await cluster.service("pooled", 3000, "an address of svc_addresses", (one) => ingressOf(one).join() === POOLED);
  await cluster.vip(holder).stop();
  const next = await cluster.heldBy(VIP, 2000);
  expect(next).not.toBe(holder);
  await cluster.heldBy(POOLED, 1000, next);
  expect(await answeringNode(lab, VIP)).toBe(next);
  await cluster.service("web", 1000, "the name of the next holder", (one) => one.metadata.annotations?.["kube-vip.io/vipHost"] === next);
  await api.client.deleteService("pooled");
  await cluster.free(POOLED, 1000);
  const vip = cluster.vip(next);
  for (const [verb, resource] of [["patch", "services/status"], ["create", "events"], ["list", "configmaps"]] as const) expect(complaints(vip, verb, resource), `${verb} ${resource}`).toHaveLength(1);
  expect(complaints(vip)).toHaveLength(3);
  const { requests } = await admin.counters();
  const refused = requests.filter(({ code, resource }) => code === 403 && resource === "services");
  expect(refused.reduce((sum, { count }) => sum + count, 0), JSON.stringify(refused)).toBeLessThanOrEqual(4); // by each process, one PATCH for each Service that was on its way
});

/** Rights that are commonly given together with others, and that nothing uses; Leases are deleted of members that have been gone for an hour. */
const UNUSED = ["delete leases", "get services", "get endpointslices", "get nodes", "get configmaps"];

test("with the rights that `vip manifest rbac` prints and no more: Services are served with status and Events, another node takes over, and nothing is complained of", async () => {
  await using cluster = await Cluster.bare(2);
  const role = await printedRole(cluster.lab);
  expect(rightsIn(role)).not.toContain("patch services");
  const used = UNUSED.reduce((rest, right) => without(rest, ...(right.split(" ") as [string, string])), role);
  const env = { k8s_config_file: await userWith(cluster, "vip", used), svc_addresses: POOLED };
  for (const { name } of cluster.lab.nodes) await cluster.startVip(name, { env });
  await cluster.owner();
  await cluster.api.client.createService(loadBalancer({ name: "web" }));
  const holder = await cluster.heldBy(POOLED, 3000);
  await cluster.service("web", 1000, "a status", (one) => ingressOf(one).join() === POOLED);
  await cluster.lab.waitFor(async () => (await cluster.api.client.events()).some(({ involvedObject }) => involvedObject?.name === "web"), 3000, "an Event");
  await cluster.vip(holder).stop();
  const next = await cluster.heldBy(POOLED, 2000);
  await cluster.service("web", 1000, "the name of the next holder", (one) => one.metadata.annotations?.["kube-vip.io/vipHost"] === next);
  expect(cluster.lab.nodes.flatMap(({ name }) => complaints(cluster.vip(name)))).toEqual([]);
});

describe("without", () => {
  let cluster: Cluster;
  let role: readonly PolicyRule[] = [];
  let at = 0;
  /** Rights that were taken away, as `verb resource`. */
  const taken = new Set(UNUSED);
  beforeAll(async () => {
    cluster = await Cluster.bare(1);
    role = await printedRole(cluster.lab, ["--romana"]);
  });
  afterAll(async () => await cluster[Symbol.asyncDispose]());

  /** A new `vip` with these rights, for a Service of its own that is there before. */
  async function started(verb: string, resource: string, annotations: Readonly<Record<string, string>> = {}): Promise<{ readonly vip: LabProcess; readonly name: string; readonly address: string } & AsyncDisposable> {
    at += 1;
    taken.add(`${verb} ${resource}`);
    const [name, address] = [`web-${at}`, `10.77.0.${200 + at}`];
    const { client } = cluster.api;
    const env = { k8s_config_file: await userWith(cluster, `user-${at}`, without(role, verb, resource)) };
    await client.createService(loadBalancer({ name, ip: address, annotations }));
    const vip = await cluster.startVip("n1", { env });
    const end = async (): Promise<void> => {
      await vip.stop();
      await client.deleteService(name);
    };
    return { vip, name, address, [Symbol.asyncDispose]: end };
  }

  test.each([
    ["services", "list"],
    ["endpointslices", "list"],
    ["leases", "list"],
  ])("the right to %s %s: nothing is served, and an error says so at once, once", async (resource, verb) => {
    await using run = await started(verb, resource);
    const [error] = await cluster.lab.waitFor(() => complaints(run.vip, `cannot ${verb} resource`, resource), 3000, "an error");
    expect(error).toMatchObject({ level: "error", verb, resource });
    await cluster.lab.waitFor(async () => (await cluster.admin.counters()).requests.some((one) => one.user === `user-${at}` && one.code === 403 && one.count >= 4), 3000, "four refusals");
    expect(complaints(run.vip, resource)).toHaveLength(1);
    expect(await cluster.lab.holders(run.address)).toEqual([]);
  });

  test.each([
    ["services", "watch", "error"],
    ["endpointslices", "watch", "error"],
    ["leases", "watch", "error"],
    ["nodes", "list", "warn"],
    ["nodes", "watch", "warn"],
    ["configmaps", "list", "warn"],
    ["configmaps", "watch", "warn"],
    ["services/status", "patch", "warn"],
    ["events", "create", "warn"],
  ])("the right of %s to %s: it is served all the same, and the log names what is missing", async (resource, verb, level) => {
    await using run = await started(verb, resource);
    await cluster.heldBy(run.address, 3000);
    const found = await cluster.lab.waitFor(() => complaints(run.vip, `cannot ${verb} resource`, resource), 3000, "a complaint");
    expect(found[0]).toMatchObject({ level });
    if (resource !== "services/status") await cluster.service(run.name, 1000, "a status", (one) => ingressOf(one).join() === run.address);
    // Not the status: its retries slow down, but each of them is worth a line.
    else expect(found.length).toBeLessThan(10);
  });

  test("the right to watch Services: what changes is seen by listing again", async () => {
    await using run = await started("watch", "services");
    await cluster.heldBy(run.address, 3000);
    await cluster.api.client.patchService(run.name, { metadata: { annotations: { "kube-vip.io/loadbalancerIPs": "10.77.0.250" } } });
    await cluster.heldBy("10.77.0.250", 12_000);
    await cluster.free(run.address, 1000);
  });

  test.each(["get", "patch"])("the right to %s Events: one that is there already is not counted up, and the log says so", async (verb) => {
    await using run = await started(verb, "events");
    await cluster.lab.waitFor(async () => (await cluster.api.client.events()).some((one) => one.involvedObject?.name === run.name), 3000, "an Event");
    await run.vip.stop();
    await using again = await cluster.startVip("n1", { env: { k8s_config_file: await userWith(cluster, `user-${at}`, without(role, verb, "events")) } });
    await cluster.lab.waitFor(() => complaints(again, `cannot ${verb} resource`, "events"), 3000, "a complaint");
    await cluster.heldBy(run.address, 3000);
  });

  test("the right to patch Services: a Romana VIP is served by other means, and the log says why", async () => {
    await using run = await started("patch", "services");
    await makeApp(cluster, { name: "romana", ip: "10.77.0.240" }, ["n1"]);
    await cluster.heldBy("10.77.0.240", 3000);
    await cluster.lab.waitFor(() => complaints(run.vip, "cannot patch resource", "services"), 3000, "a complaint");
    await cluster.lab.waitFor(async () => (await answeringNode(cluster.lab, "10.77.0.240")) === "n1", 3000, "an answer of the pod");
    await cluster.api.client.deleteService("romana");
  });

  test.each([
    ["get", "nobody else writes them"],
    ["delete", "no node has been gone for long"],
  ])("the right to %s Leases: nothing is amiss as long as %s", async (verb) => {
    await using run = await started(verb, "leases");
    await cluster.heldBy(run.address, 3000);
    expect(complaints(run.vip)).toEqual([]);
  });

  test.each([
    ["create", true],
    ["update", false],
  ])("the right to %s Leases: nobody owns anything, and the log names it without a flood", async (verb, fresh) => {
    const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/plndr-svcs-lock";
    if (fresh) await cluster.api.client.request("DELETE", leases);
    await using run = await started(verb, "leases");
    await cluster.lab.waitFor(() => complaints(run.vip, `cannot ${verb} resource`, "leases"), 3000, "a complaint");
    await cluster.lab.waitFor(async () => (await cluster.admin.counters()).requests.some((one) => one.user === `user-${at}` && one.code === 403 && one.count >= 4), 6000, "four refusals");
    expect(complaints(run.vip)).toEqual([expect.objectContaining({ level: "error", lease: "plndr-svcs-lock" })]);
    expect(await cluster.lab.holders(run.address)).toEqual([]);
    if (fresh) await cluster.admin.rights(`user-${at}`, role);
    if (fresh) await cluster.heldBy(run.address, 3000);
  });

  test("each right that is printed, none was forgotten", () => {
    expect([...taken].toSorted()).toEqual([...new Set(rightsIn(role))].toSorted());
  });
});
