import { describe, expect, test } from "vitest";
import { EXTERNAL_IPS, externalIPsStep } from "../../src/core/external-ips.js";
import { serviceKey } from "../../src/core/model.js";
import type { Plan } from "../../src/core/plan-model.js";
import type { ServiceChange } from "../../src/core/plan-writes.js";
import type { StatusPatch } from "../../src/core/status.js";
import type { World } from "../../src/core/world.js";
import { Writers } from "../../src/core/writers.js";
import type { KubeErrorCode, Service } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { refused } from "../fakes/refused.js";
import { patched } from "../fakes/service-patch.js";
import { fakeService } from "../fakes/service.js";
import { ip } from "./given.js";

const A = "192.0.2.10";
const web = fakeService({ type: "ClusterIP", annotations: { [EXTERNAL_IPS]: A } });

/** An API whose answers take 5 ms; `now` is what it has. */
class Bench {
  readonly clock = new FakeClock();
  readonly log = new FakeLog();
  readonly learned: Partial<Pick<World, "rivals" | "externalIPsRefused">>[] = [];
  readonly writes: string[] = [];
  now: Service = web;
  /** What the next requests are answered with. */
  refuse: KubeErrorCode | undefined;
  /** Entries that the API server takes, and throws away. */
  drop = false;
  readonly writers = new Writers({
    clock: this.clock,
    log: this.log,
    random: { float: () => 0.5 },
    services: {
      patchStatus: async (service) => this.#answer("status", () => this.#current(service)),
      patchService: async (_service, operations) =>
        this.#answer("service", () => {
          this.now = { ...patched(this.now, operations), resourceVersion: String(Number(this.now.resourceVersion) + 1), ...(this.drop ? { externalIPs: [] } : {}) };
          return this.now;
        }),
    },
    events: { write: async () => this.#answer("event", () => undefined) },
    learn: (part) => void this.learned.push(part),
  });

  set(part: Partial<Pick<Plan, "statuses" | "changes" | "events">>): void {
    this.writers.set({ statuses: new Map(), changes: new Map(), events: new Map(), ...part });
  }

  /** Wants this of `service`, in the version that is given. */
  setChange(service: Service, wanted: readonly string[] = [A]): void {
    const step = externalIPsStep(service, wanted.map(ip));
    const changes = new Map<ReturnType<typeof serviceKey>, ServiceChange>();
    if (step.type === "change") changes.set(serviceKey(service), { service, operations: step.operations });
    this.set({ changes });
  }

  setStatus(service: Service, address = A): void {
    const patch: StatusPatch = { service, ingress: [{ ip: address }], annotations: {} };
    this.set({ statuses: new Map([[serviceKey(service), patch]]) });
  }

  get refused(): ReadonlyMap<string, string> | undefined {
    return this.learned.at(-1)?.externalIPsRefused;
  }

  #current(service: Service): void {
    if (service.resourceVersion !== this.now.resourceVersion) throw refused("conflict");
    this.writes.push("status written");
  }

  async #answer<T>(what: string, work: () => T): Promise<T> {
    this.writes.push(what);
    await new Promise<void>((resolve) => void this.clock.after(5, resolve));
    if (this.refuse !== undefined) throw refused(this.refuse);
    return work();
  }
}

describe("a Service that changes 1,000 times a second for ten seconds", () => {
  /** The watch brings every version; each pass wants the newest one changed. */
  async function storm(bench: Bench, want: (service: Service) => void): Promise<void> {
    for (let ms = 0; ms < 10_000; ms += 1) {
      bench.now = { ...bench.now, resourceVersion: String(Number(bench.now.resourceVersion) + 1) };
      if (ms % 2 === 0) want(bench.now);
      await bench.clock.advance(1);
    }
    want(bench.now);
  }

  test("has its status written four times a second at the most, and soon after it has come to rest", async () => {
    const bench = new Bench();
    await storm(bench, (service) => bench.setStatus(service));
    expect(bench.writes.length).toBeGreaterThan(30);
    expect(bench.writes.length).toBeLessThanOrEqual(41);
    expect(bench.writes).not.toContain("status written");
    expect(bench.log.lines.filter(({ level }) => level === "warn")).toEqual([]);
    await bench.clock.advance(300);
    expect(bench.writes.filter((what) => what === "status written")).toHaveLength(1);
    await bench.clock.advance(60_000);
    expect(bench.writes.at(-1)).toBe("status written");
    bench.writers.stop();
    expect(bench.clock.pending).toBe(0);
  });

  test("has its spec changed no faster, and is not taken for one whose entry is refused", async () => {
    const bench = new Bench();
    await storm(bench, (service) => bench.setChange(service));
    expect(bench.writes.length).toBeLessThanOrEqual(41);
    await bench.clock.advance(300);
    expect([bench.now.externalIPs, bench.refused]).toEqual([[A], undefined]);
  });
});

describe("an entry of spec.externalIPs", () => {
  test("that is added is added once", async () => {
    const bench = new Bench();
    bench.setChange(web);
    bench.setChange(web);
    await bench.clock.advance(1000);
    expect([bench.writes, bench.now.externalIPs, bench.learned]).toEqual([["service"], [A], []]);
  });

  test("that admission forbids is not tried again, and the world knows why", async () => {
    const bench = new Bench();
    bench.refuse = "forbidden";
    bench.setChange(web);
    await bench.clock.advance(60_000);
    expect(bench.writes).toEqual(["service"]);
    expect([...(bench.refused ?? [])]).toEqual([["uid-web", "forbidden"]]);
  });

  test("that is invalid twice in one version is refused; once may be chance", async () => {
    const bench = new Bench();
    bench.refuse = "invalid";
    bench.setChange(web);
    await bench.clock.advance(10);
    expect([bench.writes.length, bench.refused]).toEqual([1, undefined]);
    await bench.clock.advance(1000);
    expect([bench.writes.length, bench.refused?.get("uid-web")]).toEqual([2, "invalid"]);
    await bench.clock.advance(60_000);
    expect(bench.writes).toHaveLength(2);
  });

  test("that is invalid in one version and well in the next is added", async () => {
    const bench = new Bench();
    bench.refuse = "invalid";
    bench.setChange(web);
    await bench.clock.advance(10);
    bench.refuse = undefined;
    bench.now = { ...web, resourceVersion: "2" };
    bench.setChange(bench.now);
    await bench.clock.advance(1000);
    expect([bench.now.externalIPs, bench.refused]).toEqual([[A], undefined]);
  });

  test("that the API server takes and drops is refused", async () => {
    const bench = new Bench();
    bench.drop = true;
    bench.setChange(web);
    await bench.clock.advance(1000);
    expect([...(bench.refused ?? [])]).toEqual([["uid-web", `the API server dropped ${A}`]]);
  });

  test("for a version that is old, as long as the watch stands still, is in conflict and not refused", async () => {
    const bench = new Bench();
    bench.now = { ...web, resourceVersion: "7" };
    bench.setChange(web);
    await bench.clock.advance(30_000);
    expect(bench.writes.length).toBeGreaterThan(50);
    expect([bench.refused, bench.now.externalIPs]).toEqual([undefined, []]);
    bench.setChange(bench.now);
    await bench.clock.advance(300);
    expect([bench.refused, bench.now.externalIPs]).toEqual([undefined, [A]]);
  });

  test.each<KubeErrorCode>(["forbidden", "invalid"])("that is ours and may not be removed (%s) is tried again: what refuses to add says nothing about that", async (code) => {
    const bench = new Bench();
    bench.refuse = code;
    bench.now = { ...web, externalIPs: [A] };
    bench.setChange(bench.now, []);
    await bench.clock.advance(30_000);
    expect([bench.now.externalIPs, bench.refused]).toEqual([[A], undefined]);
    expect(bench.writes.length).toBeGreaterThan(3);
    bench.refuse = undefined;
    await bench.clock.advance(60_000);
    expect(bench.now.externalIPs).toEqual([]);
  });

  test("of one Service that is refused says nothing about another", async () => {
    const bench = new Bench();
    bench.refuse = "forbidden";
    bench.setChange(web);
    await bench.clock.advance(10);
    bench.setChange({ ...web, name: "other", uid: "uid-other" });
    await bench.clock.advance(10);
    expect(bench.learned.map(({ externalIPsRefused }) => [...(externalIPsRefused?.keys() ?? [])])).toEqual([["uid-web"], ["uid-web", "uid-other"]]);
  });
});

describe("a status", () => {
  test("that another keeps replacing is written three times, then the Service is a rival's for five minutes", async () => {
    const bench = new Bench();
    for (let version = 1; version <= 4; version += 1) {
      bench.now = { ...web, resourceVersion: String(version) };
      bench.setStatus(bench.now);
      await bench.clock.advance(100);
    }
    expect(bench.writes.filter((what) => what === "status written")).toHaveLength(3);
    const rivals = (): unknown => bench.learned.map((part) => [...(part.rivals ?? [])]);
    expect(rivals()).toEqual([["uid-web"]]);
    bench.set({});
    await bench.clock.advance(300_000);
    expect(rivals()).toEqual([["uid-web"], []]);
  });

  test("of which only annotations are written has no rivals", async () => {
    const bench = new Bench();
    for (let version = 1; version <= 10; version += 1) {
      bench.now = { ...web, resourceVersion: String(version) };
      bench.set({ statuses: new Map([[serviceKey(web), { service: bench.now, ingress: undefined, annotations: { x: "y" } }]]) });
      await bench.clock.advance(100);
    }
    expect([bench.writes.length, bench.learned]).toEqual([20, []]);
  });
});

test("after the end nothing is written any more, and no answer makes a line in the log", async () => {
  const bench = new Bench();
  bench.refuse = "server";
  bench.setChange(web);
  await bench.clock.advance(1);
  bench.writers.stop();
  await bench.clock.advance(60_000);
  expect([bench.writes.length, bench.log.lines, bench.clock.pending]).toEqual([1, [], 0]);
});
