import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { eventName } from "../../src/kube/events.js";
import type { EventDraft, Lease, LeaseRecord } from "../../src/ports/kube.js";
import { fakeService } from "../fakes/service.js";
import { bodyOf, kubeFor, never } from "./kube-case.js";
import { eventually, json, statusBody } from "./support.js";
import type { Handler } from "./support.js";

describe("leases", () => {
  const id = { namespace: "kube-system", name: "plndr-cp-lock" };
  const path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
  const record: LeaseRecord = { holderIdentity: "b", leaseDurationSeconds: 5, acquireTime: "2026-01-02T03:04:05.000006Z", renewTime: "2026-01-02T03:04:06.000000Z", leaseTransitions: 3 };
  const object = (version: string, holder = "a"): Readonly<Record<string, unknown>> => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { ...id, uid: "u", resourceVersion: version, labels: { l: "1" }, annotations: { a: "2" }, managedFields: [{ manager: "x" }] },
    spec: { holderIdentity: holder, leaseDurationSeconds: 15, leaseTransitions: 2, renewTime: null, strategy: "OldestEmulationVersion" },
  });

  it("reads one, and sends back on replace what it does not know", async () => {
    await using test = await kubeFor((got, response) => {
      json(response, 200, got.method === "GET" ? object("7") : { ...object("8", "b") });
    });
    const lease = await test.kube.leases.get(id, 1000, never());
    expect(lease).toEqual({ id, uid: "u", resourceVersion: "7", record: { holderIdentity: "a", leaseDurationSeconds: 15, acquireTime: undefined, renewTime: undefined, leaseTransitions: 2 }, annotations: {} });
    const next = await test.kube.leases.replace(lease as Lease, record, 1000, never());
    expect([next.resourceVersion, next.record.holderIdentity]).toEqual(["8", "b"]);
    expect(test.got[1]).toMatchObject({ method: "PUT", path: `${path}/plndr-cp-lock` });
    expect(bodyOf(test.got[1])).toEqual({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { ...id, uid: "u", resourceVersion: "7", labels: { l: "1" }, annotations: { a: "2" } },
      spec: { ...record, strategy: "OldestEmulationVersion" },
    });
  });

  it("creates one; a released record keeps its empty holder", async () => {
    await using test = await kubeFor((_got, response) => {
      json(response, 201, object("1", ""));
    });
    const lease = await test.kube.leases.create(id, { ...record, holderIdentity: "", acquireTime: undefined }, 1000, never());
    expect(lease.record.holderIdentity).toBe("");
    expect(test.got[0]).toMatchObject({ method: "POST", path });
    expect(bodyOf(test.got[0])).toEqual({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: id, spec: { ...record, holderIdentity: "", acquireTime: null } });
  });

  it("maps the refusals", async () => {
    const answers: (readonly [number, string])[] = [[404, "NotFound"], [200, ""], [409, "Conflict"], [409, "AlreadyExists"], [403, "Forbidden"], [200, "{}"]];
    await using test = await kubeFor((_got, response) => {
      const [status, reason] = answers.shift() ?? [500, ""];
      json(response, status, reason === "" ? object("1") : reason === "{}" ? {} : statusBody(status, reason, "no"));
    });
    const { leases } = test.kube;
    expect(await leases.get(id, 1000, never())).toBeUndefined();
    const lease = (await leases.get(id, 1000, never())) as Lease;
    await expect(leases.replace(lease, record, 1000, never())).rejects.toMatchObject({ code: "conflict", status: 409 });
    await expect(leases.create(id, record, 1000, never())).rejects.toMatchObject({ code: "alreadyExists" });
    await expect(leases.get(id, 1000, never())).rejects.toMatchObject({ code: "forbidden" });
    await expect(leases.get(id, 1000, never())).rejects.toMatchObject({ code: "protocol" });
    await expect(leases.replace({ ...lease }, record, 1000, never())).rejects.toThrow(TypeError);
  });

  it("watches one by name: first that there is none, then every change as it arrives", async () => {
    let watch: ServerResponse | undefined;
    await using test = await kubeFor((got, response) => {
      if (got.query.get("watch") === null) json(response, 200, { metadata: { resourceVersion: "1" }, items: [] });
      else {
        response.writeHead(200);
        response.flushHeaders();
        watch = response;
      }
    });
    const seen: (string | undefined)[] = [];
    const stop = new AbortController();
    const done = test.kube.leases.watch(id, (lease) => void seen.push(lease?.record.holderIdentity), stop.signal);
    await eventually(() => {
      expect([seen.length, watch === undefined]).toEqual([1, false]);
    });
    for (const [type, version, holder] of [["ADDED", "2", "a"], ["MODIFIED", "3", ""], ["DELETED", "4", ""]] as const) {
      const before = seen.length;
      watch?.write(`${JSON.stringify({ type, object: object(version, holder) })}\n`);
      await eventually(() => {
        expect(seen.length).toBeGreaterThan(before);
      });
    }
    expect(seen).toEqual([undefined, "a", "", undefined]);
    expect(test.got.every((one) => one.query.get("fieldSelector") === "metadata.name=plndr-cp-lock")).toBe(true);
    stop.abort();
    await done;
  });
});

describe("events", () => {
  const service = fakeService({ uid: "0a1b", resourceVersion: "42" });
  const draft: EventDraft = { service, type: "Warning", reason: "AddressInUse", message: "192.0.2.1 is held by 02:00:00:00:00:01" };

  /** Events by name, with count and version, as the API server keeps them. */
  function eventServer(): Handler & { readonly events: Map<string, Record<string, unknown>>; conflicts: number } {
    const events = new Map<string, Record<string, unknown>>();
    let version = 1;
    const handler: Handler = (got, response) => {
      const body = JSON.parse(got.body === "" ? "{}" : got.body) as Record<string, unknown> & { metadata: { name: string; resourceVersion: string } };
      const name = got.path.split("/")[6] ?? "";
      const known = events.get(got.method === "POST" ? body.metadata.name : name);
      version += 1;
      if (got.method === "POST") {
        if (known !== undefined) return json(response, 409, statusBody(409, "AlreadyExists", "exists"));
        events.set(body.metadata.name, { ...body, metadata: { ...body.metadata, resourceVersion: String(version) } });
        return json(response, 201, body);
      }
      if (known === undefined) return json(response, 404, statusBody(404, "NotFound", "none"));
      if (got.method === "GET") return json(response, 200, known);
      const metadata = known["metadata"] as { resourceVersion: string };
      if (all.conflicts > 0 || metadata.resourceVersion !== body.metadata.resourceVersion) {
        all.conflicts -= 1;
        return json(response, 409, statusBody(409, "Conflict", "modified"));
      }
      events.set(name, { ...known, ...body, metadata: { ...metadata, resourceVersion: String(version) } });
      return json(response, 200, {});
    };
    const all = Object.assign(handler, { events, conflicts: 0 });
    return all;
  }

  it("creates one that kubectl can show", async () => {
    const api = eventServer();
    await using test = await kubeFor(api);
    await test.kube.events.write(draft, never());
    expect(test.got[0]?.path).toBe("/api/v1/namespaces/default/events");
    expect(bodyOf(test.got[0])).toEqual({
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace: "default", name: eventName(draft) },
      involvedObject: { apiVersion: "v1", kind: "Service", namespace: "default", name: "web", uid: "0a1b", resourceVersion: "42" },
      type: "Warning",
      reason: "AddressInUse",
      message: draft.message,
      count: 1,
      firstTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as string,
      lastTimestamp: expect.stringMatching(/Z$/) as string,
      source: { component: "vip", host: "node-1" },
      reportingComponent: "vip",
      reportingInstance: "node-1",
    });
    expect(eventName(draft)).toMatch(/^web\.[0-9a-f]{16}$/);
  });

  it("raises the count of the same event, also against another writer; another message is another event", async () => {
    const api = eventServer();
    await using test = await kubeFor(api);
    await test.kube.events.write(draft, never());
    api.conflicts = 2;
    await test.kube.events.write({ ...draft, service: { ...service, resourceVersion: "43" } }, never());
    await test.kube.events.write({ ...draft, message: "other" }, never());
    expect([...api.events.values()].map((one) => one["count"])).toEqual([2, 1]);
  });

  it("gives up where the namespace is gone or the server refuses", async () => {
    const answers = [404, 403];
    await using test = await kubeFor((_got, response) => {
      const status = answers.shift() ?? 500;
      json(response, status, statusBody(status, "", "no"));
    });
    await expect(test.kube.events.write(draft, never())).rejects.toMatchObject({ code: "notFound" });
    await expect(test.kube.events.write(draft, never())).rejects.toMatchObject({ code: "forbidden" });
  });

  it("cuts a message at 1024 bytes, between characters", async () => {
    await using test = await kubeFor(eventServer());
    await test.kube.events.write({ ...draft, message: "ä€🚀".repeat(200) }, never());
    const { message } = bodyOf(test.got[0]) as { message: string };
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1024);
    expect(message).toMatch(/^[ä€🚀]+\.\.\.$/u);
  });
});
