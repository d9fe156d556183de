import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { Route } from "../../src/core/model.js";
import type { BgpPeer } from "../../src/lib/bgp-peer.js";
import type { BgpMode } from "../../src/modes/bgp.js";
import { Bird, BgpLab, ip, peerOf, reported, route, type Seen } from "./bgp-fixture.js";
import { figure } from "./kernel-fixture.js";
import { monotonicMs, waitFor } from "./wait.js";

const never = new AbortController().signal;
const CHANNELS = "ipv4 { import all; export none; }; ipv6 { import all; export none; };";
const SECOND: Partial<BgpPeer> = { name: "beta", sourceAddress: ip("10.95.1.11") };

let lab: BgpLab;
let bird: Bird;
let mode: BgpMode;

/** Two sessions with BIRD, from two addresses; `first` and `second` are options of theirs. */
function protocols(first = "", second = ""): string {
  const one = (name: string, neighbor: string, options: string): string => `protocol bgp ${name} { local 10.95.1.2 as 64501; neighbor ${neighbor} as 64500; passive; error wait time 1,2; ${options} ${CHANNELS} }`;
  return `${one("alpha", "10.95.1.1", first)}\n${one("beta", "10.95.1.11", second)}`;
}

beforeAll(async () => {
  lab = await BgpLab.build();
  bird = new Bird(lab);
  await bird.start(protocols());
}, 30_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

afterEach(async () => {
  await mode[Symbol.asyncDispose]();
});

async function up(routes: readonly Route[]): Promise<void> {
  await Promise.all(routes.map(async (one) => mode.up(one, never)));
}

/** A speaker with sessions up. */
async function begin(peers: readonly BgpPeer[], routes: readonly Route[]): Promise<void> {
  mode = lab.speaker();
  mode.setPeers(peers);
  await up(routes);
  for (const { name } of peers) await established(name);
}

const first = (given: Partial<BgpPeer> = {}): BgpPeer => peerOf("bird", { name: "alpha", ...given });
const second = (given: Partial<BgpPeer> = {}): BgpPeer => peerOf("bird", { ...SECOND, ...given });

async function established(name: string): Promise<void> {
  await reported(mode, name, ({ state }) => state === "Established", `${name} to be up`);
}

async function prefixes(protocol: string, wanted: readonly string[]): Promise<void> {
  const look = async (): Promise<unknown> => {
    const seen = (await bird.routes(protocol)).map(({ prefix }) => prefix).toSorted();
    return { ok: seen.join() === wanted.join(), seen };
  };
  await waitFor(look, 15_000, `${wanted.join(" ")} by ${protocol}`);
}

describe("a session", () => {
  it("that the peer ends says why, in the words of its operator, and comes back", async () => {
    await begin([first(), second()], [route("192.0.2.1")]);
    await bird.ctl('disable alpha "moving racks"');
    const { lastEnd, counters } = await reported(mode, "alpha", ({ state }) => state !== "Established", "the end");
    expect([lastEnd?.by, lastEnd?.reason, counters.flaps]).toEqual(["peer", 'Cease/Administrative Shutdown: "moving racks"', 1]);
    await bird.ctl("enable alpha");
    await prefixes("alpha", ["192.0.2.1/32"]);
    await reported(mode, "beta", ({ state, counters: { flaps } }) => state === "Established" && flaps === 0, "the other to be unharmed");
  });

  it("with a new password on both sides is a new session, and the other one stays", async () => {
    await begin([first(), second()], [route("192.0.2.1")]);
    await bird.configure(protocols('password "new";'));
    mode.setPeers([first({ password: "new" }), second()]);
    await established("alpha");
    await prefixes("alpha", ["192.0.2.1/32"]);
    await reported(mode, "beta", ({ state, counters: { flaps } }) => state === "Established" && flaps === 0, "the other to be unharmed");
    await bird.configure(protocols());
  });

  it("answers a route refresh with everything again", async () => {
    await begin([first()], [route("192.0.2.1"), route("2001:db8::1")]);
    await prefixes("alpha", ["192.0.2.1/32", "2001:db8::1/128"]);
    const [before] = mode.reports();
    await bird.ctl("reload in alpha");
    const sent = before?.counters.updatesSent ?? 0;
    await reported(mode, "alpha", ({ counters: { updatesSent } }) => updatesSent >= sent + 2, "both families again");
    await prefixes("alpha", ["192.0.2.1/32", "2001:db8::1/128"]);
  });

  it("with a peer that hangs ends by the hold timer, and comes back with it", async () => {
    await begin([first({ holdSeconds: 3 })], [route("192.0.2.1")]);
    await prefixes("alpha", ["192.0.2.1/32"]);
    bird.kill("SIGSTOP");
    try {
      const { lastEnd } = await reported(mode, "alpha", ({ state }) => state !== "Established", "the end");
      expect([lastEnd?.by, lastEnd?.reason]).toEqual(["local", "Hold Timer Expired"]);
    } finally {
      bird.kill("SIGCONT");
    }
    await established("alpha");
    await prefixes("alpha", ["192.0.2.1/32"]);
  });
});

describe("the end", () => {
  it("of a drained node is a route that others are preferred to, then none, then a session that is shut down", async () => {
    await begin([first()], [route("192.0.2.1")]);
    await prefixes("alpha", ["192.0.2.1/32"]);
    const drained = mode.drain("ending");
    await waitFor(async () => (await bird.routes("alpha"))[0]?.communities.includes("65535:0"), 2000, "GRACEFUL_SHUTDOWN");
    await drained;
    await prefixes("alpha", []);
    await waitFor(async () => (await bird.ctl("show protocols all alpha")).includes("Received: Administrative shutdown"), 5000, "the reason");
  });

  it("of a process with graceful restart leaves its routes in place until the next has said what is still true", async () => {
    await bird.configure(protocols("graceful restart on;"));
    const graceful = first({ gracefulRestartSeconds: 30 });
    await begin([graceful], []);
    await up([route("192.0.2.1"), route("192.0.2.2")]);
    mode.complete();
    await prefixes("alpha", ["192.0.2.1/32", "192.0.2.2/32"]);
    await mode[Symbol.asyncDispose]();
    await waitFor(async () => !(await bird.ctl("show protocols alpha")).includes("Established"), 5000, "BIRD to see the end");
    let lost: readonly Seen[] | undefined;
    const watching = new AbortController();
    const watch = (async () => {
      while (!watching.signal.aborted) {
        const seen = await bird.routes("alpha");
        if (!seen.some(({ prefix }) => prefix === "192.0.2.1/32")) lost = seen;
      }
    })();
    await begin([graceful], [route("192.0.2.1")]);
    await prefixes("alpha", ["192.0.2.1/32", "192.0.2.2/32"]);
    mode.complete();
    await prefixes("alpha", ["192.0.2.1/32"]);
    watching.abort();
    await watch;
    expect(lost).toBeUndefined();
    await bird.configure(protocols());
  });
});

describe("a route publisher on the node itself", () => {
  it("is told of the node's address as next hop, over 127.0.0.1 and ::1", async () => {
    const publisher = new Bird(lab, "node");
    const local = (name: string, address: string): string => `protocol bgp ${name} { local ${address} port 1790 as 1234; neighbor ${address} as 2345; multihop; passive; ${CHANNELS} }`;
    await publisher.start(`${local("vip4", "127.0.0.1")}\n${local("vip6", "::1")}`);
    const near = { port: 1790, localAs: 2345, peerAs: 1234, routerId: ip("127.0.0.1") };
    await begin([first({ ...near, name: "vip4", address: ip("127.0.0.1") }), first({ ...near, name: "vip6", address: ip("::1") })], [route("192.0.2.1"), route("2001:db8::1")]);
    for (const name of ["vip4", "vip6"]) {
      const hops = async (): Promise<string> => (await publisher.routes(name)).map(({ prefix, nextHop }) => `${prefix} via ${nextHop}`).toSorted().join(", ");
      await waitFor(async () => ({ ok: (await hops()) === "192.0.2.1/32 via 10.95.1.1, 2001:db8::1/128 via fd95:1::1", hops: await hops() }), 10_000, `the next hops of ${name}`);
    }
  });
});

describe("10,000 routes", () => {
  it("are in the peer's table soon, and gone soon", async () => {
    const many = Array.from({ length: 10_000 }, (_, n) => route(`198.18.${n >> 8}.${n & 255}`));
    await begin([first(), second()], []);
    const counted = async (protocol: string): Promise<number> => Number(/(\d+) of \d+ routes/.exec(await bird.ctl(`show route protocol ${protocol} count`))?.[1] ?? 0);
    const start = monotonicMs();
    await up(many);
    for (const name of ["alpha", "beta"]) await waitFor(async () => (await counted(name)) === many.length, 15_000, `all of them by ${name}`);
    const learnt = monotonicMs();
    await Promise.all(many.map(async ({ key }) => mode.down(key, "unwanted", never)));
    for (const name of ["alpha", "beta"]) await waitFor(async () => (await counted(name)) === 0, 15_000, `none by ${name}`);
    const [report] = mode.reports();
    figure("bgp 10,000 routes to two peers", { learntMs: Math.round(learnt - start), withdrawnMs: Math.round(monotonicMs() - learnt), updates: report?.counters.updatesSent ?? 0 });
    expect(report?.counters.updatesSent).toBeLessThan(60);
  });
});
