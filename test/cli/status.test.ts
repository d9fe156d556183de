import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createReports, type StatusReport } from "../../src/cli/control-reports.js";
import { serveControl } from "../../src/cli/control-socket.js";
import { runStatus, statusText } from "../../src/cli/status.js";
import { age, table, wrap } from "../../src/cli/table.js";
import type { ExplainInput } from "../../src/core/explain-input.js";
import { nodeReport } from "../../src/core/explain.js";
import { History } from "../../src/core/history.js";
import { macOf } from "../../src/core/dhcp.js";
import { vipKey, type LeaseKey, type LeaseSeen, type OwnershipKey, type VipKey } from "../../src/core/model.js";
import { plan } from "../../src/core/plan.js";
import type { Observation } from "../../src/core/sync.js";
import type { OwnershipState } from "../../src/core/world.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { CONFIG, inKernel, inputOf, ip, MINE, THEIRS, worldOf } from "../core/explain-input.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel, fakeLink } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";
import { fakeService } from "../fakes/service.js";
import { FakeIo } from "./fake-io.js";

const addressOf = (name: string, address: string) => fakeService({ name, uid: name, loadBalancerIP: address, ports: [{ name: "", protocol: "TCP", port: name.length }] });
const services = [addressOf("web", "192.0.2.10"), addressOf("shop", "192.0.2.10"), addressOf("broken", "192.0.2.11"), fakeService({ name: "inner", type: "ClusterIP" })];
const failure = { state: "failed", error: new Error("add 192.0.2.11/32 to link 2: EPERM: Operation not permitted, which is what a pod without its capabilities gets"), attempts: 3 } as const;
const world = worldOf(services, {
  ownership: new Map<OwnershipKey, OwnershipState>([["services", MINE], ["control-plane", THEIRS]]),
  observed: new Map<VipKey, Observation<void>>([
    [vipKey("eth0", ip("192.0.2.10")), { state: "up", result: undefined }],
    [vipKey("eth0", ip("192.0.2.11")), failure],
  ]),
  conflicts: new Map([[vipKey("eth0", ip("192.0.2.10")), "02:00:00:00:00:99" as MacAddress]]),
  badLinks: new Set(["eth1"]),
  controlPlaneHealth: "healthy",
});

function reportOf(input: ExplainInput): StatusReport {
  return { ...nodeReport(input), bgp: null };
}

test("a node is told on one screen: who owns what, each address with what the kernel has, and every trouble", () => {
  expect(`\n${statusText(reportOf(inputOf(world, { kernel: [inKernel("192.0.2.10", 3)] })))}\n`).toMatchInlineSnapshot(`
    "
    node n1   vip 1.2.3   started 1m40s ago   api server here: healthy

    OWNERSHIP      HOLDER  HERE  SINCE                 AGE
    services       n1      yes   2026-01-02 03:00:10Z  1m30s
    control-plane  n2      no    2026-01-02 03:00:10Z  1m30s

    ADDRESS     LINK  STATE   FOR    KERNEL   SERVICES
    192.0.2.11  eth0  failed  1m30s  absent   default/broken
    192.0.2.10  eth0  up      1m30s  3s left  default/shop and 1 more
    ! 192.0.2.11: add 192.0.2.11/32 to link 2: EPERM: Operation not permitted, which is what a pod
      without its capabilities gets (3 attempts, tried again)
    ! 192.0.2.10: 02:00:00:00:00:99 announces it too

    ! link eth1 is down or has no carrier

    Services: 4 known, 2 served here; not served here: 1 notLoadBalancer (vip why <namespace>/<service>
      says why)
    "
  `);
});

test("a lease by DHCP is told with its server and its times; one that is not to be had with what went wrong", () => {
  const mac = macOf("web");
  const asking = [fakeService({ name: "web", uid: "web", loadBalancerIP: "0.0.0.0" }), fakeService({ name: "shop", uid: "shop", loadBalancerIP: "0.0.0.0" })];
  const links = asking.map(({ uid }, i) => ({ ...fakeLink(9 + i, `vip-${uid}`), kind: "macvlan", parentIndex: 2, mac: macOf(uid) }));
  const lease = { address: ip("192.0.2.150"), prefix: 24, routers: [], routes: [], dnsServers: [], domainName: undefined, hostname: undefined, server: ip("192.0.2.1"), nextHop: undefined, renewAt: 161_000, rebindAt: 206_000, expiresAt: Infinity };
  const trouble = { type: "refused", server: ip("192.0.2.1"), text: "no free leases" } as const;
  const given = worldOf(asking, {
    links: new Map([...worldOf([]).links, ...links.map((link) => [link.name, link] as const)]),
    leases: new Map<LeaseKey, LeaseSeen>([
      ["dhcp4/web" as LeaseKey, { phase: "bound", mac, lease, sends: 0, seekingSince: undefined, trouble: undefined }],
      ["dhcp4/shop" as LeaseKey, { phase: "selecting", mac: macOf("shop"), lease: undefined, sends: 2, seekingSince: 71_000, trouble }],
    ]),
  });
  const text = statusText(reportOf(inputOf(given, { kernel: [] })));
  expect(text.split("\n").filter((line) => /LEASE|192.0.2.1 |none|selecting|! |leases/.test(line)).join("\n")).toMatchInlineSnapshot(`
    "LEASE        FROM       STATE      FOR    RENEW  REBIND  END    SERVICES
    (none)                  selecting  1m30s                        default/shop
    192.0.2.150  192.0.2.1  bound      1m30s  1m00s  1m45s   never  default/web
    ! 02:65:a8:47:e0:a9 on vip-shop: no DHCP server has given an address for 30s
    ! 02:65:a8:47:e0:a9 on vip-shop: failed 1m30s ago: DHCP server 192.0.2.1 refuses the address ("no
      free leases")"
  `);
});

test("a node that has nothing says so", () => {
  expect(`\n${statusText(reportOf(inputOf(worldOf([], { ownership: new Map(), services: undefined }))))}\n`).toMatchInlineSnapshot(`
    "
    node n1   vip 1.2.3   started 1m40s ago

    nothing is owned or watched

    no address is wanted on this node

    Services: not known to this process
    "
  `);
});

test("no line is longer than 100 columns, as long as names are of a usual length", () => {
  const text = statusText(reportOf(inputOf(world, { kernel: [] })));
  expect(text.split("\n").filter((line) => line.length > 100)).toEqual([]);
});

test("the command asks the daemon: text, JSON with every field, and code 1 where there is none", async () => {
  const root = mkdtempSync(join(tmpdir(), "vip-status-"));
  const clock = new FakeClock();
  const newest = () => ({ world, plan: plan(world, CONFIG) });
  const reports = createReports({ plan: CONFIG, version: "1.2.3", node: "n1" }, { clock, kernel: new FakeKernel(clock), history: new History(), newest });
  const control = await serveControl({ directory: root, pid: 7 }, { reports, log: new FakeLog() });
  const [text, json] = [new FakeIo(), new FakeIo()];
  expect(await runStatus({ output: "text", cluster: false, directory: root, env: {} }, text)).toBe(0);
  expect(text.stdout).toContain("node n1   vip 1.2.3");
  expect(await runStatus({ output: "json", cluster: false, directory: root, env: {} }, json)).toBe(0);
  const { processes } = JSON.parse(json.stdout) as { processes: readonly Record<string, unknown>[] };
  expect(processes.map((report) => Object.keys(report))).toEqual([["node", "version", "started", "ownership", "vips", "routes", "services", "leases", "ports", "badLinks", "controlPlaneHealth", "problems", "bgp"]]);
  await control[Symbol.asyncDispose]();
  expect(clock.pending).toBe(0);

  const none = new FakeIo();
  expect(await runStatus({ output: "text", cluster: false, directory: root, env: {} }, none)).toBe(1);
  expect([none.stdout, none.stderr]).toEqual(["", expect.stringContaining("Is vip running on this node?")]);
  const noneJson = new FakeIo();
  expect(await runStatus({ output: "json", cluster: false, directory: root, env: {} }, noneJson)).toBe(1);
  expect((JSON.parse(noneJson.stdout) as { error: string }).error).toContain(root);
  rmSync(root, { recursive: true });
});

test("a report does not wait for a kernel that does not answer", async () => {
  const clock = new FakeClock();
  const kernel = { addresses: async () => new Promise<never>(() => undefined) };
  const reports = createReports({ plan: CONFIG, version: "1", node: "n1" }, { clock, kernel, history: new History(), newest: () => ({ world, plan: plan(world, CONFIG) }) });
  const status = reports.status();
  await clock.advance(1000);
  expect(await status).toMatchObject({ vips: [{ inKernel: null }, { inKernel: null }] });
  expect(clock.pending).toBe(0);
});

test("a report before the first pass is refused with a reason", async () => {
  const clock = new FakeClock();
  const reports = createReports({ plan: CONFIG, version: "1", node: "n1" }, { clock, kernel: new FakeKernel(clock), history: new History(), newest: () => undefined });
  await expect(reports.status()).rejects.toThrow("vip is starting");
});

test("tables, wrapped text and ages", () => {
  expect(table(["A", "LONG"], [["value", "x"], ["", "y"]])).toEqual(["A      LONG", "value  x", "       y"]);
  const lines = wrap("word ".repeat(30).trim(), 4, "- ");
  expect(lines.map((line) => [line.length <= 100, line.slice(0, 6)])).toEqual([[true, "- word"], [true, "    wo"]]);
  expect(wrap("x".repeat(120), 2)).toEqual(["x".repeat(120)]);
  expect([0, 59.9, 60, 3599, 3600, 86_399, 90_000].map(age)).toEqual(["0s", "59s", "1m00s", "59m59s", "1h00m", "23h59m", "1d01h"]);
});
