import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import type { Lease, LeaseRecord } from "../../src/ports/kube.js";
import { bodyOf, kubeFor, never, WatchServer } from "./kube-case.js";
import { eventually, json, statusBody } from "./support.js";

const record: LeaseRecord = { holderIdentity: "n1", leaseDurationSeconds: 5, acquireTime: undefined, renewTime: "2026-01-02T03:04:06.000000Z", leaseTransitions: 0 };
const id = { namespace: "kube-system", name: "vip-member-n1" };
const path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

function leaseObject(name: string, version: string, metadata: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const spec = { holderIdentity: "n1", leaseDurationSeconds: 5, leaseTransitions: 0 };
  return { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { namespace: "kube-system", name, uid: `uid-${name}`, resourceVersion: version, ...metadata }, spec };
}

describe("labels and annotations of a Lease", () => {
  it("are written with the first version", async () => {
    await using test = await kubeFor((_got, response) => json(response, 201, leaseObject(id.name, "1")));
    await test.kube.leases.create(id, { ...record, labels: { "vip.internal/ownership": "member" }, annotations: { "vip.internal/member": "{}" } }, 1000, never());
    expect(bodyOf(test.got[0])).toMatchObject({ metadata: { ...id, labels: { "vip.internal/ownership": "member" }, annotations: { "vip.internal/member": "{}" } } });
  });

  it("are read where they are ours, and those of others stay through every write", async () => {
    const marks = { labels: { theirs: "1" }, annotations: { "theirs.example/a": "2", "vip.internal/member": "old", "vip.internal/more": "3", "vip.internal/odd": 4 } };
    await using test = await kubeFor((_got, response) => json(response, 200, leaseObject(id.name, "7", marks)));
    const lease = await test.kube.leases.get(id, 1000, never());
    expect(lease?.annotations).toEqual({ "vip.internal/member": "old", "vip.internal/more": "3" });
    await test.kube.leases.replace(lease as Lease, { ...record, annotations: { "vip.internal/member": "new" }, labels: { "vip.internal/ownership": "member" } }, 1000, never());
    expect(bodyOf(test.got[1])).toMatchObject({
      metadata: {
        resourceVersion: "7",
        labels: { theirs: "1", "vip.internal/ownership": "member" },
        annotations: { "theirs.example/a": "2", "vip.internal/member": "new", "vip.internal/more": "3" },
      },
      spec: { holderIdentity: "n1", renewTime: record.renewTime },
    });
  });
});

describe("removing a Lease", () => {
  it("removes the version that was read, and no other", async () => {
    await using test = await kubeFor((_got, response) => json(response, 200, leaseObject(id.name, "7")));
    await test.kube.leases.remove((await test.kube.leases.get(id, 1000, never())) as Lease, 1000, never());
    expect(test.got[1]).toMatchObject({ method: "DELETE", path: `${path}/${id.name}` });
    expect(bodyOf(test.got[1])).toMatchObject({ kind: "DeleteOptions", preconditions: { uid: `uid-${id.name}`, resourceVersion: "7" } });
  });

  it.each([
    ["is done where there is none", 404, "NotFound", undefined],
    ["fails where it has changed since", 409, "Conflict", { code: "conflict" }],
    ["fails where it may not", 403, "Forbidden", { code: "forbidden" }],
  ] as const)("%s", async (_name, status, reason, refused) => {
    await using test = await kubeFor((got, response) => (got.method === "GET" ? json(response, 200, leaseObject(id.name, "7")) : json(response, status, statusBody(status, reason, "no"))));
    const removing = test.kube.leases.remove((await test.kube.leases.get(id, 1000, never())) as Lease, 1000, never());
    if (refused === undefined) await removing;
    else await expect(removing).rejects.toMatchObject(refused);
  });
});

describe("the Leases with a label", () => {
  it("come as one map by name, in which what did not change stays the same", async () => {
    const server = new WatchServer();
    server.items = [leaseObject("vip-member-n1", "1"), leaseObject("vip-member-n2", "2")];
    await using test = await kubeFor(server.handler);
    const seen: ReadonlyMap<string, Lease>[] = [];
    const stop = new AbortController();
    const done = test.kube.leases.watchLabelled({ namespace: "kube-system", label: "vip.internal/ownership" }, (leases) => void seen.push(leases), stop.signal);
    await server.send("MODIFIED", leaseObject("vip-member-n2", "3", { annotations: { "vip.internal/member": "x" } }));
    await eventually(() => expect(seen).toHaveLength(2));
    await server.send("DELETED", leaseObject("vip-member-n1", "4"));
    await eventually(() => expect(seen).toHaveLength(3));
    expect(seen.map((leases) => [...leases].map(([name, { resourceVersion }]) => `${name}@${resourceVersion}`))).toEqual([
      ["vip-member-n1@1", "vip-member-n2@2"],
      ["vip-member-n1@1", "vip-member-n2@3"],
      ["vip-member-n2@3"],
    ]);
    expect(seen[1]?.get("vip-member-n1")).toBe(seen[0]?.get("vip-member-n1"));
    expect(seen[2]?.get("vip-member-n2")).toBe(seen[1]?.get("vip-member-n2"));
    expect(test.got.every((one) => one.path === path && one.query.get("labelSelector") === "vip.internal/ownership")).toBe(true);
    stop.abort();
    await done;
  });

  it("are told of although there are none yet", async () => {
    let watch: ServerResponse | undefined;
    await using test = await kubeFor((got, response) => {
      if (got.query.get("watch") === null) return json(response, 200, { metadata: { resourceVersion: "1" }, items: [] });
      response.writeHead(200).flushHeaders();
      watch = response;
    });
    const sizes: number[] = [];
    const stop = new AbortController();
    const done = test.kube.leases.watchLabelled({ namespace: "kube-system", label: "vip.internal/ownership" }, (leases) => void sizes.push(leases.size), stop.signal);
    await eventually(() => expect([sizes, watch === undefined]).toEqual([[0], false]));
    stop.abort();
    await done;
  });
});
