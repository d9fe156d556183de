import { Engine } from "../../src/core/engine.js";
import type { ServiceKey } from "../../src/core/model.js";
import { Claims } from "../../src/core/claims.js";
import { Owners } from "../../src/core/owners.js";
import { Ownership } from "../../src/core/ownership.js";
import { createArpMode } from "../../src/modes/arp.js";
import { createDhcpMode } from "../../src/modes/dhcp.js";
import { createDnatMode } from "../../src/modes/dnat.js";
import { createLinkMode } from "../../src/modes/link.js";
import { DHCP_TIMING } from "../../src/machine/dhcp-client-state.js";
import { DHCP6_TIMING } from "../../src/machine/dhcp6-client-state.js";
import type { PlanConfig } from "../../src/core/plan.js";
import { configured } from "../../src/core/plan-links.js";
import type { Service } from "../../src/ports/kube.js";
import type { FakeClock } from "../fakes/clock.js";
import { FakeDhcp6Sockets } from "../fakes/dhcp6.js";
import { FakeKernel } from "../fakes/kernel.js";
import type { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";
import { FakeNft } from "../fakes/nft.js";
import { CONFIG } from "./claims-bench.js";
import { PLAN_CONFIG, readyEndpoints } from "./given.js";

const TIMINGS = { leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000, drift: 0.01, kernelLatenessMs: 1600, handOverMs: 1000, heirMs: 80, patienceMs: 2000, offerAgainMs: 30_000, spareAgainMs: 600_000, modestyMs: 200 };
const MARKS = { services: 118, "control-plane": 119 };
const PLAN = { ...PLAN_CONFIG, loadBalancerClass: "c" };

/** One node: the real engine, ownership and ARP mode over a kernel and an API in memory. */
export class Node implements AsyncDisposable {
  readonly log = new FakeLog();
  readonly nft = new FakeNft();
  readonly #watching = new AbortController();
  readonly ownership: Owners;
  readonly engine: Engine;

  constructor(
    readonly name: string,
    readonly clock: FakeClock,
    readonly kube: FakeKube,
    readonly kernel = new FakeKernel(clock),
    /** Every Service has a ready endpoint on every node; otherwise those that the API has. */
    everywhere = true,
    plan: Partial<PlanConfig> = {},
  ) {
    const { log } = this;
    const deps = { leases: kube.leases, clock, log, changed: () => this.engine.wake() };
    const single = new Ownership({ ...TIMINGS, identity: name }, deps);
    this.ownership = new Owners(single, new Claims({ ...CONFIG, ...TIMINGS, node: name, process: `${name}-1` }, deps));
    this.engine = new Engine(
      { node: name, marks: MARKS, plan: { ...PLAN, ...plan } },
      {
        clock,
        log,
        random: { float: () => 0.5 },
        services: kube.servicePort,
        events: kube.eventPort,
        ownership: this.ownership,
        modes: {
          arp: (report) =>
            createArpMode(
              { announce: { burstMs: [0, 50], refreshMs: 3000, packetsPerSecond: 500 }, marks: MARKS, serves: new Set(["services"]), duplicateCheck: true },
              { kernel, fence: this.ownership, clock, log, links: () => this.engine.world.links.values(), report, taken: (address) => configured(this.engine.world, address)?.controlPlane === true },
            ),
          link: () => createLinkMode({ serves: new Set(["services"]), manageParent: false }, { kernel, log, answers: () => {} }),
          dhcp: (report) => createDhcpMode({ timing: DHCP_TIMING, timing6: DHCP6_TIMING, vendorClass: "vip", duplicateCheck: true }, { kernel, sockets6: new FakeDhcp6Sockets(), clock, log, random: { float: () => 0.5 }, report }),
          dnat: () => createDnatMode({ nft: this.nft }),
        },
        planned: () => undefined,
      },
    );
    kernel.listen((event) => this.engine.kernelEvent(event));
    this.engine.kernelDump(kernel.linkList, [], []);
    this.ownership.watch("services", { namespace: "kube-system", name: "plndr-svcs-lock" });
    const learn = (services: ReadonlyMap<string, Service>): void =>
      this.engine.learn({ services: services as ReadonlyMap<ServiceKey, Service>, ...(everywhere ? { endpoints: readyEndpoints(services.values()) } : {}) });
    if (!everywhere) void kube.endpointSlices.watch(undefined, (slices) => this.engine.learnSlices(slices), this.#watching.signal);
    void kube.servicePort.watch(undefined, learn, this.#watching.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watching.abort();
    await this.engine[Symbol.asyncDispose]();
    await this.ownership[Symbol.asyncDispose]();
  }
}
