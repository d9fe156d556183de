import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/ports/clock.js";
import { answer, line, list, open, queries, refuse, run, script, thing, warnings } from "./reflecting.js";
import { eventually, hastyClock, json, realClock, serve, statusBody } from "./support.js";

/** Timeouts that no test reaches, for clocks that run fast. */
const PATIENT = { timeoutMs: 5_000_000, silenceMs: 75_000_000 };

describe("reflect while the API has troubles", () => {
  it("survives a storm of 500, backs off up to the limit, logs at 1, 2, 4 … and says when it works again", async () => {
    const clock = hastyClock();
    const handler = script({
      list: [...Array.from({ length: 20 }, () => refuse(500, "InternalError")), answer(list(1, [thing("a", 1)]))],
      watch: [open(line("ADDED", thing("b", 2)))],
    });
    await using server = await serve(handler);
    await using running = run(server, { maxRetryMs: 3000, ...PATIENT }, clock);
    await eventually(() => {
      expect(running.now()).toEqual(["a@1", "b@2"]);
    });
    const waits = clock.waits.filter((ms) => ms < 5000 && ms > 10);
    expect(waits.slice(0, 7)).toEqual([75, 150, 300, 600, 1200, 2250, 2250]);
    const said = running.log.filter((one) => one.message.startsWith("list and watch"));
    // Also once a minute, which may come in between where this machine is busy.
    const times = said.map((one) => one.fields["repeated"] ?? one.message).filter((one) => typeof one !== "number" || Number.isInteger(Math.log2(one)));
    expect(times).toEqual([1, 2, 4, 8, 16, "list and watch work again"]);
    expect(said[0]).toMatchObject({ level: "warn", fields: { resource: "things", reason: "GET /things: 500 Internal Server Error: no", code: "server" } });
  });

  it("respects Retry-After", async () => {
    const clock = hastyClock();
    const handler = script({ list: [refuse(429, "TooManyRequests", { "retry-after": "9" }), answer(list(1, []))], watch: [open()] });
    await using server = await serve(handler);
    await using running = run(server, { ...PATIENT }, clock);
    await eventually(() => {
      expect(running.maps.length).toBe(1);
    });
    expect(clock.waits).toContain(9025);
  });

  it("replaces a watch that is open and silent, and one that has no head", async () => {
    const handler = script({ list: [answer(list(1, []))], watch: [open(), () => undefined, open(line("ADDED", thing("a", 2)))] });
    await using server = await serve(handler);
    await using running = run(server, { silenceMs: 600, timeoutMs: 400 });
    await eventually(() => {
      expect(running.now()).toEqual(["a@2"]);
    });
    expect(queries(handler.got).slice(0, 4)).toEqual(["list", "watch 1", "watch 1", "watch 1"]);
    expect(warnings(running.log).slice(0, 2)).toEqual(["GET /things: watch silent for 600 ms", "GET /things: no answer within 400 ms"]);
  });

  it("does not spin where every watch ends at once", async () => {
    const clock = hastyClock();
    const handler = script({ list: [answer(list(1, []))], watch: [(_got, response) => response.end()] });
    await using server = await serve(handler);
    await using running = run(server, { ...PATIENT }, { ...clock, now: () => performance.now() });
    await eventually(() => {
      expect(clock.waits).toContain(600);
    });
    expect(warnings(running.log)[0]).toBe("GET /things: watch ended at once");
  });

  it("is back within 10 s after a storm of 500 of any length, with few requests in it", async () => {
    const clock = hastyClock();
    const handler = script({ list: [...Array.from({ length: 12 }, () => refuse(500, "InternalError")), answer(list(1, [thing("a", 1)]))], watch: [open()] });
    await using server = await serve(handler);
    await using running = run(server, PATIENT, clock);
    await eventually(() => {
      expect(running.now()).toEqual(["a@1"]);
    });
    const waits = clock.waits.filter((ms) => ms < 100_000 && ms > 10);
    // 30 s of storm are about ten requests of this node.
    expect(waits).toEqual([75, 150, 300, 600, 1200, 2400, 4800, 7500, 7500, 7500, 7500, 7500]);
  });

  it.each([
    { name: "HTTP 429", watch: refuse(429, "TooManyRequests", { "retry-after": "2" }) },
    { name: "an ERROR event with 429", watch: open(line("ERROR", { ...(statusBody(429, "TooManyRequests", "no") as object), details: { retryAfterSeconds: 2 } })) },
  ])("waits as long as a watch refused with $name says, and goes on without a list", async ({ watch }) => {
    const clock = hastyClock();
    const handler = script({ list: [answer(list(1, []))], watch: [watch, open(line("ADDED", thing("a", 2)))] });
    await using server = await serve(handler);
    await using running = run(server, PATIENT, clock);
    await eventually(() => {
      expect(running.now()).toEqual(["a@2"]);
    });
    expect(clock.waits.some((ms) => ms >= 2000 && ms < 2200)).toBe(true);
    expect(queries(handler.got)).toEqual(["list", "watch 1", "watch 1"]);
  });

  it("gives up a list that hangs in the middle of a page, and starts it again", async () => {
    const handler = script({
      list: [
        (_got, response) => {
          response.writeHead(200).write('{"metadata":{"resourceVersion":"1"},"items":[');
        },
        answer(list(2, [thing("a", 1)])),
      ],
      watch: [open()],
    });
    await using server = await serve(handler);
    await using running = run(server, { timeoutMs: 60 });
    await eventually(() => {
      expect(running.now()).toEqual(["a@1"]);
    });
    expect(warnings(running.log)[0]).toBe("GET /things: no answer within 60 ms");
  });

  it("a refusal for lack of rights is said once, while it is tried again and again", async () => {
    const state = { allowed: false };
    const hurried: Clock = { ...realClock, after: (ms, fn) => realClock.after(ms < 10_000 ? ms / 1000 : ms, fn) };
    const handler = script({
      list: [
        (got, response) => {
          json(response, state.allowed ? 200 : 403, state.allowed ? list(1, [thing("a", 1)]) : statusBody(403, "Forbidden", `may not list ${got.path}`));
        },
      ],
      watch: [open(line("ADDED", thing("b", 2)))],
    });
    await using server = await serve(handler);
    await using running = run(server, {}, hurried);
    await eventually(() => {
      expect(handler.got.length).toBeGreaterThan(10);
    });
    expect(warnings(running.log)).toEqual(["GET /things: 403 Forbidden: may not list /things"]);
    state.allowed = true;
    await eventually(() => {
      expect(running.now()).toEqual(["a@1", "b@2"]);
    });
    expect(running.log.at(-1)?.message).toBe("list and watch work again");
  });
});
