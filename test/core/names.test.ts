import { describe, expect, test } from "vitest";
import { Names, pickAddresses, type DnsMode } from "../../src/core/names.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { NAME_DEFAULTS } from "../../src/machine/name.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeDns } from "../fakes/dns.js";
import { FakeLog } from "../fakes/log.js";

/** Names on a clock of their own; `changes` counts calls of `changed`. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock(0);
  readonly dns = new FakeDns();
  readonly log = new FakeLog();
  changes = 0;
  readonly names: Names;

  constructor() {
    const changed = (): void => void (this.changes += 1);
    this.names = new Names(NAME_DEFAULTS, { clock: this.clock, dns: this.dns, log: this.log, random: { float: () => 0 }, changed });
  }

  async follow(...names: readonly string[]): Promise<void> {
    this.names.follow(new Set(names));
    await this.clock.advance(0);
  }

  addresses(name: string): readonly string[] | undefined {
    return this.names.results().get(name)?.addresses;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.names[Symbol.asyncDispose]();
    expect(this.clock.pending).toBe(0);
  }
}

describe("following", () => {
  test("a name is asked for at once in both families, and told once", async () => {
    await using bench = new Bench();
    bench.dns.put("web.example", ["2001:db8::1", "192.0.2.2", "192.0.2.1"]);
    bench.names.follow(new Set(["web.example"]));
    expect(bench.changes).toBe(0);
    expect(bench.names.results().size).toBe(0);
    await bench.clock.advance(0);
    expect(bench.dns.asked).toEqual(["A web.example", "AAAA web.example"]);
    expect(bench.addresses("web.example")).toEqual(["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    expect(bench.changes).toBe(1);
    expect(bench.log.lines).toEqual([{ level: "info", message: "name resolved", name: "web.example", addresses: ["192.0.2.1", "192.0.2.2", "2001:db8::1"] }]);
  });

  test("the same names again ask nothing and change nothing", async () => {
    await using bench = new Bench();
    bench.dns.put("a.example", ["192.0.2.1"]);
    bench.dns.put("b.example", ["192.0.2.2"]);
    await bench.follow("a.example", "b.example");
    const results = bench.names.results();
    await bench.follow("b.example", "a.example");
    expect(bench.dns.asked).toHaveLength(4);
    expect(bench.names.results()).toBe(results);
    expect([...results.keys()]).toEqual(["a.example", "b.example"]);
  });

  test("a set that its owner has changed is another set", async () => {
    await using bench = new Bench();
    bench.dns.put("a.example", ["192.0.2.1"]);
    const wanted = new Set(["a.example"]);
    bench.names.follow(wanted);
    bench.names.follow(wanted.add("b.example"));
    await bench.clock.advance(0);
    expect(bench.dns.asked).toHaveLength(4);
  });

  test("an answer that is the same, or only rotated, is not told", async () => {
    await using bench = new Bench();
    bench.dns.put("web.example", ["192.0.2.1", "192.0.2.2"], 10);
    await bench.follow("web.example");
    const results = bench.names.results();
    bench.dns.put("web.example", ["192.0.2.2", "192.0.2.1"], 10);
    await bench.clock.advance(30_000);
    expect(bench.dns.asked).toHaveLength(8);
    expect(bench.changes).toBe(1);
    expect(bench.names.results()).toBe(results);
  });

  test("an answer that has changed is told when the TTL has run out", async () => {
    await using bench = new Bench();
    bench.dns.put("web.example", ["192.0.2.1"], 20);
    await bench.follow("web.example");
    bench.dns.put("web.example", ["192.0.2.7"], 20);
    await bench.clock.advance(19_999);
    expect(bench.addresses("web.example")).toEqual(["192.0.2.1"]);
    await bench.clock.advance(1);
    expect(bench.names.results().get("web.example")).toEqual({ addresses: ["192.0.2.7"], error: undefined, resolvedAt: 20_000 });
    expect(bench.changes).toBe(2);
  });

  test("one name that fails does not touch another", async () => {
    await using bench = new Bench();
    bench.dns.put("good.example", ["192.0.2.1"], 10);
    bench.dns.fail("bad.example", "ESERVFAIL");
    await bench.follow("bad.example", "good.example");
    expect(bench.names.results().get("bad.example")).toEqual({ addresses: [], error: "resolve A bad.example: ESERVFAIL", resolvedAt: undefined });
    expect(bench.addresses("good.example")).toEqual(["192.0.2.1"]);
  });
});

describe("trouble", () => {
  test("DNS that is down for hours takes no address away, is told and logged once, and its end too", async () => {
    await using bench = new Bench();
    bench.dns.put("web.example", ["192.0.2.1"], 10);
    await bench.follow("web.example");
    bench.dns.fail("web.example", "ETIMEOUT");
    await bench.clock.advance(4 * 3_600_000);
    expect(bench.names.results().get("web.example")).toEqual({ addresses: ["192.0.2.1"], error: "resolve A web.example: ETIMEOUT", resolvedAt: 0 });
    expect(bench.changes).toBe(2);
    bench.dns.put("web.example", ["192.0.2.1"], 10);
    await bench.clock.advance(30_000);
    expect(bench.names.results().get("web.example")).toEqual({ addresses: ["192.0.2.1"], error: undefined, resolvedAt: 0 });
    expect(bench.log.lines.map(({ level, message }) => `${level}: ${message}`)).toEqual(["info: name resolved", "warn: name not resolved", "info: name resolved"]);
  });

  test("a name that is removed loses its addresses after half a minute", async () => {
    await using bench = new Bench();
    bench.dns.put("web.example", ["192.0.2.1"], 10);
    await bench.follow("web.example");
    bench.dns.remove("web.example");
    await bench.clock.advance(39_999);
    expect(bench.names.results().get("web.example")).toMatchObject({ addresses: ["192.0.2.1"], error: "no such name" });
    await bench.clock.advance(1);
    expect(bench.names.results().get("web.example")).toEqual({ addresses: [], error: "no such name", resolvedAt: undefined });
    expect(bench.changes).toBe(3);
  });

  test("a server that says nothing is given up after 15 s and asked again", async () => {
    await using bench = new Bench();
    bench.dns.set("web.example", 4, "silent");
    await bench.follow("web.example");
    await bench.clock.advance(15_000);
    expect(bench.dns.aborted).toBe(1);
    expect(bench.names.results().get("web.example")?.error).toBe("no answer within 15000 ms");
    bench.dns.put("web.example", ["192.0.2.1"]);
    await bench.clock.advance(1000);
    expect(bench.addresses("web.example")).toEqual(["192.0.2.1"]);
  });
});

describe("forgetting", () => {
  test("a name that is no longer followed is gone at once, its query aborted, its answer of no interest", async () => {
    await using bench = new Bench();
    bench.dns.put("stays.example", ["192.0.2.1"]);
    bench.dns.set("goes.example", 4, "silent");
    await bench.follow("stays.example", "goes.example");
    await bench.follow("stays.example");
    expect(bench.dns.aborted).toBe(1);
    expect([...bench.names.results().keys()]).toEqual(["stays.example"]);
    expect(bench.clock.pending).toBe(1);
    expect(bench.changes).toBe(1);
  });

  test("a name that comes back knows nothing of its earlier addresses", async () => {
    await using bench = new Bench();
    bench.dns.put("web.example", ["192.0.2.1"]);
    await bench.follow("web.example");
    await bench.follow();
    bench.dns.fail("web.example", "ESERVFAIL");
    await bench.follow("web.example");
    expect(bench.addresses("web.example")).toEqual([]);
  });

  test("closing waits for what is under way, and can be done twice", async () => {
    const bench = new Bench();
    bench.dns.set("web.example", 6, "silent");
    await bench.follow("web.example");
    await bench[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
    expect(bench.dns.aborted).toBe(1);
    await bench.clock.advance(3_600_000);
    expect(bench.changes).toBe(0);
  });
});

describe("the addresses to hold", () => {
  const both = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"];
  test.each<readonly [string, DnsMode, readonly string[], readonly string[], readonly string[]]>([
    ["the first", "first", both, [], ["192.0.2.1"]],
    ["the first of IPv6 alone", "first", ["2001:db8::1", "2001:db8::2"], [], ["2001:db8::1"]],
    ["the first: the one in use stays", "first", both, ["192.0.2.2"], ["192.0.2.2"]],
    ["the first: one in use of the other family stays", "first", both, ["2001:db8::2"], ["2001:db8::2"]],
    ["the first: of two in use the first", "first", both, ["2001:db8::2", "192.0.2.2"], ["192.0.2.2"]],
    ["the first: one in use that the name has lost goes", "first", both, ["192.0.2.9"], ["192.0.2.1"]],
    ["ipv4", "ipv4", both, [], ["192.0.2.1"]],
    ["ipv4: the one in use stays", "ipv4", both, ["2001:db8::1", "192.0.2.2"], ["192.0.2.2"]],
    ["ipv4 without any", "ipv4", ["2001:db8::1"], ["2001:db8::1"], []],
    ["ipv6", "ipv6", both, [], ["2001:db8::1"]],
    ["ipv6: the one in use stays", "ipv6", both, ["2001:db8::2"], ["2001:db8::2"]],
    ["ipv6 without any", "ipv6", ["192.0.2.1"], [], []],
    ["dual", "dual", both, [], ["192.0.2.1", "2001:db8::1"]],
    ["dual: those in use stay", "dual", both, ["2001:db8::2", "192.0.2.2"], ["192.0.2.2", "2001:db8::2"]],
    ["dual with one family", "dual", ["2001:db8::1"], [], ["2001:db8::1"]],
    ["dual of nothing", "dual", [], ["192.0.2.1"], []],
    ["the first of nothing", "first", [], ["192.0.2.1"], []],
  ])("%s", (_name, mode, addresses, current, expected) => {
    expect(pickAddresses(addresses as readonly IpAddress[], mode, current as readonly IpAddress[])).toEqual(expected);
  });
});
