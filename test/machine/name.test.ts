import { describe, expect, test } from "vitest";
import type { IpAddress } from "../../src/lib/ip.js";
import { inOrder, NAME_DEFAULTS, nameStart, nameStep, type NameAction, type NameAnswer, type NameEvent, type NameState } from "../../src/machine/name.js";

const nothing: NameAnswer = { kind: "addresses", addresses: [], ttlMs: Infinity };
const absent: NameAnswer = { kind: "absent" };
const failed: NameAnswer = { kind: "failed", reason: "ESERVFAIL" };
const old4 = "192.0.2.1" as IpAddress;
const old6 = "2001:db8::1" as IpAddress;

function found(addresses: readonly string[], ttlMs = 60_000): NameAnswer {
  return { kind: "addresses", addresses: addresses as readonly IpAddress[], ttlMs };
}

/** A machine that is told its answers in the moment it asks. */
class Bench {
  state: NameState = nameStart();
  wakeAt = 0;
  random = 0;

  at(now: number, event: NameEvent = { type: "tick", random: this.random }): readonly NameAction[] {
    const { state, actions, wakeAt } = nameStep(this.state, event, now, NAME_DEFAULTS);
    this.state = state;
    this.wakeAt = wakeAt ?? Infinity;
    return actions;
  }

  answer(now: number, ipv4: NameAnswer, ipv6: NameAnswer): void {
    this.at(now, { type: "answer", id: this.state.question?.id ?? -1, answers: { ipv4, ipv6 }, random: this.random });
  }

  /** Waits until it asks, and answers at once; the time at which it asked. */
  round(ipv4: NameAnswer, ipv6: NameAnswer): number {
    const now = this.wakeAt;
    expect(this.at(now)).toMatchObject([{ type: "ask" }]);
    this.answer(now, ipv4, ipv6);
    return now;
  }

  get addresses(): readonly string[] | undefined {
    return this.state.result?.addresses;
  }

  /** Has had both old addresses since 0, and asks again at 60,000. */
  static known(): Bench {
    const bench = new Bench();
    bench.round(found([old4]), found([old6]));
    return bench;
  }
}

describe("a good answer", () => {
  test("is asked for at once", () => {
    const bench = new Bench();
    expect(bench.at(700)).toEqual([{ type: "ask", id: 1 }]);
    expect(bench.state.result).toBeUndefined();
  });

  test("counts with the addresses of both families in order, from the time it came", () => {
    const bench = new Bench();
    bench.at(0);
    bench.answer(30, found(["192.0.2.10", "192.0.2.9"]), found(["2001:db8::1"]));
    expect(bench.state.result).toEqual({ addresses: ["192.0.2.9", "192.0.2.10", "2001:db8::1"], error: undefined, resolvedAt: 30 });
  });

  test.each([
    ["the TTL", 60_000, 90_000, 60_000],
    ["the smaller TTL of both families", 90_000, 20_000, 20_000],
    ["at least 5 s", 0, 90_000, 5000],
    ["at most 300 s", 86_400_000, 86_400_000, 300_000],
  ])("is good for %s", (_name, ttl4, ttl6, expected) => {
    const bench = new Bench();
    bench.at(100);
    bench.answer(200, found([old4], ttl4), found([old6], ttl6));
    expect(bench.wakeAt).toBe(200 + expected);
    expect(bench.at(200 + expected - 1)).toEqual([]);
    expect(bench.at(200 + expected)).toHaveLength(1);
  });

  test("of one family alone is good for the TTL of that family", () => {
    const bench = new Bench();
    bench.round(found([old4], 20_000), nothing);
    expect(bench.wakeAt).toBe(20_000);
    expect(bench.state.result).toEqual({ addresses: [old4], error: undefined, resolvedAt: 0 });
  });

  test("of one family counts where the other claims that there is no such name (RFC 4074 4.2)", () => {
    const bench = new Bench();
    bench.round(found([old4]), absent);
    expect(bench.state.result).toEqual({ addresses: [old4], error: undefined, resolvedAt: 0 });
  });

  test("that is only rotated changes nothing, not even the object", () => {
    const bench = new Bench();
    bench.round(found(["192.0.2.1", "192.0.2.2"]), nothing);
    const { result } = bench.state;
    bench.round(found(["192.0.2.2", "192.0.2.1", "192.0.2.2"]), nothing);
    expect(bench.state.result).toBe(result);
  });

  test("with other addresses replaces the old ones, and says since when", () => {
    const bench = Bench.known();
    const now = bench.round(found(["192.0.2.7"]), nothing);
    expect(bench.state.result).toEqual({ addresses: ["192.0.2.7"], error: undefined, resolvedAt: now });
  });

  test("that belongs to an earlier question is ignored", () => {
    const bench = Bench.known();
    bench.at(60_000);
    bench.at(60_010, { type: "answer", id: 1, answers: { ipv4: found(["192.0.2.66"]), ipv6: nothing }, random: 0 });
    expect(bench.addresses).toEqual([old4, old6]);
    expect(bench.state.question?.id).toBe(2);
  });
});

describe("a failure", () => {
  test("keeps the addresses for as long as it lasts, and their time, and says why", () => {
    const bench = Bench.known();
    for (let round = 0; round < 500; round += 1) bench.round(failed, failed);
    expect(bench.wakeAt).toBeGreaterThan(7_000_000);
    expect(bench.state.result).toEqual({ addresses: [old4, old6], error: "ESERVFAIL", resolvedAt: 0 });
  });

  test("is tried again after 1 s, doubled up to half a minute", () => {
    const bench = new Bench();
    const asked = Array.from({ length: 7 }, () => bench.round(failed, failed));
    expect(asked.map((at, index) => at - (asked[index - 1] ?? 0))).toEqual([0, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    expect(bench.state.result).toEqual({ addresses: [], error: "ESERVFAIL", resolvedAt: undefined });
  });

  test("that is over is forgotten: no error, the TTL again, and the back-off at its start", () => {
    const bench = Bench.known();
    for (let round = 0; round < 4; round += 1) bench.round(failed, failed);
    const now = bench.round(found([old4]), found([old6]));
    expect(bench.state.result).toEqual({ addresses: [old4, old6], error: undefined, resolvedAt: 0 });
    expect(bench.wakeAt).toBe(now + 60_000);
    const again = bench.round(failed, failed);
    expect(bench.wakeAt).toBe(again + 1000);
  });

  test("of one family keeps what that family had, and takes what the other says", () => {
    const bench = Bench.known();
    bench.round(found(["192.0.2.7"]), failed);
    expect(bench.state.result).toMatchObject({ addresses: ["192.0.2.7", old6], error: "ESERVFAIL" });
  });

  test("of one family is no evidence against the other: without any address in the answer all stay", () => {
    const bench = Bench.known();
    bench.round(failed, nothing);
    expect(bench.addresses).toEqual([old4, old6]);
    bench.round(absent, failed);
    expect(bench.addresses).toEqual([old4, old6]);
  });

  test("is also a question without an answer: cancelled after 15 s, and asked again", () => {
    const bench = Bench.known();
    bench.at(60_000);
    expect(bench.at(74_999)).toEqual([]);
    expect(bench.at(75_000)).toEqual([{ type: "cancel", id: 2 }]);
    expect(bench.state.result).toMatchObject({ addresses: [old4, old6], error: "no answer within 15000 ms" });
    expect(bench.wakeAt).toBe(76_000);
  });
});

describe("a name that is gone", () => {
  test.each<readonly [string, NameAnswer, NameAnswer, string]>([
    ["no such name", absent, absent, "no such name"],
    ["no records of either family", nothing, nothing, "no A and no AAAA records"],
    ["one and the other", absent, nothing, "no A and no AAAA records"],
  ])("%s: its addresses stay for 30 s of such answers, and go with the one at the end of them", (_name, ipv4, ipv6, error) => {
    const bench = Bench.known();
    // By the back-off alone the questions would come 22.5 s and 45 s after the first.
    bench.random = 0.5;
    const first = bench.round(ipv4, ipv6);
    let rounds = 1;
    while (bench.wakeAt < first + 30_000) {
      bench.round(ipv4, ipv6);
      rounds += 1;
      expect(bench.state.result).toEqual({ addresses: [old4, old6], error, resolvedAt: 0 });
    }
    expect(rounds).toBeGreaterThanOrEqual(3);
    expect(bench.wakeAt).toBe(first + 30_000);
    bench.round(ipv4, ipv6);
    expect(bench.state.result).toEqual({ addresses: [], error, resolvedAt: undefined });
  });

  test("keeps its addresses after a single answer late, however late: it takes three", () => {
    const bench = Bench.known();
    bench.at(60_000);
    bench.answer(60_000, absent, absent);
    bench.at(600_000);
    bench.answer(600_000, absent, absent);
    expect(bench.addresses).toEqual([old4, old6]);
    bench.at(600_000 + 30_000);
    bench.answer(630_000, absent, absent);
    expect(bench.addresses).toEqual([]);
  });

  test.each<readonly [string, NameAnswer, NameAnswer]>([
    ["a failure", failed, failed],
    ["a failure of one family", absent, failed],
    ["a good answer", found([old4]), found([old6])],
  ])("is counted anew after %s", (_name, ipv4, ipv6) => {
    const bench = Bench.known();
    const first = bench.round(absent, absent);
    while (bench.wakeAt < first + 30_000) bench.round(absent, absent);
    const between = bench.round(ipv4, ipv6);
    while (bench.wakeAt < between + 30_000) bench.round(absent, absent);
    expect(bench.addresses).toEqual([old4, old6]);
  });

  test("is asked for again at most half a minute later, and back with the first good answer", () => {
    const bench = Bench.known();
    while (bench.addresses?.length !== 0) bench.round(absent, absent);
    const last = bench.round(absent, absent);
    expect(bench.wakeAt).toBe(last + 15_000);
    const now = bench.round(found([old4]), nothing);
    expect(bench.state.result).toEqual({ addresses: [old4], error: undefined, resolvedAt: now });
  });
});

test("addresses are put in order by number, IPv4 first, each once", () => {
  const given = ["2001:db8::10", "2001:db8::9", "10.0.0.10", "2001:db8::9", "9.255.0.0", "10.0.0.9", "10.0.0.10"] as readonly string[] as readonly IpAddress[];
  expect(inOrder(given)).toEqual(["9.255.0.0", "10.0.0.9", "10.0.0.10", "2001:db8::9", "2001:db8::10"]);
});
