import { describe, expect, test } from "vitest";
import { parseIp } from "../../src/lib/ip.js";
import { UpnpBench } from "./upnp-bench.js";

const signal = new AbortController().signal;

/** A link whose router speaks no UPnP. */
function benchOf(dialects: readonly ("pcp" | "nat-pmp")[]): UpnpBench {
  const bench = new UpnpBench();
  bench.router.options = { answers: false };
  bench.pcp.options = { dialects, refusesNewer: true };
  return bench;
}

describe.each([
  ["PCP", ["pcp", "nat-pmp"]],
  ["NAT-PMP", ["nat-pmp"]],
] as const)("a router that speaks %s and no UPnP", (name, dialects) => {
  test("opens every port for its VIP, says where, and closes it", async () => {
    await using bench = benchOf(dialects);
    await bench.mode.up(bench.want(1), signal);
    await bench.mode.up(bench.want(2, { protocol: "UDP" }), signal);
    await bench.clock.advance(3100);
    await bench.settle();
    expect([...bench.pcp.mappings]).toEqual([["TCP 8001", "10.77.0.201:8001 3600"], ["UDP 8002", "10.77.0.202:8002 3600"]]);
    expect(bench.views.get(bench.want(1).key)).toMatchObject({ status: { kind: "mapped", externalPort: 8001 }, gateway: { name, host: bench.pcp.host, externalAddress: "198.51.100.7" } });
    await bench.mode.down(bench.want(1).key, "unwanted", signal);
    expect([...bench.pcp.mappings.keys()]).toEqual(["UDP 8002"]);
    await bench.mode.down(bench.want(2, { protocol: "UDP" }).key, "unwanted", signal);
    expect(bench.pcp.mappings.size).toBe(0);
    await bench.settle();
    expect(bench.open()).toBe(0);
  });

  test("is asked again when half of what it gave is over, and for ever in its own measure", async () => {
    await using bench = benchOf(dialects);
    bench.pcp.options = { ...bench.pcp.options, longest: 100 };
    await bench.mode.up(bench.want(1, { leaseSeconds: 0 }), signal);
    await bench.clock.advance(3100);
    await bench.settle();
    const asked = (): number => bench.pcp.heard.filter(({ hex }) => hex.length > 2 * 2 && hex.startsWith(name === "PCP" ? "0201" : "0002")).length;
    expect(asked()).toBe(1);
    expect([...bench.pcp.mappings.values()]).toEqual(["10.77.0.201:8001 100"]);
    // Confirmed once.
    await bench.clock.advance(10_000);
    expect(asked()).toBe(2);
    await bench.clock.advance(48_000);
    expect(asked()).toBe(2);
    await bench.clock.advance(4000);
    expect(asked()).toBe(3);
  });

  test("that was restarted without a word is found out by the next check, one that announces itself at once", async () => {
    for (const announced of [false, true]) {
      await using bench = benchOf(dialects);
      await bench.mode.up(bench.want(1), signal);
      await bench.clock.advance(30_000);
      await bench.settle();
      expect(bench.pcp.mappings.size).toBe(1);
      bench.pcp.restart();
      if (announced) bench.pcp.announce();
      await bench.clock.advance(announced ? 2500 : 62_000);
      await bench.settle();
      expect([...bench.pcp.mappings]).toEqual([["TCP 8001", "10.77.0.201:8001 3600"]]);
    }
  });

  test("that gives another port is believed, and asked for that one from then on", async () => {
    await using bench = benchOf(dialects);
    bench.pcp.options = { ...bench.pcp.options, instead: 40_000 };
    await bench.mode.up(bench.want(1), signal);
    await bench.clock.advance(3100);
    await bench.settle();
    expect(bench.views.get(bench.want(1).key)?.status).toMatchObject({ kind: "mapped", externalPort: 40_000 });
    bench.pcp.options = { ...bench.pcp.options, instead: undefined as never };
    await bench.clock.advance(1_800_000);
    expect([...bench.pcp.mappings.keys()]).toEqual(["TCP 40000"]);
  });

  test("that refuses: its number in words, and it is asked again", async () => {
    await using bench = benchOf(dialects);
    await bench.mode.up(bench.want(1), signal);
    await bench.clock.advance(1000);
    await bench.settle();
    bench.pcp.options = { ...bench.pcp.options, result: name === "PCP" ? 8 : 4 };
    await bench.clock.advance(2100);
    await bench.settle();
    expect(bench.views.get(bench.want(1).key)?.status).toMatchObject({ kind: "refused", text: name === "PCP" ? "no resources" : "out of resources" });
    bench.pcp.options = { dialects, refusesNewer: true };
    await bench.clock.advance(3_600_000);
    expect(bench.pcp.mappings.size).toBe(1);
  });

  test("that dies is given up after some checks, and found again", async () => {
    await using bench = benchOf(dialects);
    await bench.mode.up(bench.want(1), signal);
    await bench.clock.advance(5000);
    await bench.settle();
    bench.pcp.options = { ...bench.pcp.options, answers: false };
    await bench.clock.advance(75_000);
    expect(bench.views.get(bench.want(1).key)?.status.kind).toBe("noGateway");
    bench.pcp.options = { dialects, refusesNewer: true };
    bench.pcp.restart();
    bench.pcp.announce();
    await bench.clock.advance(3000);
    await bench.settle();
    expect([...bench.pcp.mappings.keys()]).toEqual(["TCP 8001"]);
  });

  test("is not asked where the router speaks UPnP", async () => {
    await using bench = benchOf(dialects);
    bench.router.options = {};
    await bench.mode.up(bench.want(1), signal);
    await bench.clock.advance(10_000);
    expect(await bench.there()).toEqual([bench.want(1).key]);
    expect(bench.pcp.mappings.size).toBe(0);
  });
});

test("a router that passes over PCP in silence is asked by NAT-PMP, too", async () => {
  await using bench = benchOf(["nat-pmp"]);
  bench.pcp.options = { dialects: ["nat-pmp"] };
  await bench.mode.up(bench.want(1), signal);
  await bench.clock.advance(4000);
  await bench.settle();
  expect([...bench.pcp.mappings.keys()]).toEqual(["TCP 8001"]);
});

test("a silent next hop: the questions come ever more seldom, up to 17 minutes apart", async () => {
  await using bench = benchOf([]);
  bench.pcp.options = { answers: false };
  await bench.mode.up(bench.want(1), signal);
  const times: number[] = [];
  for (let i = 0, seen = 0; i < 7200; i += 1) {
    await bench.clock.advance(1000);
    const now = bench.pcp.heard.filter(({ hex }) => hex.startsWith("0200")).length;
    if (now > seen) times.push(bench.clock.now());
    seen = now;
  }
  const gaps = times.slice(1).map((at, index) => Math.round((at - (times[index] ?? 0)) / 1000));
  // RFC 6887 8.1.1, with the least that chance may give: 2.7, 4.9, 8.7, 15.7, 28.3 s, seen once a second.
  expect(gaps.slice(0, 5)).toEqual([2, 5, 9, 16, 28]);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(1024 * 1.1);
  expect(Math.max(...gaps)).toBeGreaterThan(800);
});

test("the next holder refreshes and removes what the one before has asked for: the nonce is the Service's", async () => {
  await using bench = benchOf(["pcp"]);
  await bench.mode.up(bench.want(1), signal);
  await bench.clock.advance(3100);
  await bench.settle();
  await bench.mode.down(bench.want(1).key, "notOwner", signal);
  expect(bench.pcp.mappings.size).toBe(1);
  await using heir = bench.reborn();
  await heir.up(bench.want(1), signal);
  await bench.clock.advance(3100);
  await bench.settle();
  expect(bench.views.get(bench.want(1).key)?.status.kind).toBe("mapped");
  await heir.down(bench.want(1).key, "unwanted", signal);
  expect(bench.pcp.mappings.size).toBe(0);
});

test("another Service with the same name and port: the old mapping goes with its own nonce, the new one comes", async () => {
  await using bench = benchOf(["pcp"]);
  await bench.mode.up(bench.want(1), signal);
  await bench.clock.advance(3100);
  await bench.settle();
  await bench.mode.up(bench.want(1, { uid: "another" }), signal);
  await bench.clock.advance(3100);
  await bench.settle();
  expect(bench.views.get(bench.want(1).key)?.status.kind).toBe("mapped");
  expect(bench.pcp.mappings.size).toBe(1);
});

test("what is no answer is passed over and counted; announcements of others make nobody ask", async () => {
  await using bench = benchOf(["pcp"]);
  // Cut short, another version, a request, NAT-PMP from a server of PCP.
  bench.pcp.options = { dialects: ["pcp"], before: [Uint8Array.of(2), Uint8Array.of(2, 1, 0, 0, 0, 0, 0, 0), Uint8Array.of(9, 0x81, 0, 0), new Uint8Array(1200).fill(2)] };
  await bench.mode.up(bench.want(1), signal);
  await bench.clock.advance(3100);
  await bench.settle();
  expect(bench.views.get(bench.want(1).key)?.status.kind).toBe("mapped");
  expect(bench.troubles.get("datagram")).toBeGreaterThanOrEqual(4);
  const before = bench.pcp.heard.length;
  bench.pcp.announce(parseIp("10.77.0.66"));
  await bench.clock.advance(5000);
  expect(bench.pcp.heard.length).toBe(before);
  // The real one, over and over: a question a second at the most.
  for (let i = 0; i < 1000; i += 1) bench.pcp.announce();
  await bench.clock.advance(5000);
  expect(bench.pcp.heard.length - before).toBeLessThanOrEqual(6);
});
