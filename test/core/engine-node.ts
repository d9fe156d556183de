import { Engine } from "../../src/core/engine.js";
import type { ServiceKey } from "../../src/core/model.js";
import { Ownership } from "../../src/core/ownership.js";
import { createArpMode } from "../../src/modes/arp.js";
import type { Service } from "../../src/ports/kube.js";
import type { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import type { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";

const TIMINGS = { leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000, drift: 0.01, kernelLatenessMs: 1600, handOverMs: 1000, heirMs: 80, patienceMs: 2000, offerAgainMs: 30_000 };
const MARKS = { services: 118, "control-plane": 119 };
const PLAN = { services: true, controlPlane: [], controlPlanePort: 6443, iface: "eth0", servicesIface: undefined, loadBalancerClass: "c" };

/** One node: the real engine, ownership and ARP mode over a kernel and an API in memory. */
export class Node implements AsyncDisposable {
  readonly log = new FakeLog();
  readonly #watching = new AbortController();
  readonly ownership: Ownership;
  readonly engine: Engine;

  constructor(
    readonly name: string,
    readonly clock: FakeClock,
    readonly kube: FakeKube,
    readonly kernel = new FakeKernel(clock),
  ) {
    const { log } = this;
    this.ownership = new Ownership({ ...TIMINGS, identity: name }, { leases: kube.leases, clock, log, changed: () => this.engine.wake() });
    this.engine = new Engine(
      { node: name, marks: MARKS, plan: PLAN },
      {
        clock,
        log,
        random: { float: () => 0.5 },
        services: kube.servicePort,
        events: kube.eventPort,
        ownership: this.ownership,
        arp: (report) =>
          createArpMode(
            { announce: { burstMs: [0, 50], refreshMs: 3000, packetsPerSecond: 500 }, marks: MARKS, serves: new Set(["services"]), duplicateCheck: true },
            { kernel, fence: this.ownership, clock, log, links: () => this.engine.world.links.values(), report },
          ),
      },
    );
    kernel.listen((event) => this.engine.kernelEvent(event));
    this.engine.kernelDump(kernel.linkList, [], []);
    this.ownership.watch("services", { namespace: "kube-system", name: "plndr-svcs-lock" });
    const learn = (services: ReadonlyMap<string, Service>): void => this.engine.learn({ services: services as ReadonlyMap<ServiceKey, Service> });
    void kube.servicePort.watch(undefined, learn, this.#watching.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watching.abort();
    await this.engine[Symbol.asyncDispose]();
    await this.ownership[Symbol.asyncDispose]();
  }
}
