import { describe, expect, test } from "vitest";
import { Bench, IGD1, IGD2 } from "./upnp-mapping-bench.js";

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
