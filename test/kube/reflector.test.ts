import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { fieldsOf } from "../../src/kube/raw.js";
import { reflect } from "../../src/kube/reflector.js";
import type { ReflectOptions } from "../../src/kube/reflector.js";
import { clientOf, eventually, half, hastyClock, json, realClock, serve, statusBody } from "./support.js";
import type { Got, Handler, LogLine, TestServer } from "./support.js";
import type { Clock } from "../../src/ports/clock.js";

interface Thing {
  readonly name: string;
  readonly resourceVersion: string;
}

type Things = ReadonlyMap<string, Thing>;

const thing = (name: string, version: number): unknown => ({ metadata: { namespace: "ns", name, resourceVersion: String(version) } });
const list = (version: number, items: readonly unknown[], token?: string): unknown => ({ metadata: { resourceVersion: String(version), continue: token }, items });
const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;

function decode(raw: unknown): Thing | undefined {
  const metadata = fieldsOf(fieldsOf(raw)["metadata"]);
  if (metadata["broken"] === true) return undefined;
  return { name: String(metadata["name"]), resourceVersion: String(metadata["resourceVersion"]) };
}

interface Running extends AsyncDisposable {
  readonly maps: Things[];
  readonly log: LogLine[];
  readonly done: Promise<unknown>;
  /** `name@version` of the newest map. */
  now(): readonly string[];
}

function run(server: TestServer, options: Partial<ReflectOptions<Thing>> = {}, clock: Clock = realClock): Running {
  const test = clientOf(server, clock);
  const maps: Things[] = [];
  const stop = new AbortController();
  const all = { resource: "things", path: "/things", decode, changed: (map: Things) => void maps.push(map), ...options };
  const done = reflect(all, { client: test.client, clock, log: test.log, random: half }, stop.signal).then(
    () => "stopped",
    (error: unknown) => error,
  );
  return {
    maps,
    log: test.log.lines,
    done,
    now: () => [...(maps.at(-1) ?? [])].map(([key, value]) => `${key.replace("ns/", "")}@${value.resourceVersion}`),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
      await test[Symbol.asyncDispose]();
      await server.noneOpen();
    },
  };
}

/** Answers list and watch number n with step n; the last one stays. */
function script(steps: { readonly list: readonly ((got: Got, response: ServerResponse) => void)[]; readonly watch: readonly ((got: Got, response: ServerResponse) => void)[] }): Handler & { readonly got: Got[] } {
  const got: Got[] = [];
  const counts = { list: 0, watch: 0 };
  const handler = (one: Got, response: ServerResponse): void => {
    got.push(one);
    const kind = one.query.get("watch") === null ? "list" : "watch";
    const step = steps[kind][Math.min(counts[kind], steps[kind].length - 1)];
    counts[kind] += 1;
    step?.(one, response);
  };
  return Object.assign(handler, { got });
}

const answer =
  (body: unknown) =>
  (_got: Got, response: ServerResponse): void => {
    json(response, 200, body);
  };
const refuse =
  (code: number, reason: string, headers = {}) =>
  (_got: Got, response: ServerResponse): void => {
    json(response, code, statusBody(code, reason, "no"), headers);
  };
/** Sends the lines and leaves the watch open. */
const open =
  (...lines: readonly string[]) =>
  (_got: Got, response: ServerResponse): void => {
    response.writeHead(200);
    response.flushHeaders();
    for (const one of lines) response.write(one);
  };
const queries = (got: readonly Got[]): readonly string[] =>
  got.map(({ query }) => (query.get("watch") === null ? `list ${query.get("continue") ?? ""}`.trimEnd() : `watch ${query.get("resourceVersion")}`));
const warnings = (log: readonly LogLine[]): readonly unknown[] => log.filter((one) => one.level === "warn").map((one) => one.fields["reason"]);

describe("reflect", () => {
  it("lists in pages, watches from the version of the list, follows events", async () => {
    const handler = script({
      list: [answer(list(7, [thing("a", 1), thing("b", 2)], "p2")), answer(list(7, [thing("c", 3)]))],
      watch: [open(line("MODIFIED", thing("a", 8)), line("DELETED", thing("b", 9)), line("ADDED", thing("d", 10)))],
    });
    await using server = await serve(handler);
    await using running = run(server, { query: { labelSelector: "x=y" }, pageSize: 2 });
    await eventually(() => {
      expect(running.now()).toEqual(["a@8", "c@3", "d@10"]);
    });
    expect([...(running.maps[0] ?? [])].map(([key]) => key)).toEqual(["ns/a", "ns/b", "ns/c"]);
    expect(running.maps[0]?.get("ns/c")).toBe(running.maps.at(-1)?.get("ns/c"));
    expect(queries(handler.got)).toEqual(["list", "list p2", "watch 7"]);
    expect(handler.got.map((one) => one.query.get("limit"))).toEqual(["2", "2", null]);
    expect(handler.got.every((one) => one.query.get("labelSelector") === "x=y")).toBe(true);
    expect(handler.got[2]?.query.get("allowWatchBookmarks")).toBe("true");
    expect(handler.got[2]?.query.get("timeoutSeconds")).toBe("450");
  });

  it("watches again from the last bookmark when the server ends a watch, without a list and without a call of the listener", async () => {
    const handler = script({
      list: [answer(list(1, [thing("a", 1)]))],
      watch: [
        (_got, response) => response.end(line("BOOKMARK", { metadata: { resourceVersion: "55" } })),
        open(),
      ],
    });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(queries(handler.got)).toEqual(["list", "watch 1", "watch 55"]);
    });
    expect(running.maps.length).toBe(1);
    expect(warnings(running.log)).toEqual([]);
  });

  it.each([
    { name: "HTTP 410", watch: refuse(410, "Expired") },
    { name: "an ERROR event with 410", watch: open(line("ERROR", statusBody(410, "Expired", "no"))) },
    { name: "an ERROR event with 500", watch: open(line("ERROR", statusBody(500, "InternalError", "no"))) },
  ])("lists again after $name; a deletion in the gap is seen; the others stay the same objects", async ({ watch }) => {
    const handler = script({
      list: [answer(list(5, [thing("a", 1), thing("b", 2), thing("c", 3)])), answer(list(9, [thing("a", 1), thing("c", 8)]))],
      watch: [watch, open()],
    });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(queries(handler.got)).toEqual(["list", "watch 5", "list", "watch 9"]);
    });
    expect(running.now()).toEqual(["a@1", "c@8"]);
    expect(running.maps[1]?.get("ns/a")).toBe(running.maps[0]?.get("ns/a"));
    expect(running.maps.length).toBe(2);
  });

  it("does not call the listener where a second list brings nothing new", async () => {
    const handler = script({ list: [answer(list(5, [thing("a", 1)]))], watch: [refuse(410, "Expired"), open()] });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(handler.got.length).toBe(4);
    });
    expect(running.maps.length).toBe(1);
  });

  it("starts the list again where its continue token expired", async () => {
    const handler = script({
      list: [answer(list(5, [thing("a", 1), thing("gone", 2)], "old")), refuse(410, "Expired"), answer(list(6, [thing("a", 1)]))],
      watch: [open()],
    });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(queries(handler.got)).toEqual(["list", "list old", "list", "watch 6"]);
    });
    expect(running.maps.length).toBe(1);
    expect(running.now()).toEqual(["a@1"]);
  });

  it("goes on from the last whole event after a reset in the middle of a line", async () => {
    const handler = script({
      list: [answer(list(1, []))],
      watch: [
        (got, response) => {
          open(line("ADDED", thing("a", 2)), line("ADDED", thing("bü", 3)).slice(0, 30))(got, response);
          setTimeout(() => response.socket?.resetAndDestroy(), 20);
        },
        open(line("ADDED", thing("bü", 3))),
      ],
    });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(running.now()).toEqual(["a@2", "bü@3"]);
    });
    expect(queries(handler.got)).toEqual(["list", "watch 1", "watch 2"]);
    expect(warnings(running.log)).toHaveLength(1);
  });

  it("finds the events wherever the chunks end", async () => {
    const bytes = Buffer.from(line("ADDED", thing("ä", 2)) + line("MODIFIED", thing("ä", 3)) + line("ADDED", thing("🚀", 4)));
    const handler = script({
      list: [answer(list(1, []))],
      watch: [
        (_got, response) => {
          response.writeHead(200);
          let at = 0;
          const next = (): void => {
            if (at < bytes.length) response.write(bytes.subarray(at, (at += 7)), () => setImmediate(next));
          };
          next();
        },
      ],
    });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(running.now()).toEqual(["ä@3", "🚀@4"]);
    });
  });

  it("survives a storm of 500, backs off up to the limit, logs at 1, 2, 4 … and says when it works again", async () => {
    const clock = hastyClock();
    const handler = script({
      list: [...Array.from({ length: 20 }, () => refuse(500, "InternalError")), answer(list(1, [thing("a", 1)]))],
      watch: [open(line("ADDED", thing("b", 2)))],
    });
    await using server = await serve(handler);
    await using running = run(server, { maxRetryMs: 3000, timeoutMs: 5_000_000, silenceMs: 75_000_000 }, clock);
    await eventually(() => {
      expect(running.now()).toEqual(["a@1", "b@2"]);
    });
    const waits = clock.waits.filter((ms) => ms < 5000 && ms > 10);
    expect(waits.slice(0, 7)).toEqual([75, 150, 300, 600, 1200, 2250, 2250]);
    const said = running.log.filter((one) => one.message.startsWith("list and watch"));
    expect(said.map((one) => one.fields["repeated"] ?? one.message)).toEqual([1, 2, 4, 8, 16, "list and watch work again"]);
    expect(said[0]).toMatchObject({ level: "warn", fields: { resource: "things", reason: "GET /things: 500 Internal Server Error: no", code: "server" } });
  });

  it("respects Retry-After", async () => {
    const clock = hastyClock();
    const handler = script({ list: [refuse(429, "TooManyRequests", { "retry-after": "9" }), answer(list(1, []))], watch: [open()] });
    await using server = await serve(handler);
    await using running = run(server, { timeoutMs: 5_000_000, silenceMs: 75_000_000 }, clock);
    await eventually(() => {
      expect(running.maps.length).toBe(1);
    });
    expect(clock.waits).toContain(9025);
  });

  it("replaces a watch that is open and silent, and one that has no head", async () => {
    const handler = script({ list: [answer(list(1, []))], watch: [open(), () => undefined, open(line("ADDED", thing("a", 2)))] });
    await using server = await serve(handler);
    await using running = run(server, { silenceMs: 60, timeoutMs: 40 });
    await eventually(() => {
      expect(running.now()).toEqual(["a@2"]);
    });
    expect(queries(handler.got).slice(0, 4)).toEqual(["list", "watch 1", "watch 1", "watch 1"]);
    expect(warnings(running.log).slice(0, 2)).toEqual(["GET /things: watch silent for 60 ms", "GET /things: no answer within 40 ms"]);
  });

  it("does not spin where every watch ends at once", async () => {
    const clock = hastyClock();
    const handler = script({ list: [answer(list(1, []))], watch: [(_got, response) => response.end()] });
    await using server = await serve(handler);
    await using running = run(server, { timeoutMs: 5_000_000, silenceMs: 75_000_000 }, { ...clock, now: () => performance.now() });
    await eventually(() => {
      expect(clock.waits).toContain(600);
    });
    expect(warnings(running.log)[0]).toBe("GET /things: watch ended at once");
  });

  it("leaves broken objects out, keeps the last good version, and goes on", async () => {
    const broken = (name: string, version: number): unknown => ({ metadata: { namespace: "ns", name, resourceVersion: String(version), broken: true } });
    const handler = script({
      list: [answer(list(1, [null, 5, {}, broken("x", 1), thing("a", 1)]))],
      watch: [open(line("MODIFIED", broken("a", 2)), line("ADDED", null), line("DELETED", {}), line("ADDED", thing("b", 3)))],
    });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(running.now()).toEqual(["a@1", "b@3"]);
    });
    expect(running.log.filter((one) => one.message === "broken object left out").length).toBe(6);
  });

  it.each([{ pace: "turn" }, { pace: "chunk" }] as const)("rejects with what the listener throws, pace $pace", async ({ pace }) => {
    const bug = new Error("a bug in the listener");
    const handler = script({ list: [answer(list(1, []))], watch: [open(line("ADDED", thing("a", 2)))] });
    await using server = await serve(handler);
    let calls = 0;
    const changed = (): void => {
      calls += 1;
      if (calls === 2) throw bug;
    };
    await using running = run(server, { pace, changed });
    expect(await running.done).toBe(bug);
  });

  it("rejects with what decode throws", async () => {
    const bug = new TypeError("a bug in decode");
    await using server = await serve(script({ list: [answer(list(1, [thing("a", 1)]))], watch: [open()] }));
    await using running = run(server, {
      decode: () => {
        throw bug;
      },
    });
    expect(await running.done).toBe(bug);
  });

  it("takes 10,000 events on 5,000 objects with few maps", async () => {
    const count = 5000;
    const objects = Array.from({ length: count }, (_, index) => thing(`o${index}`, 1));
    const handler = script({
      list: [answer(list(1, objects))],
      watch: [open(Array.from({ length: 10_000 }, (_, index) => line("MODIFIED", thing(`o${index % count}`, index + 2))).join(""))],
    });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(running.maps.at(-1)?.get("ns/o4999")?.resourceVersion).toBe("10001");
    });
    expect(running.maps.length).toBeLessThan(100);
  });

  it("resolves when the signal aborts, without a warning, and calls nobody after that", async () => {
    const handler = script({ list: [answer(list(1, []))], watch: [open()] });
    await using server = await serve(handler);
    const running = run(server);
    await eventually(() => {
      expect(handler.got.length).toBe(2);
    });
    await running[Symbol.asyncDispose]();
    expect(await running.done).toBe("stopped");
    expect(warnings(running.log)).toEqual([]);
  });
});
