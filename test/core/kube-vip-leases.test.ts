import { describe, expect, test } from "vitest";
import { KubeVipLeases, type KubeVipLeasesSeen } from "../../src/core/kube-vip-leases.js";
import type { OwnershipKey } from "../../src/core/model.js";
import { kubeVipLeaseOf } from "../../src/core/plan-kube-vip.js";
import { plan } from "../../src/core/plan.js";
import type { OwnershipState, World } from "../../src/core/world.js";
import type { LeaseRecord, Service } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";
import { fakeService } from "../fakes/service.js";
import { FREE, MINE, PLAN_CONFIG, THEIRS, worldWith } from "./given.js";

const KEY = "svc/192.0.2.10";
const LEASE = "default/kubevip-web";
const ID = { namespace: "default", name: "kubevip-web" };
const signal = new AbortController().signal;

function record(holderIdentity: string): LeaseRecord {
  return { holderIdentity, leaseDurationSeconds: holderIdentity === "" ? 1 : 5, acquireTime: undefined, renewTime: undefined, leaseTransitions: 3 };
}

class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly kube = new FakeKube();
  readonly log = new FakeLog();
  readonly seen: unknown[] = [];
  readonly leases = new KubeVipLeases({ node: "n1", namespace: undefined }, { leases: this.kube.leases, clock: this.clock, log: this.log, changed: (view) => this.seen.push(plain(view)) });
  following: Promise<void> = Promise.resolve();

  /** One that kube-vip of this node has, or had. */
  static async with(...holders: readonly string[]): Promise<Bench> {
    const bench = new Bench();
    for (const holder of holders) await bench.kube.leases.create(ID, record(holder), 1000, signal);
    bench.following = bench.leases.follow();
    await bench.clock.advance(10);
    return bench;
  }

  async renew(holder: string): Promise<void> {
    const lease = await this.kube.leases.get(ID, 1000, signal);
    if (lease === undefined) throw new Error("no Lease");
    await this.kube.leases.replace(lease, record(holder), 1000, signal);
    await this.clock.advance(10);
  }

  get holder(): string | undefined {
    return this.kube.lease("kubevip-web")?.record.holderIdentity;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leases[Symbol.asyncDispose]();
    await this.following;
    expect(this.clock.pending).toBe(0);
  }
}

function plain(view: KubeVipLeasesSeen): unknown {
  return typeof view === "string" ? view : Object.fromEntries(view);
}

describe("the Leases of kube-vip", () => {
  test("are not followed where there are none", async () => {
    await using bench = await Bench.with();
    expect(bench.seen).toEqual(["none"]);
    bench.leases.take(new Map([[LEASE, KEY]]));
    await bench.clock.advance(2000);
    expect(bench.holder).toBeUndefined();
  });

  test("are left alone while kube-vip renews them, and taken for good once it has been silent for as long as they say", async () => {
    await using bench = await Bench.with("n2");
    expect(bench.seen).toEqual([{ [LEASE]: { holder: "n2", ours: false } }]);
    bench.leases.take(new Map([[LEASE, KEY]]));
    await bench.clock.advance(4000);
    await bench.renew("n2");
    await bench.clock.advance(4900);
    expect([bench.holder, bench.seen.length]).toEqual(["n2", 1]);
    await bench.clock.advance(200);
    expect(bench.holder).toBe("vip.internal/n1");
    expect(bench.seen.at(-1)).toEqual({ [LEASE]: { holder: "vip.internal/n1", ours: true } });
    expect(bench.kube.lease("kubevip-web")?.record).toMatchObject({ leaseDurationSeconds: 2_147_483_647, leaseTransitions: 4 });
    const { requests } = bench.kube;
    await bench.clock.advance(60_000);
    expect(bench.kube.requests).toBe(requests);
  });

  test("are taken at once where kube-vip gave them up, and lost to it where it was quicker", async () => {
    await using bench = await Bench.with("n2");
    await bench.renew("");
    expect(bench.seen.at(-1)).toEqual({});
    const lease = await bench.kube.leases.get(ID, 1000, signal);
    if (lease !== undefined) await bench.kube.leases.replace(lease, record("n3"), 1000, signal);
    // The watch has not told of it yet.
    bench.leases.take(new Map([[LEASE, KEY]]));
    await bench.clock.advance(3000);
    expect([bench.holder, bench.seen.at(-1)]).toEqual(["n3", { [LEASE]: { holder: "n3", ours: false } }]);
    await bench.renew("");
    expect(bench.holder).toBe("vip.internal/n1");
  });

  test("are made where kube-vip has none for a Service yet", async () => {
    await using bench = await Bench.with("n2");
    bench.leases.take(new Map([["default/kubevip-new", "svc/192.0.2.11"]]));
    await bench.clock.advance(10);
    expect(bench.kube.lease("kubevip-new")?.record.holderIdentity).toBe("vip.internal/n1");
  });

  test("are given back for what nobody holds any more", async () => {
    await using bench = await Bench.with("n2");
    await bench.renew("");
    bench.leases.take(new Map<typeof LEASE | "default/kubevip-b", OwnershipKey>([[LEASE, KEY], ["default/kubevip-b", "svc/b"]]));
    await bench.clock.advance(10);
    expect(bench.holder).toBe("vip.internal/n1");
    bench.leases.take(new Map());
    await bench.leases.release((key) => key === "svc/b");
    expect([bench.holder, bench.kube.lease("kubevip-b")?.record.holderIdentity]).toEqual(["", "vip.internal/n1"]);
  });
});

describe("the Lease of a Service", () => {
  test.each<readonly [string, Partial<Service>, string]>([
    ["by its name", {}, LEASE],
    ["a common one of its namespace", { annotations: { "kube-vip.io/leaseName": "common" } }, "default/common"],
    ["a common one elsewhere", { annotations: { "kube-vip.io/leaseName": "lb/common" } }, "lb/common"],
    ["with policy Local kube-vip knows no common one", { externalTrafficPolicy: "Local", annotations: { "kube-vip.io/leaseName": "common" } }, LEASE],
  ])("%s", (_name, part, expected) => {
    expect(kubeVipLeaseOf(fakeService(part))).toBe(expected);
  });
});

describe("the plan", () => {
  const web = fakeService({ loadBalancerIP: "192.0.2.10" });
  const config = { ...PLAN_CONFIG, election: true };
  const with_ = (kubeVip: World["kubeVip"], state: OwnershipState, services = [web]): World => ({ ...worldWith(services), kubeVip, ownership: new Map<OwnershipKey, OwnershipState>([["services", THEIRS], [KEY, state]]) });

  test("wants nothing of what kube-vip holds, also where only one Service of a group is its", () => {
    const shop = fakeService({ name: "shop", uid: "shop", loadBalancerIP: "192.0.2.10", ports: [{ name: "", protocol: "TCP", port: 81 }] });
    const { wishes, skipped, wants } = plan(with_(new Map([[LEASE, { holder: "n2", ours: false }]]), FREE, [web, shop]), config);
    expect([wishes?.get(KEY)?.fit, wants.arp.size]).toEqual(["drop", 0]);
    expect(skipped.get("default/web" as never)).toEqual({ code: "heldByKubeVip", message: "kube-vip on node n2 holds it and renews its Lease default/kubevip-web; it is taken once that is given up, or has expired" });
  });

  test("takes the Lease before the address, and has the address once the Lease is ours", () => {
    const before = plan(with_(new Map(), MINE), config);
    expect([before.wants.arp.size, Object.fromEntries(before.kubeVip), before.wishes?.get(KEY)?.fit]).toEqual([0, { [LEASE]: KEY }, "run"]);
    const after = plan(with_(new Map([[LEASE, { holder: "vip.internal/n3", ours: true }]]), MINE), config);
    expect([after.wants.arp.size, Object.fromEntries(after.kubeVip)]).toEqual([1, { [LEASE]: KEY }]);
  });

  test("neither takes nor gives up anything before it has looked", () => {
    const { wishes, settled } = plan(with_("unknown", MINE), config);
    expect([wishes, settled]).toEqual([undefined, false]);
  });

  test("asks for no Lease where kube-vip has made none", () => {
    const { wants, kubeVip } = plan(with_("none", MINE), config);
    expect([wants.arp.size, kubeVip.size]).toEqual([1, 0]);
  });

  const byOneLease = (state: OwnershipState, part: Partial<World> = {}): World => ({ ...worldWith([web]), kubeVip: "none", ownership: new Map<OwnershipKey, OwnershipState>([["services", state], [KEY, MINE]]), ...part });

  test("wants nothing with an owner of its own while a kube-vip holds all Services, and says so once, of the node", () => {
    const api = fakeService({ name: "api", uid: "api", loadBalancerIP: "192.0.2.11" });
    const world = { ...worldWith([web, api]), kubeVip: "none", ownership: new Map<OwnershipKey, OwnershipState>([["services", { ...THEIRS, foreign: true }], [KEY, MINE]]) } as const;
    const { wishes, wants, skipped, events } = plan(world, config);
    expect([[...(wishes ?? [])].map(([, { fit }]) => fit), wants.arp.size]).toEqual([["drop", "drop"], 0]);
    expect(skipped.get("default/web" as never)?.code).toBe("heldByKubeVip");
    const told = [...events.values()].filter(({ reason }) => reason === "HeldByKubeVip");
    expect(told.map(({ service: { kind, name }, type }) => [kind, name, type])).toEqual([["Node", "n1", "Warning"]]);
    expect(told[0]?.message).toContain("kube-vip on node n2 holds all Services by one Lease");
  });

  test.each<readonly [string, OwnershipState, number]>([
    ["has let go of it, and none of ours has taken it", { ...FREE, foreign: true }, 0],
    ["runs on this very node", { ...MINE, foreign: true }, 0],
    ["is gone, and one of ours has the Lease", THEIRS, 1],
  ])("of a kube-vip that held all Services and %s", (_name, state, held) => {
    expect(plan(byOneLease(state), config).wants.arp.size).toBe(held);
  });

  test("takes nothing before it knows who holds all Services", () => {
    const { wishes, settled } = plan(byOneLease({ held: false, view: "unknown", holder: "", created: false }), config);
    expect([wishes, settled]).toEqual([undefined, false]);
  });

  test("does not mind who holds all Services where they have no owners of their own", () => {
    const { wants, events } = plan(byOneLease({ ...MINE, foreign: true }), PLAN_CONFIG);
    expect([wants.arp.size, [...events.values()].some(({ reason }) => reason === "HeldByKubeVip")]).toEqual([1, false]);
  });
});
