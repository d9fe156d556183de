import { readFileSync } from "node:fs";
import { load } from "js-yaml";
import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { Metrics } from "../../src/cli/metrics.js";
import { registerGauges } from "../../src/cli/metrics-gauges.js";
import { registerProcess } from "../../src/cli/metrics-process.js";
import type { LeaseKey, LeaseSeen, OwnershipKey, ServiceKey, VipKey } from "../../src/core/model.js";
import { AddressInUse } from "../../src/core/mode.js";
import type { Observation } from "../../src/core/sync.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { FakeClock } from "../fakes/clock.js";
import { givenOwner, givenPass, givenSources, givenVip, type GivenPass } from "./metrics-given.js";

const UP = { state: "up", result: undefined } as const;
const PENDING = { state: "pending" } as const;
const leaseOf = (key: OwnershipKey): string | undefined => givenSources(undefined).leaseOf(key);

/** The lines of one metric, without comments. */
async function lines(registry: Registry, name: string): Promise<readonly string[]> {
  return (await registry.metrics()).split("\n").filter((line) => new RegExp(`^${name}[ {]`).test(line));
}

async function read(pass: GivenPass | undefined, name: string): Promise<readonly string[]> {
  const registry = new Registry();
  registerGauges(registry, givenSources(pass));
  return lines(registry, name);
}

describe("gauges", () => {
  const web = givenVip("192.0.2.10");
  const six = givenVip("2001:db8::10", "web");
  const late = givenVip("192.0.2.11", "late");
  const pass = givenPass({
    vips: [web, six, late],
    world: {
      ownership: new Map<OwnershipKey, ReturnType<typeof givenOwner>>([["services", givenOwner(true)], ["control-plane", givenOwner(false)], ["romana/default/a", givenOwner(true)], ["romana/default/b", givenOwner(false)]]),
      leases: new Map([["dhcp4/a" as LeaseKey, { phase: "bound" } as LeaseSeen]]),
      observed: new Map<VipKey, Observation<void>>([[web.key, UP], [six.key, UP], [late.key, PENDING]]),
    },
    plan: { wants: { ...givenPass({ vips: [web, six, late] }).plan.wants, dhcp: new Map(["dhcp4/a", "dhcp4/b"].map((key) => [key as LeaseKey, {} as never])) }, skipped: new Map([["a/x", { code: "notOwner", message: "" }], ["a/y", { code: "notOwner", message: "" }], ["a/z", { code: "noAddress", message: "" }]] as [ServiceKey, never][]) },
  });

  test.each<readonly [string, readonly string[]]>([
    ["vip_build_info", ['vip_build_info{version="1.2.3"} 1']],
    ["vip_held", ['vip_held{address="192.0.2.10",interface="eth0",mode="arp",key="services"} 1', 'vip_held{address="2001:db8::10",interface="eth0",mode="arp",key="services"} 1']],
    ["vip_is_owner", ['vip_is_owner{key="services"} 1', 'vip_is_owner{key="control-plane"} 0', 'vip_is_owner{key="romana/default/a"} 1']],
    ["vip_owner_info", ['vip_owner_info{key="services",holder="n1"} 1', 'vip_owner_info{key="control-plane",holder="n2"} 1']],
    ["vip_services_skipped", ['vip_services_skipped{reason="notOwner"} 2', 'vip_services_skipped{reason="noAddress"} 1']],
    ["vip_dhcp_leases", ["init 1", "selecting 0", "requesting 0", "rebooting 0", "probing 0", "bound 1", "renewing 0", "rebinding 0"].map((line) => `vip_dhcp_leases{state="${line.replace(" ", '"} ')}`)],
    ["vip_services_served", ["vip_services_served 1"]],
    ["kube_vip_active_services", ['kube_vip_active_services{namespace="default"} 1']],
    ["kube_vip_is_leader", ['kube_vip_is_leader{node="n1",lease_name="plndr-svcs-lock"} 1', 'kube_vip_is_leader{node="n1",lease_name="plndr-cp-lock"} 0']],
    ["vip_loop_wait_seconds", ["vip_loop_wait_seconds 0"]],
    ["vip_healthcheck", ['vip_healthcheck{endpoint="livez",name="ping"} 1', 'vip_healthcheck{endpoint="readyz",name="api"} 0']],
    ["vip_lease_age_seconds", ['vip_lease_age_seconds{key="services"} 0.25', 'vip_lease_age_seconds{key="control-plane"} 0.25', 'vip_lease_age_seconds{key="romana/default/a"} 0.25', 'vip_lease_age_seconds{key="romana/default/b"} 0.25']],
  ])("%s says what the newest pass knows", async (name, expected) => {
    expect(await read(pass, name)).toEqual(expected);
  });

  test("VIPs are counted by family and state, also where there are none", async () => {
    const line = (family: string, state: string, n: number): string => `vip_vips{mode="arp",family="${family}",state="${state}"} ${n}`;
    const expected = (up4: number, pending4: number, up6: number): readonly string[] => [
      line("ipv4", "up", up4), line("ipv4", "pending", pending4), line("ipv4", "failed", 0),
      line("ipv6", "up", up6), line("ipv6", "pending", 0), line("ipv6", "failed", 0),
    ];
    expect(await read(pass, "vip_vips")).toEqual(expected(1, 1, 1));
    expect(await read(undefined, "vip_vips")).toEqual(expected(0, 0, 0));
  });

  test("what is gone leaves no series behind", async () => {
    let now = pass;
    const registry = new Registry();
    registerGauges(registry, givenSources(undefined, { newest: () => now }));
    expect(await lines(registry, "vip_held")).toHaveLength(2);
    now = givenPass();
    expect(await lines(registry, "vip_held")).toEqual([]);
  });
});

describe("counters", () => {
  const vip = givenVip("192.0.2.10");
  const owned = new Map<OwnershipKey, ReturnType<typeof givenOwner>>([["services", givenOwner(true)]]);
  const other = new Map<OwnershipKey, ReturnType<typeof givenOwner>>([["services", givenOwner(false)]]);

  test("a take-over is timed from the ownership to the last VIP, and counted once", async () => {
    const metrics = new Metrics(leaseOf);
    const passes: readonly (readonly [number, GivenPass])[] = [
      [1000, givenPass({ world: { ownership: other } })],
      [2000, givenPass({ vips: [vip], world: { ownership: owned, observed: new Map([[vip.key, PENDING]]) } })],
      [2050, givenPass({ vips: [vip], world: { ownership: owned, observed: new Map([[vip.key, UP]]) } })],
      [9000, givenPass({ vips: [vip], world: { ownership: owned, observed: new Map([[vip.key, UP]]) } })],
      [9500, givenPass({ world: { ownership: other } })],
    ];
    let before: GivenPass | undefined;
    for (const [now, after] of passes) {
      metrics.planned(after, before, now);
      before = after;
    }
    expect(await lines(metrics.registry, "vip_takeovers_total")).toEqual(['vip_takeovers_total{key="services"} 1', 'vip_takeovers_total{key="control-plane"} 0']);
    expect(await lines(metrics.registry, "vip_takeover_seconds_sum")).toEqual(['vip_takeover_seconds_sum{key="services"} 0.05']);
    expect(await lines(metrics.registry, "vip_ownership_lost_total")).toEqual(['vip_ownership_lost_total{key="services"} 1', 'vip_ownership_lost_total{key="control-plane"} 0']);
    expect(await lines(metrics.registry, "kube_vip_leader_election_transitions_total")).toEqual(['kube_vip_leader_election_transitions_total{lease_name="plndr-svcs-lock"} 1', 'kube_vip_leader_election_transitions_total{lease_name="plndr-cp-lock"} 0']);
  });

  test("an error is counted for every attempt, by its code; a text of somebody else is no label", async () => {
    const metrics = new Metrics(leaseOf);
    const failing = (error: unknown): GivenPass => givenPass({ vips: [vip], world: { observed: new Map([[vip.key, { state: "failed", error, attempts: 1 } as const]]) } });
    const inUse = new AddressInUse("192.0.2.10" as IpAddress, "eth0", "02:00:00:00:00:01" as MacAddress, false);
    const one = failing(inUse);
    metrics.planned(one, undefined, 0);
    metrics.planned(one, one, 1); // the same attempt, seen by two passes
    metrics.planned({ ...one, world: { ...one.world, observed: new Map([[vip.key, { state: "failed", error: inUse, attempts: 2 } as const]]) } }, one, 2);
    metrics.planned(failing(Object.assign(new Error("x"), { code: 'a "label" of 40,000 kinds' })), undefined, 3);
    expect(await lines(metrics.registry, "vip_reconcile_errors_total")).toEqual(['vip_reconcile_errors_total{what="vip",reason="addressInUse"} 2', 'vip_reconcile_errors_total{what="vip",reason="other"} 1']);
  });

  test("a message of a DHCP server that was not used counts by its reason", async () => {
    const metrics = new Metrics(leaseOf);
    for (const reason of ["malformed", "noServer", "malformed"]) metrics.dhcpDropped(reason);
    expect(await lines(metrics.registry, "vip_dhcp_dropped_total")).toEqual(['vip_dhcp_dropped_total{reason="malformed"} 2', 'vip_dhcp_dropped_total{reason="noServer"} 1']);
  });

  test("a request of the API counts by verb, resource and code; a renew counts only where it took effect", async () => {
    const metrics = new Metrics(leaseOf);
    metrics.requested({ verb: "update", resource: "leases", code: "200", ms: 4 });
    metrics.requested({ verb: "update", resource: "leases", code: "timeout", ms: 3000 });
    expect(await lines(metrics.registry, "vip_api_requests_total")).toEqual(['vip_api_requests_total{verb="update",resource="leases",code="200"} 1', 'vip_api_requests_total{verb="update",resource="leases",code="timeout"} 1']);
    expect(await lines(metrics.registry, "vip_api_request_seconds_count")).toEqual(['vip_api_request_seconds_count{verb="update",resource="leases"} 2']);
    expect(await lines(metrics.registry, "vip_lease_renew_seconds_sum")).toEqual(["vip_lease_renew_seconds_sum 0.004"]);
  });

  test("every Romana VIP counts as one of its kind: labels stay few", async () => {
    const metrics = new Metrics(leaseOf);
    for (const name of ["a", "b"]) {
      const key: OwnershipKey = `romana/default/${name}`;
      const own = givenVip("192.0.2.10", name, key);
      metrics.planned(givenPass({ vips: [own], world: { ownership: new Map([[key, givenOwner(true)]]), observed: new Map([[own.key, UP]]) } }), undefined, 0);
    }
    expect(await lines(metrics.registry, "vip_takeovers_total")).toContain('vip_takeovers_total{key="romana"} 2');
  });
});

test("process figures are those of this process", async () => {
  const registry = new Registry();
  const watching = registerProcess(registry, { wallTime: () => 1e12 });
  const [cpu] = await lines(registry, "process_cpu_seconds_total");
  expect(Number(cpu?.split(" ")[1])).toBeGreaterThan(0);
  const [memory] = await lines(registry, "process_resident_memory_bytes");
  expect(Number(memory?.split(" ")[1])).toBeGreaterThan(10e6);
  expect(await lines(registry, "vip_loop_delay_seconds")).toHaveLength(3);
  watching[Symbol.dispose]();
});

/** All metrics of the program, by the names that queries use. */
async function known(): Promise<ReadonlySet<string>> {
  const metrics = new Metrics(leaseOf);
  registerGauges(metrics.registry, givenSources(undefined));
  registerProcess(metrics.registry, new FakeClock())[Symbol.dispose]();
  const found = metrics.registry.getMetricsAsArray().flatMap(({ name, type }) => (String(type) === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]));
  return new Set(found);
}

/** Every name in a query that looks like a metric of ours. */
function namesIn(query: string): readonly string[] {
  return query.match(/\b(?:vip|kube_vip|process|nodejs|metallb)_\w+/g) ?? [];
}

describe("what is made of the metrics", () => {
  interface Rules {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string; readonly annotations: Readonly<Record<string, string>> }[] }[];
  }
  interface Dashboard {
    readonly panels: readonly { readonly title: string; readonly type: string; readonly targets?: readonly { readonly expr: string }[] }[];
  }

  test("alerts use only metrics that exist, and each says what to do", async () => {
    const names = await known();
    const rules = (load(readFileSync("docs/alerts.yaml", "utf8")) as Rules).groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(8);
    for (const { alert, expr, annotations } of rules) {
      expect([alert, namesIn(expr).length > 0, namesIn(expr).filter((name) => !names.has(name))]).toEqual([alert, true, []]);
      expect([alert, annotations["summary"], annotations["description"]]).toEqual([alert, expect.any(String), expect.any(String)]);
    }
  });

  test("the dashboard uses only metrics that exist", async () => {
    const names = await known();
    const { panels } = JSON.parse(readFileSync("docs/dashboard.json", "utf8")) as Dashboard;
    const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const));
    expect(queries.length).toBeGreaterThan(12);
    for (const [title, expr] of queries) expect([title, namesIn(expr).length > 0, namesIn(expr).filter((name) => !names.has(name))]).toEqual([title, true, []]);
  });

  test("docs/metrics.md has a row for every metric, and for no other", async () => {
    const { registry } = new Metrics(leaseOf);
    registerGauges(registry, givenSources(undefined));
    registerProcess(registry, new FakeClock())[Symbol.dispose]();
    const rows = readFileSync("docs/metrics.md", "utf8").match(/^\| `(\w+)`/gm) ?? [];
    expect(rows.map((row) => row.slice(3, -1)).toSorted()).toEqual(registry.getMetricsAsArray().map(({ name }) => name).toSorted());
  });
});
