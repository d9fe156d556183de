import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { answer, line, list, open, queries, refuse, run, script, thing } from "./reflecting.js";
import { eventually, hastyClock, serve, type Got } from "./support.js";

/** Timeouts that no test reaches, for clocks that run fast. */
const PATIENT = { timeoutMs: 5_000_000, silenceMs: 75_000_000 };

const waitsOf = (clock: { readonly waits: readonly number[] }): readonly number[] => clock.waits.filter((ms) => ms < 1_000_000 && ms > 10);

const refusals = (count: number, code: number): readonly ((got: Got, response: ServerResponse) => void)[] => Array.from({ length: count }, () => refuse(code, "no"));

/** Opens the watch and breaks the connection. */
const openAndBreak = (_got: Got, response: ServerResponse): void => {
  response.writeHead(200);
  response.write(" ", () => setTimeout(() => response.destroy(), 5));
};

/** Takes its time to say no: longer, on a clock that runs fast, than a good watch is open. */
const slowly =
  (step: (got: Got, response: ServerResponse) => void) =>
  (got: Got, response: ServerResponse): void => {
    setTimeout(() => step(got, response), 10);
  };

describe("how long reflect waits", () => {
  it("not for long after a version that is too old, however often that happens: the server works", async () => {
    const clock = hastyClock();
    const handler = script({ list: [answer(list(1, [thing("a", 1)]))], watch: [...refusals(12, 410), open(line("ADDED", thing("b", 2)))] });
    await using server = await serve(handler);
    await using running = run(server, PATIENT, clock);
    await eventually(() => {
      expect(running.now()).toEqual(["a@1", "b@2"]);
    });
    expect(waitsOf(clock).slice(0, 12)).toEqual([75, 150, 300, 600, ...Array.from({ length: 8 }, () => 1125)]);
  });

  it("not for long after a watch that opened and broke, however long there was none before", async () => {
    const clock = hastyClock();
    const handler = script({ list: [...refusals(10, 500), answer(list(1, [thing("a", 1)]))], watch: [openAndBreak, open(line("ADDED", thing("b", 2)))] });
    await using server = await serve(handler);
    // A watch may be open for 5 ms, which this clock takes for 5 s; that alone would be a good one.
    await using running = run(server, PATIENT, { ...clock, now: () => performance.now() });
    await eventually(() => {
      expect(running.now()).toEqual(["a@1", "b@2"]);
    });
    expect(waitsOf(clock).slice(8, 11)).toEqual([7500, 7500, 600]);
  });
});

describe("what may not be read", () => {
  it("may it be listed but not watched, it is listed again and again, also where the refusal takes seconds", async () => {
    const clock = hastyClock();
    const handler = script({ list: [answer(list(1, [thing("a", 1)])), answer(list(2, [thing("a", 1), thing("b", 2)]))], watch: [slowly(refuse(403, "Forbidden"))] });
    await using server = await serve(handler);
    await using running = run(server, PATIENT, clock);
    await eventually(() => {
      expect(running.now()).toEqual(["a@1", "b@2"]);
      expect(handler.got.length).toBeGreaterThan(20);
    });
    expect(queries(handler.got).slice(0, 4)).toEqual(["list", "watch 1", "list", "watch 2"]);
    expect(running.log.filter(({ level }) => level === "warn").map(({ fields }) => fields["verb"])).toEqual(["watch"]);
    // Not at the pace of a server that says that a version is too old.
    expect(waitsOf(clock).slice(8, 10)).toEqual([7500, 7500]);
  });

  it("and is needed is an error that names resource and verb, said again after five minutes and not before", async () => {
    const clock = hastyClock();
    const handler = script({ list: [refuse(403, "Forbidden")], watch: [open()] });
    await using server = await serve(handler);
    const started = performance.now();
    await using running = run(server, { ...PATIENT, needed: true }, clock);
    const errors = (): typeof running.log => running.log.filter(({ level }) => level === "error");
    await eventually(() => {
      expect(errors().length).toBe(3);
    });
    // Twice five minutes at a thousandth.
    expect(performance.now() - started).toBeGreaterThan(600);
    expect(errors()[0]).toMatchObject({ message: "not allowed to read what is needed to serve, trying again", fields: { resource: "things", verb: "list", code: "forbidden" } });
    expect(running.log.filter(({ level }) => level === "warn")).toEqual([]);
    expect(errors()[1]?.fields["repeated"]).toBeGreaterThan(20);
  });
});
