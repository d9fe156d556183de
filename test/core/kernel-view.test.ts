import { describe, expect, test } from "vitest";
import { KernelView } from "../../src/core/kernel-view.js";
import { emptyWorld, type World } from "../../src/core/world.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { Link, LinkAddress, Route } from "../../src/ports/kernel.js";
import { FakeClock } from "../fakes/clock.js";
import { fakeLink } from "../fakes/kernel.js";

const LO = fakeLink(1, "lo");
const ETH0 = fakeLink(2, "eth0");
const ETH1 = fakeLink(3, "eth1");

/** A view of `lo`, `eth0` and `eth1`, and what it told. */
class Bench implements Disposable {
  readonly clock = new FakeClock();
  readonly returned: string[] = [];
  world: World = emptyWorld("n1");
  readonly view = new KernelView(
    { marks: { services: 118, "control-plane": 119 }, controlPlane: true, badAfterMs: 200 },
    { clock: this.clock, learn: (part) => void (this.world = { ...this.world, ...part }), returned: (link) => void this.returned.push(link) },
  );

  constructor(links: readonly Link[] = [LO, ETH0, ETH1], addresses: readonly LinkAddress[] = [], routes: readonly Route[] = []) {
    this.view.dump(links, addresses, routes);
  }

  link(link: Link, part: Partial<Link> = {}, gone = false): void {
    this.view.event({ type: "link", link: { ...link, ...part }, gone });
  }

  address(address: LinkAddress, gone = false): void {
    this.view.event({ type: "address", address, gone });
  }

  get bad(): readonly string[] {
    return [...this.world.badLinks].sort();
  }

  /** `eth0 192.0.2.1/24`. */
  get subnets(): readonly string[] {
    return [...this.world.subnets].flatMap(([name, subnets]) => subnets.map(({ address, prefix }) => `${name} ${address}/${prefix}`)).sort();
  }

  /** A test must not leave a timer behind, also where it ends in the middle of a blink. */
  [Symbol.dispose](): void {
    this.view[Symbol.dispose]();
    expect(this.clock.pending).toBe(0);
  }
}

function onLink(linkIndex: number, text: string, mark = 0): LinkAddress {
  const [ip = "", prefix] = text.split("/");
  return { linkIndex, address: ip as IpAddress, prefix: Number(prefix), scope: "global", mark, validSeconds: Infinity, preferredSeconds: Infinity };
}

function defaultRoute(part: Partial<Route>): Route {
  return { family: 4, table: 254, destination: undefined, prefix: 0, gateway: undefined, linkIndex: 2, metric: 0, ...part };
}

describe("a link that blinks", () => {
  test("for less than 200 ms is never bad, and asks for what is held on it to be announced anew", async () => {
    using bench = new Bench();
    bench.link(ETH0, { carrier: false });
    await bench.clock.advance(199);
    expect(bench.bad).toEqual([]);
    bench.link(ETH0);
    expect(bench.returned).toEqual(["eth0"]);
    await bench.clock.advance(1000);
    expect(bench.bad).toEqual([]);
    expect(bench.clock.pending).toBe(0);
  });

  test.each<readonly [string, Partial<Link>]>([
    ["without carrier", { carrier: false }],
    ["set down", { up: false }],
  ])("is bad when it is %s for 200 ms, and good again at once", async (_name, part) => {
    using bench = new Bench();
    bench.link(ETH0, part);
    await bench.clock.advance(200);
    expect(bench.bad).toEqual(["eth0"]);
    expect(bench.world.links.get("eth0")).toMatchObject(part);
    expect(bench.returned).toEqual([]);
    bench.link(ETH0);
    expect(bench.bad).toEqual([]);
    expect(bench.returned).toEqual(["eth0"]);
  });

  test("the 200 ms count from the first of several events that say it is down", async () => {
    using bench = new Bench();
    bench.link(ETH0, { carrier: false });
    await bench.clock.advance(150);
    bench.link(ETH0, { carrier: false, up: false });
    await bench.clock.advance(50);
    expect(bench.bad).toEqual(["eth0"]);
  });

  test("another link is not concerned, and an event without news asks for nothing", async () => {
    using bench = new Bench();
    bench.link(ETH0, { carrier: false });
    bench.link(ETH1, { mtu: 9000 });
    await bench.clock.advance(200);
    expect(bench.bad).toEqual(["eth0"]);
    expect(bench.returned).toEqual([]);
    expect(bench.world.links.get("eth1")?.mtu).toBe(9000);
  });
});

describe("a link that goes or changes its name", () => {
  test("gone: unknown at once, with its subnets; back with another index: everything on it is put again", () => {
    using bench = new Bench([LO, ETH0], [onLink(2, "192.0.2.1/24")]);
    bench.link(ETH0, {}, true);
    expect([...bench.world.links.keys()]).toEqual(["lo"]);
    expect(bench.subnets).toEqual([]);
    bench.link(ETH0, { index: 9 });
    expect(bench.world.links.get("eth0")?.index).toBe(9);
    expect(bench.returned).toEqual(["eth0"]);
  });

  test("gone while it blinks or is bad: it starts anew when it comes back", async () => {
    using bench = new Bench();
    bench.link(ETH0, { carrier: false });
    bench.link(ETH0, { carrier: false }, true);
    await bench.clock.advance(500);
    expect(bench.bad).toEqual([]);
    bench.link(ETH0, { index: 9, carrier: false });
    await bench.clock.advance(199);
    expect(bench.bad).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.bad).toEqual(["eth0"]);
    bench.link(ETH0, { index: 9 }, true);
    expect(bench.bad).toEqual([]);
  });

  test("the late farewell of an old link does not take the new one of the same name away", () => {
    using bench = new Bench();
    bench.link(ETH0, { index: 9 });
    bench.link(ETH0, {}, true);
    expect(bench.world.links.get("eth0")?.index).toBe(9);
    expect(bench.returned).toEqual(["eth0"]);
  });

  test("renamed: the old name is gone, the new one has its subnets, though the kernel tells no address again", () => {
    using bench = new Bench([LO, ETH0, ETH1], [onLink(2, "192.0.2.1/24")]);
    bench.link(ETH0, { name: "lan0" });
    expect([...bench.world.links.keys()].sort()).toEqual(["eth1", "lan0", "lo"]);
    expect(bench.returned).toEqual(["lan0"]);
    expect(bench.subnets).toEqual(["lan0 192.0.2.1/24"]);
  });

  test("renamed while it blinks: only the new name becomes bad", async () => {
    using bench = new Bench();
    bench.link(ETH0, { up: false });
    await bench.clock.advance(100);
    bench.link(ETH0, { up: false, name: "lan0" });
    await bench.clock.advance(200);
    expect(bench.bad).toEqual(["lan0"]);
  });
});

describe("a dump", () => {
  test("links that are bad in it are bad at once; those of before are forgotten", () => {
    using bench = new Bench([LO, { ...ETH0, carrier: false }, { ...ETH1, up: false }]);
    expect(bench.bad).toEqual(["eth0", "eth1"]);
    bench.view.dump([LO, ETH1], [], []);
    expect(bench.bad).toEqual([]);
    expect([...bench.world.links.keys()]).toEqual(["lo", "eth1"]);
  });

  test("that shows a link good ends the doubt about it: the event that said so was lost", async () => {
    using bench = new Bench();
    bench.link(ETH0, { carrier: false });
    bench.view.dump([LO, ETH0, ETH1], [], []);
    await bench.clock.advance(1000);
    expect(bench.bad).toEqual([]);
  });

  test.each<readonly [string, readonly Route[], string | undefined]>([
    ["none", [], undefined],
    ["only other destinations", [defaultRoute({ destination: "10.0.0.0" as IpAddress, prefix: 8 })], undefined],
    ["only in another table", [defaultRoute({ table: 100 })], undefined],
    ["the lower metric", [defaultRoute({ metric: 200 }), defaultRoute({ linkIndex: 3, metric: 100 })], "eth1"],
    ["IPv4 before IPv6, whatever the metric", [defaultRoute({ family: 6, linkIndex: 3 }), defaultRoute({ metric: 1024 })], "eth0"],
    ["only IPv6", [defaultRoute({ family: 6, linkIndex: 3 })], "eth1"],
    ["over a link that is not known", [defaultRoute({ linkIndex: 77 })], undefined],
  ])("link of the default route: %s", (_name, routes, expected) => {
    using bench = new Bench([LO, ETH0, ETH1], [], routes);
    expect(bench.world.defaultLink).toBe(expected);
  });
});

describe("subnets", () => {
  test("come from addresses that are not ours, on links that are known and not loopback", () => {
    const addresses = [onLink(1, "127.0.0.1/8"), onLink(2, "192.0.2.1/24"), onLink(2, "192.0.2.10/32", 118), onLink(3, "192.0.2.11/32", 119), onLink(3, "2001:db8::1/64"), onLink(77, "10.0.0.1/8")];
    using bench = new Bench([LO, ETH0, ETH1], addresses);
    expect(bench.subnets).toEqual(["eth0 192.0.2.1/24", "eth1 2001:db8::1/64"]);
  });

  test("an address of ours that somebody made his own is one until it is ours again, or gone", () => {
    using bench = new Bench([LO, ETH0], [onLink(2, "192.0.2.10/24")]);
    bench.address(onLink(2, "192.0.2.10/32"));
    expect(bench.subnets).toEqual(["eth0 192.0.2.10/24", "eth0 192.0.2.10/32"]);
    bench.address(onLink(2, "192.0.2.10/32", 118));
    expect(bench.subnets).toEqual(["eth0 192.0.2.10/24"]);
    bench.address(onLink(2, "192.0.2.10/32"));
    bench.address(onLink(2, "192.0.2.10/32"), true);
    expect(bench.subnets).toEqual(["eth0 192.0.2.10/24"]);
  });

  test("follow the events; told twice is one; our own VIPs change nothing", () => {
    using bench = new Bench();
    const seen = bench.world.subnets;
    bench.address(onLink(2, "192.0.2.10/32", 118));
    bench.address(onLink(2, "192.0.2.10/32", 118), true);
    expect(bench.world.subnets).toBe(seen);
    bench.address(onLink(2, "192.0.2.1/24"));
    bench.address(onLink(2, "192.0.2.1/24"));
    bench.address(onLink(2, "198.51.100.1/24"));
    expect(bench.subnets).toEqual(["eth0 192.0.2.1/24", "eth0 198.51.100.1/24"]);
    bench.address(onLink(2, "192.0.2.1/24"), true);
    expect(bench.subnets).toEqual(["eth0 198.51.100.1/24"]);
  });
});

test("after dispose no timer is left and no link becomes bad", async () => {
  const bench = new Bench();
  bench.link(ETH0, { carrier: false });
  bench.link(ETH1, { carrier: false });
  expect(bench.clock.pending).toBe(2);
  bench[Symbol.dispose]();
  await bench.clock.advance(1000);
  expect(bench.bad).toEqual([]);
});
