import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../lab/api/object.js";
import { lease, service, stage } from "./client.js";
import type { Stage } from "./client.js";

let on: Stage;
beforeAll(async () => {
  on = await stage({}, { realToo: false });
});
afterAll(async () => await on[Symbol.asyncDispose]());

type Output = { readonly code: number; readonly out: string; readonly err: string };

async function kubectl(args: readonly string[], input?: Json): Promise<Output> {
  return await new Promise<Output>((resolve) => {
    const env = { PATH: process.env["PATH"] ?? "", HOME: tmpdir() };
    const child = execFile("kubectl", ["--kubeconfig", on.api?.tokenConf ?? "", "-n", on.namespace, "--cache-dir", `${on.api?.adminSocket ?? ""}.cache`, ...args], { env, timeout: 20_000 }, (error, out, err) => resolve({ code: error === null ? 0 : 1, out, err }));
    child.stdin?.end(input === undefined ? "" : JSON.stringify(input));
  });
}

const columns = (line: string | undefined): readonly string[] => (line ?? "").trim().split(/\s{2,}/u);

describe.skipIf(!existsSync("/usr/bin/kubectl"))("kubectl", () => {
  test("applies, applies again, patches the status and prints EXTERNAL-IP", async () => {
    expect((await kubectl(["apply", "-f", "-"], service("web"))).out).toBe("service/web created\n");
    expect((await kubectl(["apply", "-f", "-"], service("web"))).out).toBe("service/web unchanged\n");
    expect((await kubectl(["apply", "-f", "-"], service("web", { ports: [{ name: "http", port: 81 }] }))).out).toBe("service/web configured\n");
    expect((await kubectl(["patch", "svc", "web", "--subresource=status", "--type=merge", "-p", '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.10"}]}}}'])).code).toBe(0);
    const [head, row] = (await kubectl(["get", "svc", "web"])).out.split("\n");
    expect(columns(head)).toEqual(["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]);
    expect(columns(row).slice(0, 2)).toEqual(["web", "LoadBalancer"]);
    expect(columns(row)[3]).toBe("192.0.2.10");
  });

  test("annotates, labels, exposes, describes and deletes", async () => {
    await kubectl(["create", "-f", "-"], service("many"));
    expect((await kubectl(["annotate", "svc", "many", "a=b"])).code).toBe(0);
    expect((await kubectl(["label", "svc", "many", "c=d"])).code).toBe(0);
    expect((await kubectl(["expose", "svc", "many", "--port=82", "--name=again"])).code).toBe(0);
    const { out } = await kubectl(["describe", "svc", "many"]);
    for (const text of ["Annotations:              a: b", "Labels:                   c=d", "Type:                     LoadBalancer"]) expect(out).toContain(text);
    expect((await kubectl(["delete", "svc", "many", "again"])).out.split("\n")).toHaveLength(3);
  });

  test("prints leases, nodes and events", async () => {
    await kubectl(["create", "-f", "-"], lease("holder"));
    await kubectl(["create", "-f", "-"], { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" }, status: { conditions: [{ type: "Ready", status: "True" }] } });
    await kubectl(["create", "-f", "-"], { apiVersion: "v1", kind: "Event", metadata: { name: "e" }, involvedObject: { kind: "Service", name: "web", namespace: on.namespace }, reason: "Up", message: "is up", type: "Normal", count: 1, lastTimestamp: "2026-01-02T03:04:05Z" });
    expect(columns((await kubectl(["get", "leases"])).out.split("\n")[1]).slice(0, 2)).toEqual(["holder", "a"]);
    expect(columns((await kubectl(["get", "nodes"])).out.split("\n")[1]).slice(0, 2)).toEqual(["node-1", "Ready"]);
    expect(columns((await kubectl(["get", "events"])).out.split("\n")[1]).slice(1)).toEqual(["Normal", "Up", "service/web", "is up"]);
  });

  test("says what is wrong in the words of the server", async () => {
    const { code, err } = await kubectl(["create", "-f", "-"], service("wrong", { ports: [] }));
    expect([code, err]).toEqual([1, 'The Service "wrong" is invalid: spec.ports: Required value\n']);
    expect((await kubectl(["get", "svc", "absent"])).err).toBe('Error from server (NotFound): services "absent" not found\n');
  });

  test("may do everything, and waits for a condition", async () => {
    expect((await kubectl(["auth", "can-i", "list", "services"])).out).toBe("yes\n");
    expect((await kubectl(["wait", "--for=jsonpath={.status.phase}=Active", `namespace/${on.namespace}`, "--timeout=5s"])).code).toBe(0);
  });

  test("creates what it sends in protobuf", async () => {
    expect((await kubectl(["create", "configmap", "made", "--from-literal=a=b"])).out).toBe("configmap/made created\n");
    expect((await kubectl(["get", "cm", "made", "-o", "jsonpath={.data.a}"])).out).toBe("b");
    expect((await kubectl(["create", "secret", "generic", "hidden", "--from-literal=a=b"])).code).toBe(0);
    expect((await kubectl(["get", "secret", "hidden", "-o", "jsonpath={.data.a}"])).out).toBe("Yg==");
    expect((await kubectl(["create", "deployment", "run", "--image=example.com/a:1", "--replicas=2"])).err).toBe("");
    expect((await kubectl(["get", "deploy", "run", "-o", "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image} {.spec.selector.matchLabels.app}"])).out).toBe("2 example.com/a:1 run");
    expect((await kubectl(["create", "serviceaccount", "who"])).code).toBe(0);
    expect((await kubectl(["create", "namespace", "brief"])).code).toBe(0);
    expect((await kubectl(["delete", "namespace", "brief"])).code).toBe(0);
  });

  test("creates, scales and exposes a deployment, whose pods are behind the Service", async () => {
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n1" }, status: { addresses: [{ type: "InternalIP", address: "10.77.0.11" }] } };
    on.api?.podAddresses([{ node: "n1", ipv4: ["10.244.1.1"], ipv6: [] }, { node: "node-1", ipv4: ["10.244.2.1"], ipv6: [] }]);
    await kubectl(["create", "-f", "-"], node);
    expect((await kubectl(["create", "deployment", "shop", "--image=example.com/a:1", "--port=8080"])).err).toBe("");
    expect(await kubectl(["scale", "deployment/shop", "--replicas=3"])).toMatchObject({ code: 0, out: "deployment.apps/shop scaled\n" });
    expect((await kubectl(["rollout", "status", "deployment/shop", "--timeout=5s"])).out).toContain('deployment "shop" successfully rolled out');
    expect(await kubectl(["expose", "deployment", "shop", "--type=LoadBalancer", "--port=80", "--target-port=8080"])).toMatchObject({ err: "", out: "service/shop exposed\n" });
    const { out } = await kubectl(["get", "endpointslices", "-l", "kubernetes.io/service-name=shop", "-o", "jsonpath={.items[0].endpoints[*].conditions.ready} {.items[0].ports[0].port}"]);
    expect(out).toBe("true true true 8080");
    expect(columns((await kubectl(["get", "deploy", "shop"])).out.split("\n")[1]).slice(0, 4)).toEqual(["shop", "3/3", "3", "3"]);
    expect((await kubectl(["get", "pods", "-l", "app=shop", "-o", "wide"])).out.split("\n")[1]).toMatch(/^shop-\S+ +1\/1 +Running /u);
    expect((await kubectl(["describe", "deployment", "shop"])).code).toBe(0);
    expect((await kubectl(["delete", "deployment", "shop"])).code).toBe(0);
    expect((await kubectl(["get", "pods", "-l", "app=shop"])).err).toContain("No resources found");
  });

  test("a CustomResourceDefinition adds its resource", async () => {
    const names = { plural: "pools", singular: "pool", kind: "Pool", shortNames: ["po2"] };
    const crd = { apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: "pools.example.com" }, spec: { group: "example.com", scope: "Namespaced", names, versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }] } };
    expect((await kubectl(["create", "-f", "-"], crd)).code).toBe(0);
    expect((await kubectl(["create", "-f", "-"], { apiVersion: "example.com/v1", kind: "Pool", metadata: { name: "one" }, spec: { a: 1 } })).out).toBe("pool.example.com/one created\n");
    expect((await kubectl(["get", "pools", "one", "-o", "jsonpath={.spec.a}"])).out).toBe("1");
  });
});
