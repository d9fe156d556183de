import { describe, expect, test } from "vitest";
import { ApiReach } from "../../src/cli/api-reach.js";
import { Heartbeat } from "../../src/cli/heartbeat.js";
import { healthAnswer, livez, readyz, type Check, type HealthView } from "../../src/cli/readiness.js";
import type { OwnershipKey } from "../../src/core/model.js";
import type { OwnershipState, World } from "../../src/core/world.js";
import type { Link } from "../../src/ports/kernel.js";
import type { Lease, LeaseId, Leases } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { givenOwner, givenPass, givenVip } from "./metrics-given.js";

const ETH0 = { index: 2, name: "eth0", up: true, carrier: true } as Link;
const VIP = givenVip("192.0.2.10");
const NOW = 100_000;

/** A node on which everything is well: it serves both parts, and holds one VIP. */
function view(parts: Partial<HealthView> = {}, world: Partial<World> = {}): HealthView {
  const known: Partial<World> = {
    links: new Map([["eth0", ETH0]]),
    services: new Map(),
    endpoints: new Map(),
    pools: {} as World["pools"],
    ownership: new Map<OwnershipKey, OwnershipState>([["services", givenOwner(true)], ["control-plane", givenOwner(false)]]),
    observed: new Map([[VIP.key, { state: "up", result: undefined }]]),
    controlPlaneHealth: "healthy",
  };
  return {
    now: NOW,
    passWaitMs: 0,
    newest: givenPass({ vips: [VIP], world: { ...known, ...world } }),
    kernel: { oldest: () => undefined, endsAt: () => NOW + 2000 },
    fence: { kernelDeadline: () => NOW + 3500 },
    api: { problem: () => undefined },
    parts: ["services", "control-plane"],
    elects: () => true,
    iface: "eth0",
    stopping: false,
    ...parts,
  };
}

function problems(checks: readonly Check[]): Readonly<Record<string, string>> {
  return Object.fromEntries(checks.flatMap(({ name, problem }) => (problem === undefined ? [] : [[name, problem]])));
}

describe("/livez", () => {
  test.each<readonly [string, Partial<HealthView>, Readonly<Record<string, string>>]>([
    ["is well", {}, {}],
    ["is well before the first pass", { newest: undefined }, {}],
    ["is well while the API is silent", { api: { problem: () => "silent" } }, {}],
    ["is well while a pass is a little late", { passWaitMs: 4900 }, {}],
    ["fails when the planning loop stands", { passWaitMs: 5100 }, { loop: "the planning loop was asked for a pass 5.1 s ago and has not made it" }],
    ["is well while somebody holds the rtnl lock for a while", { kernel: { oldest: () => ({ operation: "putAddress", ms: 9000 }), endsAt: () => undefined } }, {}],
    ["fails when the kernel does not answer any more", { kernel: { oldest: () => ({ operation: "putAddress", ms: 11_000 }), endsAt: () => undefined } }, { netlink: "the kernel has not answered putAddress for 11.0 s" }],
    ["fails when a lifetime ran out that could have been prolonged", { kernel: { oldest: () => undefined, endsAt: () => NOW - 2500 } }, { fence: "the lifetime of 192.0.2.10 on eth0 ended 2.5 s ago and was not prolonged" }],
    ["is well when a lifetime ran out because no renew came", { kernel: { oldest: () => undefined, endsAt: () => NOW - 2500 }, fence: { kernelDeadline: () => NOW + 500 } }, {}],
    ["is well when a lifetime is just over, and the kernel about to remove it", { kernel: { oldest: () => undefined, endsAt: () => NOW - 500 } }, {}],
    ["is well when an address was taken off in doubt", { kernel: { oldest: () => undefined, endsAt: () => undefined } }, {}],
  ])("%s", (_name, parts, expected) => {
    expect(problems(livez(view(parts)))).toEqual(expected);
  });
});

describe("/readyz", () => {
  test.each<readonly [string, HealthView, Readonly<Record<string, string>>]>([
    ["is well", view(), {}],
    ["fails with the loop", view({ passWaitMs: 6000 }), { loop: expect.any(String) as string }],
    ["fails when the program stops", view({ stopping: true }), { shutdown: "the program is stopping" }],
    ["fails while the API is silent", view({ api: { problem: () => "the API does not answer: list services: timeout" } }), { api: "the API does not answer: list services: timeout" }],
    ["fails before the first lists", view({}, { services: undefined, pools: undefined }), { services: "not listed yet: Services, addresses for Services" }],
    ["does not ask for lists where no Services are served", view({ parts: ["control-plane"] }, { services: undefined }), {}],
    ["fails before the Leases were seen", view({}, { ownership: new Map() }), { services: "the Lease of the Services has not been seen yet", "control-plane": "the Lease of the control plane has not been seen yet" }],
    ["fails for the control plane where its API server is sick", view({}, { controlPlaneHealth: "sick" }), { "control-plane": "this node's api server is sick" }],
    ["fails where the link is missing", view({}, { links: new Map() }), { links: "there is no link eth0" }],
    ["fails where the link is down", view({}, { links: new Map([["eth0", { ...ETH0, up: false }]]) }), { links: "eth0 is down" }],
    ["fails where the link has no carrier", view({}, { links: new Map([["eth0", { ...ETH0, carrier: false }]]) }), { links: "eth0 has no carrier" }],
    ["fails where no link is set and there is no default route", view({ iface: undefined }), { links: "no link: vip_interface is not set, and there is no default route" }],
    ["is well with the link of the default route", view({ iface: undefined }, { defaultLink: "eth0" }), {}],
    [
      "fails with everything before the first pass",
      view({ newest: undefined }),
      { links: "links have not been read yet", services: "nothing is known yet", "control-plane": "the Lease of the control plane has not been seen yet" },
    ],
  ])("%s", (_name, given, expected) => {
    expect(problems(readyz(given))).toEqual(expected);
  });
});

describe("the answer", () => {
  const good: readonly Check[] = [{ name: "ping", problem: undefined }];
  const bad: readonly Check[] = [...good, { name: "api", problem: "silent" }];
  test.each<readonly [string, readonly Check[], string, number, string]>([
    ["is one word when all is well", good, "", 200, "ok"],
    ["lists on demand, as Kubernetes does", good, "verbose", 200, "[+]ping ok\nlivez check passed\n"],
    ["always lists what is wrong", bad, "", 503, "[+]ping ok\n[-]api failed: silent\nlivez check failed\n"],
    ["leaves out what is excluded", bad, "exclude=api", 200, "ok"],
    ["leaves out what is excluded, and says so", bad, "verbose&exclude=api", 200, "[+]ping ok\n[+]api excluded: ok\nlivez check passed\n"],
  ])("%s", (_name, checks, query, status, text) => {
    expect(healthAnswer("livez", checks, new URLSearchParams(query))).toEqual({ status, text });
  });
});

describe("the heartbeat", () => {
  test("counts from the first question that no pass came after", async () => {
    const clock = new FakeClock();
    let wakes = 0;
    const heartbeat = new Heartbeat({ clock, wake: () => (wakes += 1) });
    expect(heartbeat.ask()).toBe(0);
    await clock.advance(3000);
    expect(heartbeat.ask()).toBe(3000);
    heartbeat.beat();
    await clock.advance(60_000); // nobody asks, nothing is late
    expect([heartbeat.ask(), wakes, clock.pending]).toEqual([0, 3, 0]);
  });
});

describe("the reach of the API", () => {
  const request = { verb: "update", resource: "leases", ms: 1 };

  test.each<readonly [string, readonly string[], string | undefined]>([
    ["nothing yet", [], "the API has not answered yet"],
    ["an answer", ["200"], undefined],
    ["a refusal is an answer", ["403"], undefined],
    ["no kubeconfig", ["config"], "the API does not answer: update leases: no usable kubeconfig or credentials; never heard"],
    ["a request without an answer", ["200", "timeout"], "the API does not answer: update leases: timeout; heard 0.0 s ago"],
    ["a server that is sick", ["200", "503"], "the API does not answer: update leases: 503; heard 0.0 s ago"],
    ["credentials that are not taken", ["401"], "the API does not answer: update leases: 401, the credentials are not taken; never heard"],
    ["an answer after all", ["timeout", "409"], undefined],
  ])("%s", (_name, codes, problem) => {
    const reach = new ApiReach(new FakeClock());
    for (const code of codes) reach.requested({ ...request, code });
    expect(reach.problem()).toBe(problem);
  });

  test("what the watch of a Lease brings is heard, and told on", async () => {
    const reach = new ApiReach(new FakeClock());
    const seen: (Lease | undefined)[] = [];
    const leases = { watch: async (_id: LeaseId, changed: (lease: Lease | undefined) => void) => changed(undefined) } as unknown as Leases;
    reach.requested({ ...request, code: "timeout" });
    await reach.tap(leases).watch({ namespace: "a", name: "b" }, (lease) => seen.push(lease), new AbortController().signal);
    expect([reach.problem(), seen]).toEqual([undefined, [undefined]]);
  });
});
