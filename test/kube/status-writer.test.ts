import { describe, expect, it } from "vitest";
import { decodeService } from "../../src/kube/decode-service.js";
import type { Service } from "../../src/ports/kube.js";
import { bodyOf, kubeFor, never, type Case } from "./kube-case.js";
import { json, realClock, statusBody } from "./support.js";

const metadata = { namespace: "default", name: "web", uid: "0a1b", resourceVersion: "42" };
const service = decodeService({ metadata }) as Service;
const patch = { ingress: [{ ip: "192.0.2.1" }], annotations: { "vip.internal/host": "n", "vip.internal/old": null } };
const refusal = (verb: string): unknown => statusBody(403, "Forbidden", `services "web" is forbidden: User "x" cannot ${verb} resource "services/status" in API group "" in the namespace "default"`);

/** A server with one Service, that forbids some methods; the clock can be set ahead. */
async function refusing(state: { readonly forbidden: Set<string>; object: unknown }): Promise<{ readonly test: Case; readonly pass: (ms: number) => void }> {
  let ahead = 0;
  const test = await kubeFor((got, response) => {
    if (state.forbidden.has(got.method)) return json(response, 403, refusal(got.method.toLowerCase()));
    return json(response, 200, got.method === "GET" ? state.object : {});
  }, { ...realClock, now: () => realClock.now() + ahead });
  return { test, pass: (ms) => void (ahead += ms) };
}

const object = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { ...metadata, labels: { a: "b" }, annotations: { "other/note": "x", "vip.internal/old": "y" }, managedFields: [{ manager: "kubectl" }] },
  spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
  status: { conditions: [{ type: "Ready" }], loadBalancer: { ingress: [{ ip: "192.0.2.9" }] } },
};

describe("where PATCH of the status is forbidden", () => {
  it("writes by GET and PUT of the whole object, remembers it, and names the missing verb once", async () => {
    const { test, pass } = await refusing({ forbidden: new Set(["PATCH"]), object });
    await using _ = test;
    await test.kube.services.patchStatus(service, patch, never());
    await test.kube.services.patchStatus(service, { ingress: undefined, annotations: {} }, never());
    const status = "/api/v1/namespaces/default/services/web/status";
    const whole = "/api/v1/namespaces/default/services/web";
    expect(test.got.map(({ method, path }) => [method, path])).toEqual([["PATCH", status], ["GET", whole], ["PUT", status], ["GET", whole], ["PUT", status]]);
    expect(bodyOf(test.got[2])).toEqual({
      ...object,
      metadata: { ...metadata, labels: { a: "b" }, annotations: { "other/note": "x", "vip.internal/host": "n" } },
      status: { conditions: [{ type: "Ready" }], loadBalancer: { ingress: patch.ingress } },
    });
    expect(test.got[2]?.query.get("fieldManager")).toBe("vip");
    expect(bodyOf(test.got[4])).toMatchObject({ status: object.status, metadata: { resourceVersion: "42", annotations: object.metadata.annotations } });
    pass(599_000);
    await test.kube.services.patchStatus(service, patch, never());
    expect(test.got.filter(({ method }) => method === "PATCH")).toHaveLength(1);
    pass(2000);
    await test.kube.services.patchStatus(service, patch, never());
    expect(test.got.filter(({ method }) => method === "PATCH")).toHaveLength(2);
    expect(test.log.filter(({ level }) => level === "warn")).toEqual([expect.objectContaining({ fields: expect.objectContaining({ verb: "patch", resource: "services/status" }) as unknown })]);
  });

  it("does not write over a version that it has not seen", async () => {
    const { test } = await refusing({ forbidden: new Set(["PATCH"]), object: { ...object, metadata: { ...object.metadata, resourceVersion: "43" } } });
    await using _ = test;
    await expect(test.kube.services.patchStatus(service, patch, never())).rejects.toMatchObject({ code: "conflict" });
    expect(test.got.map(({ method }) => method)).toEqual(["PATCH", "GET"]);
  });

  it("and PUT as well: fails with what the server says, and takes whichever is allowed next", async () => {
    const state = { forbidden: new Set(["PATCH", "PUT"]), object };
    const { test } = await refusing(state);
    await using _ = test;
    await expect(test.kube.services.patchStatus(service, patch, never())).rejects.toMatchObject({ code: "forbidden", message: expect.stringContaining("cannot put resource") as string });
    state.forbidden.delete("PATCH");
    await test.kube.services.patchStatus(service, patch, never());
    expect(test.got.map(({ method }) => method)).toEqual(["PATCH", "GET", "PUT", "PATCH"]);
  });
});

it("another failure of a PATCH is no reason for a PUT", async () => {
  await using test = await kubeFor((_got, response) => json(response, 500, statusBody(500, "InternalError", "x")));
  await expect(test.kube.services.patchStatus(service, patch, never())).rejects.toMatchObject({ code: "server" });
  expect(test.got.map(({ method }) => method)).toEqual(["PATCH"]);
});
