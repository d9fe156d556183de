import { expect, test } from "vitest";
import { clusterText, clusterReport, runClusterStatus, type ClusterReport } from "../../src/cli/cluster-status.js";
import type { Lease } from "../../src/ports/kube.js";
import { folder, json, kubeconfig, serve, statusBody, type Handler } from "../kube/support.js";
import { FakeIo } from "./fake-io.js";

const AT = Date.UTC(2026, 0, 2, 3, 4, 5);
const ago = (seconds: number): string => new Date(AT - seconds * 1000).toISOString();

function service(name: string, { type = "LoadBalancer", annotations = {}, ingress = [] }: { type?: string; annotations?: Record<string, string>; ingress?: unknown[] }): unknown {
  const metadata = { namespace: "default", name, uid: `uid-${name}`, resourceVersion: "1", annotations };
  return { metadata, spec: { type }, status: { loadBalancer: { ingress } } };
}

function event(about: string, reason: string, part: Record<string, unknown>): unknown {
  return { type: "Warning", reason, message: `${reason} of ${about}`, involvedObject: { kind: "Service", namespace: "default", name: about }, source: { component: "vip" }, ...part };
}

const SERVICES = [
  service("zeta", { annotations: { "kube-vip.io/vipHost": "n2", "vip.internal/announced": '{"addresses":["192.0.2.10"],"node":"n2"}' }, ingress: [{ ip: "192.0.2.10" }] }),
  service("by-kube-vip", { annotations: { "kube-vip.io/vipHost": "n3" }, ingress: [{ ip: "192.0.2.11" }, { hostname: "lb.example.org" }] }),
  service("bad", {}),
  service("inner", { type: "ClusterIP" }),
];
const EVENTS = [
  event("bad", "InvalidAddress", { count: 3, lastTimestamp: ago(200) }),
  event("bad", "AddressInUse", { eventTime: ago(100) }),
  event("zeta", "Ignored", { type: "Normal", lastTimestamp: ago(1) }),
];

/** An API server with these objects, one Service a page; `svcs` is the Lease of the Services. */
function api(svcs: unknown, events: (path: string) => [number, unknown] = () => [200, { metadata: {}, items: EVENTS }]): Handler {
  return ({ path, query }, response) => {
    const page = Number(query.get("continue") ?? "0");
    if (path === "/api/v1/services") {
      const token = page + 1 < SERVICES.length ? { continue: String(page + 1) } : {};
      json(response, 200, { metadata: { resourceVersion: "1", ...token }, items: [SERVICES[page]] });
    } else if (path === "/api/v1/events") json(response, ...events(path));
    else if (path.endsWith("/namespaces/kube-system/leases") && svcs !== undefined) json(response, 200, { metadata: { resourceVersion: "1" }, items: [svcs] });
    else json(response, 404, statusBody(404, "NotFound", "no such thing"));
  };
}

function lease(holder: string, secondsAgo: number): unknown {
  const metadata = { namespace: "kube-system", name: "plndr-svcs-lock", uid: "u", resourceVersion: "1" };
  return { metadata, spec: { holderIdentity: holder, leaseDurationSeconds: 5, renewTime: new Date(Date.now() - secondsAgo * 1000).toISOString(), leaseTransitions: 4 } };
}

async function asked(handler: Handler, output: "json" | "text"): Promise<{ readonly code: number; readonly io: FakeIo }> {
  await using server = await serve(handler);
  using dir = folder();
  const io = new FakeIo();
  const path = dir.file("config", kubeconfig({ server: server.url, "insecure-skip-tls-verify": true }));
  const code = await runClusterStatus({ output, kubeconfig: path, env: {} }, io);
  await server.noneOpen();
  return { code, io };
}

test("from the API alone: Leases, every page of Services, those that kube-vip announces included, and the newest warning of each", async () => {
  const { code, io } = await asked(api(lease("n2", 2)), "json");
  const report = JSON.parse(io.stdout) as ClusterReport;
  expect(code).toBe(0);
  expect(report.leases).toMatchObject([
    { name: "plndr-cp-lock", holder: null, renewedSecondsAgo: null },
    { name: "plndr-svcs-lock", holder: "n2", leaseSeconds: 5, transitions: 4 },
  ]);
  expect(Math.abs((report.leases[1]?.renewedSecondsAgo ?? Infinity) - 2)).toBeLessThan(3);
  expect(report.services).toMatchObject([
    { service: "default/bad", status: [], node: null, announced: null, warning: { reason: "AddressInUse", component: "vip", count: 1 } },
    { service: "default/by-kube-vip", status: ["192.0.2.11", "lb.example.org"], node: "n3", announced: null, warning: null },
    { service: "default/zeta", status: ["192.0.2.10"], node: "n2", announced: ["192.0.2.10"], warning: null },
  ]);
  expect(report.errors).toEqual([]);
});

test("where Events or Leases may not be read, the rest is told, and that they are missing", async () => {
  const forbidden = api(undefined, () => [403, statusBody(403, "Forbidden", "events is forbidden")]);
  const { code, io } = await asked(forbidden, "text");
  expect([code, io.stdout]).toEqual([0, expect.stringContaining("! not read: GET /api/v1/events: 403")]);
  expect(io.stdout).toContain("default/zeta");
});

test("without an API, or with a kubeconfig that is not there, it fails at once", async () => {
  await expect(asked((_got, response) => json(response, 401, statusBody(401, "Unauthorized", "who?")), "text")).rejects.toThrow("401");
  await expect(runClusterStatus({ output: "text", kubeconfig: "/nowhere/config", env: {} }, new FakeIo())).rejects.toThrow('--kubeconfig="/nowhere/config": expected a file that can be read: ENOENT');
});

test("what is printed", async () => {
  const warnings = [{ service: "default/bad", reason: "AddressInUse", message: "192.0.2.12 is in use on eth0 by 02:00:00:00:00:99, not taken; looked at again every ten seconds", count: 3, lastMs: AT - 100_000, component: "vip" }];
  const record = { holderIdentity: "n2", leaseDurationSeconds: 5, acquireTime: undefined, renewTime: ago(9), leaseTransitions: 4 };
  const held = (name: string, annotations: Record<string, string>, holderIdentity: string): Lease => ({ id: { namespace: "kube-system", name }, uid: "u", resourceVersion: "1", record: { ...record, holderIdentity }, annotations });
  const member = (node: string, incarnation: number, state: string): Lease => held(`vip-member-${node}`, { "vip.internal/member": JSON.stringify({ incarnation, seq: 1, state }) }, node);
  const shared = [
    member("n1", 7, "live"),
    member("n2", 4, "fenced"),
    held("vip-claims-3", { "vip.internal/claims": '{"svc/192.0.2.10":"n1#7","svc/192.0.2.11":"n1#7>n2#4","svc/192.0.2.12":"n2#4"}' }, "n1"),
    held("vip-claims-4", { "vip.internal/claims": "{" }, "n1"),
  ];
  const reader = (leases: readonly Lease[]) => ({
    leases: async () => [held("plndr-svcs-lock", {}, "n2"), ...leases],
    services: async () => [],
    warnings: async () => warnings,
  });
  const question = { namespace: "kube-system", names: ["plndr-cp-lock", "plndr-svcs-lock"], wallMs: AT };
  const report = await clusterReport(reader([]), question, new AbortController().signal);
  const services: ClusterReport["services"] = [
    { service: "default/bad", status: [], node: null, announced: null, warning: { ...(warnings[0] ?? { reason: "", message: "", count: 0, component: "" }), secondsAgo: 100 } },
    { service: "shop/web", status: ["192.0.2.10", "2001:db8::10"], node: "n2", announced: ["192.0.2.10"], warning: null },
  ];
  expect(`\n${clusterText(report)}\n`).toMatchInlineSnapshot(`
    "
    LEASE            HOLDER           RENEWED                                             TRANSITIONS
    plndr-cp-lock    (no such Lease)  -                                                   0
    plndr-svcs-lock  n2               9s ago (lease is 5s: expired, if the clocks agree)  4

    there is no Service of type LoadBalancer
    "
  `);
  expect(`\n${clusterText({ ...report, services })}\n`).toMatchInlineSnapshot(`
    "
    LEASE            HOLDER           RENEWED                                             TRANSITIONS
    plndr-cp-lock    (no such Lease)  -                                                   0
    plndr-svcs-lock  n2               9s ago (lease is 5s: expired, if the clocks agree)  4

    SERVICE      ADDRESSES                NODE
    default/bad  -                        -
    shop/web     192.0.2.10,2001:db8::10  n2

    ! default/bad: AddressInUse (1m40s ago, 3 times): 192.0.2.12 is in use on eth0 by 02:00:00:00:00:99,
      not taken; looked at again every ten seconds
    "
  `);
  expect(`\n${clusterText(await clusterReport(reader(shared), question, new AbortController().signal))}\n`).toMatchInlineSnapshot(`
    "
    LEASE            HOLDER           RENEWED                                             TRANSITIONS
    plndr-cp-lock    (no such Lease)  -                                                   0
    plndr-svcs-lock  n2               9s ago (lease is 5s: expired, if the clocks agree)  4

    MEMBER  STATE   RENEWED                                             KEYS
    n1      live    9s ago (lease is 5s: expired, if the clocks agree)  2
    n2      fenced  9s ago (lease is 5s: expired, if the clocks agree)  0

    there is no Service of type LoadBalancer

    ! svc/192.0.2.12: claimed by a life of n2 that is over; it is taken as soon as a member may

    ! not read: Lease kube-system/vip-claims-4: not JSON: Expected property name or '}' in JSON at
      position 1 (line 1 column 2)
    "
  `);
});
