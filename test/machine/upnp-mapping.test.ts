import { describe, expect, test } from "vitest";
import { Bench, IGD1, IGD2 } from "./upnp-mapping-bench.js";

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
