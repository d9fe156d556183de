import { describe, expect, test } from "vitest";
import {
  UPNP_TIMING,
  upnpMappingStart,
  type UpnpMappingAction,
  type UpnpMappingConfig,
  type UpnpMappingEvent,
  type UpnpMappingState,
  type UpnpRefusal,
} from "../../src/machine/upnp-mapping-state.js";
import { upnpMappingStep } from "../../src/machine/upnp-mapping.js";

const CONFIG: UpnpMappingConfig = { externalPort: 8080, leaseSeconds: 600, anyPort: true, timing: UPNP_TIMING };
const IGD2 = { id: "igd2", choosesPort: true };
const IGD1 = { id: "igd1", choosesPort: false };

type Input<T> = T extends unknown ? Omit<T, "random"> : never;

/** A machine with its clock. `random` is 0: no jitter. */
class Bench {
  state: UpnpMappingState = upnpMappingStart();
  wakeAt: number | undefined;
  now = 0;
  readonly log: string[] = [];

  constructor(
    private readonly changes: Partial<UpnpMappingConfig> = {},
    private readonly random = 0,
  ) {}

  send(event: Input<UpnpMappingEvent>): this {
    const result = upnpMappingStep(this.state, { ...event, random: this.random }, this.now, { ...CONFIG, ...this.changes });
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    this.log.push(...result.actions.map((action) => `${this.now} ${shown(action)}`));
    return this;
  }

  until(time: number): this {
    while (this.wakeAt !== undefined && this.wakeAt <= time) {
      this.now = Math.max(this.now, this.wakeAt);
      this.send({ type: "tick" });
    }
    this.now = time;
    return this;
  }

  /** The request under way is answered. */
  mapped(externalPort = 8080, leaseSeconds?: number): this {
    return this.send({ type: "mapped", id: this.asked(), externalPort, leaseSeconds: leaseSeconds ?? undefined });
  }

  refused(refusal: UpnpRefusal, code = 718, text = "ConflictInMappingEntry"): this {
    return this.send({ type: "refused", id: this.asked(), refusal, code, text, againSeconds: undefined });
  }

  failed(reason = "timeout"): this {
    return this.send({ type: "failed", id: this.asked(), reason });
  }

  unmapped(): this {
    return this.send({ type: "unmapped", id: this.asked() });
  }

  down(searching = false): this {
    return this.send({ type: "down", searching });
  }

  news(): readonly string[] {
    return this.log.splice(0);
  }

  private asked(): number {
    if (this.state.request === undefined) throw new Error("nothing was asked");
    return this.state.request.id;
  }

  static asking(changes: Partial<UpnpMappingConfig> = {}, gateway = IGD2): Bench {
    return new Bench(changes).send({ type: "gateway", gateway });
  }

  /** Mapped and confirmed at 0, until 600 s. */
  static mapped(changes: Partial<UpnpMappingConfig> = {}, gateway = IGD2): Bench {
    const bench = Bench.asking(changes, gateway).mapped().send({ type: "restarted" }).mapped();
    bench.news();
    return bench;
  }
}

function shown(action: UpnpMappingAction): string {
  switch (action.type) {
    case "map":
      return `map ${action.externalPort}${action.anyPort ? " or another" : ""} for ${action.leaseSeconds}`;
    case "unmap":
      return `unmap ${action.externalPort}${action.sure ? "" : " if it is ours"}`;
    case "cancel":
      return `cancel ${action.id}`;
  }
}

describe("a mapping", () => {
  test("waits for a gateway, and is asked for when there is one", () => {
    const bench = new Bench().send({ type: "tick" });
    expect(bench.wakeAt).toBeUndefined();
    expect(bench.state.status).toEqual({ kind: "noGateway" });
    bench.until(5000).send({ type: "gateway", gateway: IGD1 });
    expect(bench.news()).toEqual(["5000 map 8080 for 600"]);
    expect(bench.state.status).toEqual({ kind: "asking" });
    bench.until(5100).mapped();
    expect(bench.state.status).toEqual({ kind: "mapped", externalPort: 8080, until: 605_000 });
  });

  test("is refreshed at half of its time, counted from when it was asked for", () => {
    const bench = Bench.mapped().until(300_000);
    expect(bench.news()).toEqual(["300000 map 8080 for 600"]);
    bench.until(301_000).mapped().until(600_000);
    expect(bench.state.status).toEqual({ kind: "mapped", externalPort: 8080, until: 900_000 });
    expect(bench.news()).toEqual(["600000 map 8080 for 600"]);
  });

  test("is refreshed up to a tenth earlier", () => {
    expect(new Bench({}, 1).send({ type: "gateway", gateway: IGD1 }).mapped().send({ type: "restarted" }).until(1000).mapped().wakeAt).toBe(271_000);
  });

  test("is asked for once more after the first answer, up to a tenth earlier: the holder before may just have removed it", () => {
    expect(Bench.asking().mapped().until(10_000).news()).toEqual(["0 map 8080 for 600", "10000 map 8080 for 600"]);
    expect(new Bench({}, 1).send({ type: "gateway", gateway: IGD1 }).mapped().wakeAt).toBe(9000);
  });

  test.each([
    { name: "less than was asked for", given: 100, next: 50_000, until: 100_000 },
    { name: "more", given: 7200, next: 3_600_000, until: 7_200_000 },
    { name: "next to nothing", given: 2, next: 2000, until: 2000 },
    { name: "for ever", given: 0, next: 600_000, until: Infinity },
  ])("is held for the time that the router gives: $name", ({ given, next, until }) => {
    const bench = Bench.mapped().send({ type: "restarted" }).mapped(8080, given);
    expect(bench.wakeAt).toBe(next);
    expect(bench.state.status).toMatchObject({ kind: "mapped", until });
  });

  test("counts until its end while the router does not answer, and not longer", () => {
    const bench = Bench.mapped().until(300_000).failed("connect ECONNREFUSED");
    expect(bench.state.status).toMatchObject({ kind: "mapped" });
    expect(bench.wakeAt).toBe(302_000);
    bench.until(302_000).failed().until(306_000).failed();
    expect(bench.wakeAt).toBe(314_000);
    while (bench.now < 600_000) {
      if (bench.state.request !== undefined) bench.failed();
      bench.until(Math.min(600_000, bench.wakeAt ?? 600_000));
    }
    expect(bench.state.status).toEqual({ kind: "asking" });
    if (bench.state.request === undefined) bench.until(bench.wakeAt ?? 0);
    bench.failed("connect ECONNREFUSED");
    expect(bench.state.status).toEqual({ kind: "unreachable", reason: "connect ECONNREFUSED" });
  });

  test("ends at its time even when a request is under way", () => {
    const bench = Bench.mapped().until(300_000);
    expect(bench.wakeAt).toBe(600_000);
    bench.until(600_000);
    expect(bench.state.status).toEqual({ kind: "asking" });
    expect(bench.wakeAt).toBeUndefined();
  });

  test("the answer to another request says nothing", () => {
    const bench = Bench.asking().send({ type: "mapped", id: 99, externalPort: 1, leaseSeconds: 5 });
    expect(bench.state.status).toEqual({ kind: "asking" });
    bench.send({ type: "refused", id: 0, refusal: "other", code: 1, text: "", againSeconds: undefined });
    expect(bench.state.request).toMatchObject({ id: 1 });
  });
});

describe("a port that is taken", () => {
  test("is asked for elsewhere at once where the router can choose, and refreshed there", () => {
    const bench = Bench.asking().refused("conflict").mapped(8081);
    expect(bench.news()).toEqual(["0 map 8080 for 600", "0 map 8080 or another for 600"]);
    expect(bench.state.status).toEqual({ kind: "mapped", externalPort: 8081, until: 600_000 });
    bench.until(10_000).mapped(8081).until(310_000).mapped(8081);
    expect(bench.news()).toEqual(["10000 map 8081 for 600", "310000 map 8081 for 600"]);
  });

  test.each([
    { name: "the router cannot choose", changes: {}, gateway: IGD1 },
    { name: "no other port will do", changes: { anyPort: false }, gateway: IGD2 },
  ])("is a conflict where $name, tried again every five minutes", ({ changes, gateway }) => {
    const bench = Bench.asking(changes, gateway).refused("conflict");
    expect(bench.state.status).toEqual({ kind: "refused", conflict: true, code: 718, text: "ConflictInMappingEntry" });
    const { status } = bench.state;
    bench.until(300_000).refused("conflict");
    expect(bench.state.status).toBe(status);
    expect(bench.until(600_000).news()).toEqual(["0 map 8080 for 600", "300000 map 8080 for 600", "600000 map 8080 for 600"]);
    expect(bench.mapped().state.status).toMatchObject({ kind: "mapped", externalPort: 8080 });
  });

  test("and no other one is to be had either: refused, and begun anew later", () => {
    const bench = Bench.asking().refused("conflict").refused("other", 728, "NoPortMapsAvailable");
    expect(bench.state.status).toEqual({ kind: "refused", conflict: false, code: 728, text: "NoPortMapsAvailable" });
    expect(bench.until(300_000).news().at(-1)).toBe("300000 map 8080 for 600");
  });

  test("after it was ours: somebody took it while the router was down", () => {
    const bench = Bench.mapped({ anyPort: false }).send({ type: "restarted" }).refused("conflict");
    expect(bench.state).toMatchObject({ status: { kind: "refused", conflict: true }, held: undefined });
  });
});

describe("a refusal", () => {
  test("of leases that end is answered by asking for one that does not; it is checked every ten minutes", () => {
    const bench = Bench.asking().refused("permanentOnly", 725, "OnlyPermanentLeasesSupported").mapped();
    expect(bench.news()).toEqual(["0 map 8080 for 600", "0 map 8080 for 0"]);
    expect(bench.state.status).toMatchObject({ kind: "mapped", until: Infinity });
    expect(bench.until(10_000).mapped().until(610_000).news()).toEqual(["10000 map 8080 for 0", "610000 map 8080 for 0"]);
  });

  test("of both is a refusal", () => {
    const bench = Bench.asking().refused("permanentOnly", 725, "a").refused("permanentOnly", 725, "a");
    expect(bench.state.status).toEqual({ kind: "refused", conflict: false, code: 725, text: "a" });
    expect(bench.wakeAt).toBe(300_000);
  });

  test("is said in the router's own words, and when they change again", () => {
    const bench = Bench.asking().refused("other", 606, "Action not authorized").until(300_000).refused("other", 501, "ActionFailed");
    expect(bench.state.status).toEqual({ kind: "refused", conflict: false, code: 501, text: "ActionFailed" });
  });
});

describe("a router that does not answer", () => {
  test("is asked again after 2, 4, 8, 16, 32 and 60 s, and then every minute", () => {
    const bench = Bench.asking();
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      bench.failed();
      waits.push(((bench.wakeAt ?? 0) - bench.now) / 1000);
      bench.until(bench.wakeAt ?? 0);
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 60, 60, 60]);
    expect(bench.mapped().state.failures).toBe(0);
  });

  test("is asked up to half of the wait earlier", () => {
    expect(new Bench({}, 1).send({ type: "gateway", gateway: IGD1 }).failed().wakeAt).toBe(1000);
  });
});

describe("a router that was restarted", () => {
  test("is asked again at once, for the port that it gave before", () => {
    const bench = Bench.asking().refused("conflict").mapped(8081).until(10_000).send({ type: "restarted" });
    expect(bench.log.at(-1)).toBe("10000 map 8081 for 600");
  });

  test("is asked by all within a second", () => {
    expect(new Bench({}, 0.5).send({ type: "gateway", gateway: IGD1 }).mapped().send({ type: "restarted" }).wakeAt).toBe(500);
  });

  test("is asked anew where a request was under way", () => {
    const bench = Bench.asking().until(100).send({ type: "restarted" });
    expect(bench.log).toEqual(["0 map 8080 for 600", "100 cancel 1", "100 map 8080 for 600"]);
    bench.send({ type: "mapped", id: 1, externalPort: 8080, leaseSeconds: undefined });
    expect(bench.state.status).toEqual({ kind: "asking" });
  });

  test("is asked again although it had refused", () => {
    const bench = Bench.asking({}, IGD1).refused("other").until(1000).send({ type: "restarted" });
    expect(bench.log.at(-1)).toBe("1000 map 8080 for 600");
  });

  test("without a gateway says nothing", () => {
    expect(new Bench().send({ type: "restarted" }).wakeAt).toBeUndefined();
  });
});

describe("another gateway", () => {
  test("is asked from the beginning", () => {
    const bench = Bench.asking().refused("conflict").mapped(8081).until(1000).send({ type: "gateway", gateway: IGD1 });
    expect(bench.log.at(-1)).toBe("1000 map 8080 for 600");
    expect(bench.state.status).toEqual({ kind: "asking" });
  });

  test("none: the request under way is dropped, and there is no mapping", () => {
    const bench = Bench.asking().send({ type: "gateway", gateway: undefined });
    expect(bench.log.at(-1)).toBe("0 cancel 1");
    expect(bench.state.status).toEqual({ kind: "noGateway" });
    expect(bench.wakeAt).toBeUndefined();
  });

  test("the same, found again, changes nothing", () => {
    const bench = Bench.mapped().send({ type: "gateway", gateway: { ...IGD2 } });
    expect(bench.news()).toEqual([]);
    expect(bench.wakeAt).toBe(300_000);
  });
});

describe("one that is not wanted any more", () => {
  test("is removed at the port that it has, and then there is silence", () => {
    const bench = Bench.asking().refused("conflict").mapped(8081).until(1000).down();
    expect(bench.log.at(-1)).toBe("1000 unmap 8081");
    bench.news();
    bench.unmapped();
    expect(bench.state.status).toEqual({ kind: "removed" });
    bench.send({ type: "restarted" }).send({ type: "gateway", gateway: IGD1 }).down().until(1e9);
    expect(bench.news()).toEqual([]);
    expect(bench.wakeAt).toBeUndefined();
  });

  test("is gone where the router does not know it", () => {
    const bench = Bench.mapped().down().refused("other", 714, "NoSuchEntryInArray");
    expect(bench.state.status).toEqual({ kind: "removed" });
    expect(bench.wakeAt).toBeUndefined();
  });

  test("is tried three times to be removed, and then left to its end", () => {
    const bench = Bench.mapped().down().failed().until(2000).failed().until(6000).failed();
    expect(bench.news()).toEqual(["0 unmap 8080", "2000 unmap 8080", "6000 unmap 8080"]);
    expect(bench.state.status).toEqual({ kind: "removed" });
  });

  test.each<readonly [string, (bench: Bench) => Bench, readonly string[]]>([
    ["mapped: it is removed at the port that it was given", (bench) => bench.mapped(8081), ["300 unmap 8081"]],
    ["not known: it is looked at before it is removed, for it may be somebody else's", (bench) => bench.failed(), ["300 unmap 8080 if it is ours"]],
    ["refused: there is nothing", (bench) => bench.refused("other"), []],
    ["taken: there is nothing of ours", (bench) => bench.refused("conflict"), []],
    ["only for ever: the holder before may have asked for that", (bench) => bench.refused("permanentOnly"), ["300 unmap 8080 if it is ours"]],
  ])("while it is asked for: the answer is waited for, and it is %s", (_name, answer, expected) => {
    const bench = Bench.asking().until(100).down();
    expect(bench.news().slice(1)).toEqual([]);
    expect(answer(bench.until(300)).news()).toEqual(expected);
    expect(expected.length === 0 ? bench.state.status : bench.unmapped().state.status).toEqual({ kind: "removed" });
  });

  test("before a gateway was found: one that is found then may have it from the holder before", () => {
    const bench = new Bench().down(true).until(500).send({ type: "gateway", gateway: IGD2 });
    expect(bench.news()).toEqual(["500 unmap 8080 if it is ours"]);
    expect(bench.unmapped().state.status).toEqual({ kind: "removed" });
  });

  test("before a gateway was found, and there is none: nothing is left to be done", () => {
    const bench = new Bench().down(true);
    expect(bench.state.status.kind).not.toBe("removed");
    expect(bench.send({ type: "gateway", gateway: undefined }).state.status).toEqual({ kind: "removed" });
  });

  test("which was refused, or never asked for, needs no request", () => {
    for (const bench of [Bench.asking({}, IGD1).refused("conflict"), new Bench()]) {
      bench.news();
      bench.down();
      expect(bench.news()).toEqual([]);
      expect(bench.state.status).toEqual({ kind: "removed" });
    }
  });

  test("whose gateway goes is done with", () => {
    const bench = Bench.mapped().down().send({ type: "gateway", gateway: undefined });
    expect(bench.news()).toEqual(["0 unmap 8080", "0 cancel 3"]);
    expect(bench.state.status).toEqual({ kind: "removed" });
  });
});
