import { describe, expect, test } from "vitest";
import type { AddressId, AddressPut } from "../../src/ports/kernel.js";
import type { Service } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeKube } from "../fakes/kube.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { Node } from "./engine-node.js";
import { fakeSlice } from "./given.js";

const IPS = "kube-vip.io/loadbalancerIPs";

/** Writes down what is asked of it. */
class RecordingKernel extends FakeKernel {
  readonly asked: string[] = [];

  override async putAddress(put: AddressPut, signal: AbortSignal): Promise<number> {
    this.asked.push(`put ${put.address}`);
    return super.putAddress(put, signal);
  }

  override async removeAddress(id: AddressId, signal: AbortSignal): Promise<boolean> {
    this.asked.push(`remove ${id.address}`);
    return super.removeAddress(id, signal);
  }
}

async function started(services: readonly Service[], everywhere = true): Promise<{ clock: FakeClock; kube: FakeKube; kernel: RecordingKernel; node: Node }> {
  const clock = new FakeClock();
  const kube = new FakeKube();
  const kernel = new RecordingKernel(clock);
  for (const service of services) kube.put(service);
  const node = new Node("n1", clock, kube, kernel, everywhere);
  await clock.advance(100);
  return { clock, kube, kernel, node };
}

function stored(kube: FakeKube, name = "web"): Service {
  const found = [...kube.services.values()].find((service) => service.name === name);
  if (found === undefined) throw new Error(name);
  return found;
}

/** The addresses that the kernel has. */
function held(kernel: FakeKernel): readonly string[] {
  return kernel.shown().map((line) => line.slice(0, line.indexOf("/")));
}

function ask(kube: FakeKube, addresses: string, name = "web"): void {
  const now = stored(kube, name);
  kube.put({ ...now, annotations: { ...now.annotations, [IPS]: addresses } });
}

describe("a Service that changes", () => {
  test.each<readonly [string, string, readonly string[]]>([
    ["gets one more address", "192.0.2.10,192.0.2.11,192.0.2.12", ["put 192.0.2.12"]],
    ["loses one", "192.0.2.10", ["remove 192.0.2.11"]],
    ["gets another one in place of one", "192.0.2.10,192.0.2.12", ["put 192.0.2.12", "remove 192.0.2.11"]],
    ["has them in another order", "192.0.2.11,192.0.2.10", []],
  ])("%s: nothing is done about the addresses that stay", async (_name, addresses, asked) => {
    const { clock, kube, kernel, node } = await started([fakeService({ annotations: { [IPS]: "192.0.2.10,192.0.2.11" } })]);
    await using _ = node;
    kernel.asked.splice(0);
    ask(kube, addresses);
    await clock.advance(100);
    expect([...kernel.asked].sort()).toEqual(asked);
    expect(stored(kube).ingress.map(({ ip }) => ip)).toEqual(addresses.split(","));
  });

  test.each<readonly [string, Partial<Service>]>([
    ["its ports", { ports: [{ name: "", protocol: "UDP", port: 9 }] }],
    ["an annotation that means nothing here", { annotations: { [IPS]: "192.0.2.10", "kube-vip.io/else": "1" } }],
    ["spec.loadBalancerIP, which the annotation overrides", { loadBalancerIP: "192.0.2.99" }],
  ])("in %s only is left alone", async (_name, part) => {
    const { clock, kube, kernel, node } = await started([fakeService({ annotations: { [IPS]: "192.0.2.10" } })]);
    await using _ = node;
    kernel.asked.splice(0);
    const now = stored(kube);
    kube.put({ ...now, ...part, annotations: { ...now.annotations, ...part.annotations } });
    await clock.advance(100);
    expect([kernel.asked, held(kernel)]).toEqual([[], ["192.0.2.10"]]);
  });

  test("from one address to another has the old one in its status no longer than on the link", async () => {
    const { clock, kube, kernel, node } = await started([fakeService({ loadBalancerIP: "192.0.2.10" })]);
    await using _ = node;
    kube.put({ ...stored(kube), loadBalancerIP: "192.0.2.11" });
    await clock.advance(100);
    expect([held(kernel), stored(kube).ingress.map(({ ip }) => ip)]).toEqual([["192.0.2.11"], ["192.0.2.11"]]);
  });

  test("and shares its address keeps it for the other when it goes", async () => {
    const other = fakeService({ name: "other", loadBalancerIP: "192.0.2.10", ports: [{ name: "", protocol: "TCP", port: 81 }] });
    const { clock, kube, kernel, node } = await started([fakeService({ loadBalancerIP: "192.0.2.10" }), other]);
    await using _ = node;
    kernel.asked.splice(0);
    kube.remove("default/web");
    await clock.advance(100);
    expect([kernel.asked, held(kernel)]).toEqual([[], ["192.0.2.10"]]);
    kube.remove("default/other");
    await clock.advance(100);
    expect(held(kernel)).toEqual([]);
  });

  test("to `ignore` is let go, and its status taken back; and back again", async () => {
    const { clock, kube, kernel, node } = await started([fakeService({ loadBalancerIP: "192.0.2.10" })]);
    await using _ = node;
    const ignored = stored(kube);
    kube.put({ ...ignored, annotations: { ...ignored.annotations, "kube-vip.io/ignore": "true" } });
    await clock.advance(100);
    expect([held(kernel), stored(kube).ingress, Object.keys(stored(kube).annotations)]).toEqual([[], [], ["kube-vip.io/ignore"]]);
    kube.put({ ...stored(kube), annotations: {} });
    await clock.advance(100);
    expect(held(kernel)).toEqual(["192.0.2.10"]);
  });
});

describe("policy Local, one holder for all Services", () => {
  const local = fakeService({ loadBalancerIP: "192.0.2.10", externalTrafficPolicy: "Local", healthCheckNodePort: 30_000 });

  test("is held only while an endpoint of it is on the holder, to the end of the last one; then a person is told what would help", async () => {
    const { clock, kube, kernel, node } = await started([local], false);
    await using _ = node;
    const seen: string[] = [];
    for (const pods of [["n2"], ["n1", "n2"], ["n1 terminating", "n2"], ["n1 unready", "n2"], []]) {
      kube.putSlice(fakeSlice("web-1", pods));
      await clock.advance(100);
      seen.push(held(kernel).join());
    }
    expect(seen).toEqual(["", "192.0.2.10", "192.0.2.10", "", ""]);
    expect([...new Set(kube.events.map(({ type, reason, message }) => `${type} ${reason}: ${message}`))]).toEqual([
      "Warning HolderHasNoEndpoint: no endpoint of it is on node n1, which holds the Services, and externalTrafficPolicy is Local; with svc_election each Service is held where its endpoints are",
      "Normal VipHeld: 192.0.2.10 is held by node n1 (ARP on eth0)",
    ]);
  });

  test("on an address with one of policy Cluster: the address is held for that one", async () => {
    const cluster = fakeService({ name: "other", loadBalancerIP: "192.0.2.10", ports: [{ name: "", protocol: "TCP", port: 81 }] });
    const { clock, kube, kernel, node } = await started([local, cluster], false);
    await using _ = node;
    kube.putSlice(fakeSlice("web-1", ["n2"]));
    kube.putSlice(fakeSlice("other-1", ["n2"], { service: "other" }));
    await clock.advance(100);
    expect(held(kernel)).toEqual(["192.0.2.10"]);
    expect([stored(kube).ingress, stored(kube, "other").ingress]).toEqual([[], [fakeIngress("192.0.2.10")]]);
  });
});

test("500 broken Services harm nobody: the good ones are served at once, each broken one is told once, and then there is peace", async () => {
  const broken: readonly Partial<Service>[] = [
    { loadBalancerIP: "nonsense!" },
    { loadBalancerIP: "224.0.0.1" },
    { loadBalancerIP: "192.0.2.1" },
    { type: "ClusterIP", annotations: { romanaip: "{" } },
    { annotations: { "kube-vip.io/serviceVLAN": "eth0.9999", [IPS]: "192.0.2.200" } },
    { annotations: { "vip.internal/announced": "{{{", "vip.internal/external-ips": ",,,", [IPS]: "::" } },
    { loadBalancerIP: "192.0.2.99", ingress: [fakeIngress("203.0.113.1")] },
  ];
  const bad = Array.from({ length: 500 }, (_, i) => fakeService({ name: `bad-${i}`, createdAt: 5, ports: [{ name: "", protocol: "TCP", port: i + 1 }], ...broken[i % broken.length] }));
  const good = Array.from({ length: 20 }, (_, i) => fakeService({ name: `good-${i}`, createdAt: 9, loadBalancerIP: `192.0.2.${10 + i}` }));
  const { clock, kube, kernel, node } = await started([...bad, ...good]);
  await using _ = node;
  expect(held(kernel).filter((address) => good.some(({ loadBalancerIP }) => loadBalancerIP === address))).toHaveLength(20);
  await clock.advance(10_000);
  expect(good.map(({ name }) => stored(kube, name).ingress.length)).toEqual(good.map(() => 1));
  const [events, requests] = [kube.events.length, kube.requests];
  expect(events).toBeGreaterThan(400);
  expect(new Set(kube.events.map(({ service, reason }) => `${service.name} ${reason}`)).size).toBe(events);
  await clock.advance(30_000);
  // Thirty renews of the one Lease.
  expect([kube.events.length - events, kube.requests - requests]).toEqual([0, 30]);
});
