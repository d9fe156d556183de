import { describe, expect, test } from "vitest";
import { recordPass, type Pass } from "../../src/core/explain-history.js";
import { History, leaseSubject, ownershipSubject, serviceSubject, vipSubject, type Moment } from "../../src/core/history.js";
import type { LeaseKey, LeaseSeen, OwnershipKey, ServiceKey, VipKey } from "../../src/core/model.js";
import type { SkipReason } from "../../src/core/plan-service.js";
import type { Observation } from "../../src/core/sync.js";
import type { OwnershipState } from "../../src/core/world.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { fakeService } from "../fakes/service.js";

const at = (seconds: number): Moment => ({ now: seconds * 1000, wallMs: Date.UTC(2026, 0, 2) + seconds * 1000 });
const a = serviceSubject("default/a" as ServiceKey);

describe("a subject", () => {
  test("keeps the moment at which its state began, however often that is recorded, also with another detail", () => {
    const history = new History();
    history.record(a, { state: "up", detail: "", at: at(1) });
    history.record(a, { state: "up", detail: "", at: at(2) });
    expect(history.current(a)).toEqual({ state: "up", detail: "", at: at(1) });
    history.record(a, { state: "up", detail: "more", at: at(3) });
    expect(history.past(a).transitions).toEqual([{ state: "up", detail: "more", at: at(1) }]);
  });

  test("remembers its last transitions, 20 of them", () => {
    const history = new History();
    for (let i = 0; i < 30; i += 1) history.record(a, { state: `s${i}`, detail: "", at: at(i) });
    const states = history.past(a).transitions.map(({ state }) => state);
    expect([states.length, states[0], states.at(-1)]).toEqual([20, "s10", "s29"]);
  });

  test("counts one failure that comes again, and knows when it was over; a later one starts anew", () => {
    const history = new History();
    history.failed(a, "EPERM", at(1));
    history.failed(a, "EPERM", at(2));
    expect(history.past(a).failure).toEqual({ text: "EPERM", first: at(1), last: at(2), times: 2, cleared: undefined });
    history.cleared(a, at(3));
    history.cleared(a, at(4));
    expect(history.past(a).failure?.cleared).toEqual(at(3));
    history.failed(a, "EPERM", at(5));
    expect(history.past(a).failure).toEqual({ text: "EPERM", first: at(5), last: at(5), times: 1, cleared: undefined });
  });
});

test("of many subjects those that changed longest ago are forgotten, but not for Services who owns them", () => {
  const history = new History({ subjects: 3 });
  const of = (name: string) => serviceSubject(`default/${name}` as ServiceKey);
  history.record(ownershipSubject("services"), { state: "mine", detail: "", at: at(0) });
  for (const name of ["a", "b", "c"]) history.record(of(name), { state: "x", detail: "", at: at(1) });
  history.record(of("a"), { state: "y", detail: "", at: at(2) });
  history.record(of("d"), { state: "x", detail: "", at: at(3) });
  expect(history.size).toBe(4);
  expect(history.current(ownershipSubject("services"))?.state).toBe("mine");
  expect(["a", "b", "c", "d"].filter((name) => history.current(of(name)) !== undefined)).toEqual(["a", "c", "d"]);
});

const web = fakeService();
const key = "default/web" as ServiceKey;
const vip = "eth0/192.0.2.10" as VipKey;
const MINE: OwnershipState = { held: true, view: "mine", holder: "n1", created: false };
const THEIRS: OwnershipState = { held: false, view: "other", holder: "n2", created: false };

interface Given {
  readonly ownership?: OwnershipState;
  readonly observed?: Observation<void>;
  readonly skipped?: SkipReason;
  readonly deleted?: boolean;
  readonly lease?: LeaseSeen;
}

function pass({ ownership = MINE, observed, skipped, deleted = false, lease }: Given): Pass {
  return {
    world: {
      ownership: new Map<OwnershipKey, OwnershipState>([["services", ownership]]),
      observed: new Map(observed === undefined ? [] : [[vip, observed]]),
      observedRoutes: new Map(),
      leases: new Map(lease === undefined ? [] : [["dhcp4/web" as LeaseKey, lease]]),
      services: new Map(deleted ? [] : [[key, web]]),
    },
    plan: { skipped: new Map(skipped === undefined ? [] : [[key, skipped]]) },
  };
}

describe("passes", () => {
  test("of a Service that comes, waits, is served, moves and goes are told as that", () => {
    const history = new History();
    const passes = [
      pass({ ownership: THEIRS, skipped: { code: "notOwner", message: "held by n2" } }),
      pass({ observed: { state: "pending" } }),
      pass({ observed: { state: "failed", error: new Error("add: EPERM"), attempts: 1 } }),
      pass({ observed: { state: "up", result: undefined } }),
      pass({ ownership: THEIRS, skipped: { code: "notOwner", message: "held by n2" } }),
      pass({ ownership: THEIRS, deleted: true }),
    ];
    for (const [i, after] of passes.entries()) recordPass(history, { before: passes[i - 1], after }, at(i));
    const shown = (subject: Parameters<History["past"]>[0]) => history.past(subject).transitions.map(({ state, at: moment }) => `${moment.now / 1000} ${state}`);
    expect(shown(ownershipSubject("services"))).toEqual(["0 held by n2", "1 mine", "4 held by n2"]);
    expect(shown(vipSubject(vip))).toEqual(["1 pending", "2 failed", "3 up", "4 gone"]);
    expect(shown(serviceSubject(key))).toEqual(["0 notOwner", "1 wanted", "4 notOwner", "5 deleted"]);
    expect(history.past(vipSubject(vip)).failure).toMatchObject({ text: "add: EPERM", times: 1, cleared: at(3) });
  });

  test("of a lease tell when it came, was lost and went, and not that it was renewed", () => {
    const history = new History();
    const given = (address: string, part: Partial<LeaseSeen> = {}): LeaseSeen => {
      const lease = { address: address as IpAddress, prefix: 32, routers: [], routes: [], dnsServers: [], domainName: undefined, hostname: undefined, server: "192.0.2.1" as IpAddress, nextHop: undefined, renewAt: 1, rebindAt: 2, expiresAt: 3 };
      return { phase: "bound", mac: "02:00:00:00:00:01" as MacAddress, lease, sends: 0, seekingSince: undefined, trouble: undefined, ...part };
    };
    const lost = { type: "lost", address: "192.0.2.150" as IpAddress, reason: "expired" } as const;
    const passes = [
      pass({ lease: given("192.0.2.150", { phase: "selecting", lease: undefined }) }),
      pass({ lease: given("192.0.2.150") }),
      pass({ lease: given("192.0.2.150", { phase: "renewing", sends: 1 }) }),
      pass({ lease: given("192.0.2.150") }),
      pass({ lease: given("192.0.2.150", { phase: "selecting", lease: undefined, trouble: lost }) }),
      pass({ lease: given("192.0.2.151") }),
      pass({}),
    ];
    for (const [i, after] of passes.entries()) recordPass(history, { before: passes[i - 1], after }, at(i));
    const { transitions, failure } = history.past(leaseSubject("dhcp4/web" as LeaseKey));
    expect(transitions.map(({ state, at: moment }) => `${moment.now / 1000} ${state}`)).toEqual(["0 asking", "1 leased 192.0.2.150", "4 asking", "5 leased 192.0.2.151", "6 gone"]);
    expect(failure).toMatchObject({ text: "the lease of 192.0.2.150 has ended and no DHCP server has renewed it", times: 1, last: at(4), cleared: at(5) });
  });

  test("that change nothing record nothing, also when there are more Services than subjects", () => {
    const many = new Map(Array.from({ length: 50 }, (_, i): [ServiceKey, SkipReason] => [`default/s${i}` as ServiceKey, { code: "noAddress", message: "x" }]));
    const world = { ownership: new Map(), observed: new Map(), observedRoutes: new Map(), leases: new Map(), services: new Map([...many.keys()].map((name) => [name, web])) };
    const history = new History({ subjects: 10 });
    const before: Pass = { world, plan: { skipped: many } };
    recordPass(history, { before: undefined, after: before }, at(1));
    const first = [...many.keys()].map((name) => history.current(serviceSubject(name)));
    recordPass(history, { before, after: { world, plan: { skipped: new Map([...many].map(([name, reason]) => [name, { ...reason }])) } } }, at(2));
    expect([...many.keys()].map((name) => history.current(serviceSubject(name)))).toEqual(first);
    expect(first.filter((one) => one !== undefined)).toHaveLength(10);
  });
});
