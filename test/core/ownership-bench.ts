import { expect } from "vitest";
import type { OwnershipKey } from "../../src/core/model.js";
import { Ownership } from "../../src/core/ownership.js";
import type { LeaseRecord } from "../../src/lib/lease-record.js";
import type { Stance } from "../../src/machine/election-state.js";
import type { Lease, Leases } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";

const TIMINGS = { leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000, drift: 0.01, kernelLatenessMs: 1600, handOverMs: 1000, heirMs: 80, patienceMs: 2000, offerAgainMs: 30_000, spareAgainMs: 600_000, modestyMs: 200 };
export const SERVICES = { namespace: "kube-system", name: "plndr-svcs-lock" };
export const CONTROL_PLANE = { namespace: "kube-system", name: "plndr-cp-lock" };

/** What befalls one write: it never arrives, or its answer does not. */
export type Fault = "request lost" | "answer lost";

/** Ownership of one node over an API in memory whose writes may be lost. */
export class OwnershipBench implements AsyncDisposable {
  readonly log = new FakeLog();
  /** Taken off by the next writes, one each. */
  readonly faults: Fault[] = [];
  changes = 0;
  readonly ownership: Ownership;

  constructor(
    readonly clock = new FakeClock(),
    readonly kube = new FakeKube(),
    node = "n1",
    watch: Leases["watch"] = async (id, seen, signal) => kube.leases.watch(id, seen, signal),
  ) {
    const { leases } = kube;
    const replace: Leases["replace"] = async (lease, record, ms, signal) => this.#faulty(() => leases.replace(lease, record, ms, signal));
    const changed = (): void => void (this.changes += 1);
    this.ownership = new Ownership({ ...TIMINGS, identity: node }, { leases: { ...leases, watch, replace }, clock, log: this.log, changed });
    this.ownership.watch("services", SERVICES);
  }

  async campaign(stances: Partial<Record<OwnershipKey, Stance>>): Promise<void> {
    this.ownership.campaign(new Map(Object.entries(stances) as [OwnershipKey, Stance][]));
    await this.clock.advance(0);
  }

  held(key: OwnershipKey = "services"): boolean {
    const now = this.clock.now();
    const held = this.ownership.heldUntil(key) > now;
    // All that the fence says must agree.
    expect(this.ownership.states().get(key)?.held ?? false).toBe(held);
    if (!held) expect([this.ownership.kernelDeadline(key), this.ownership.mayAnnounce(key)]).toEqual([0, false]);
    return held;
  }

  get record(): LeaseRecord | undefined {
    return this.kube.lease(SERVICES.name)?.record;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ownership[Symbol.asyncDispose]();
    expect(this.clock.pending).toBe(0);
  }

  async #faulty(write: () => Promise<Lease>): Promise<Lease> {
    const fault = this.faults.shift();
    if (fault === undefined) return write();
    if (fault === "answer lost") await write();
    throw Object.assign(new Error(fault), { code: "network", status: 0 });
  }
}

/** A node that holds the Lease of the Services. */
export async function holder(clock?: FakeClock, kube?: FakeKube): Promise<OwnershipBench> {
  const bench = new OwnershipBench(clock, kube);
  await bench.campaign({ services: "run" });
  expect(bench.held()).toBe(true);
  return bench;
}
