import { describe, expect, it } from "vitest";
import { answer, line, list, open, queries, refuse, run, script, thing, warnings } from "./reflecting.js";
import { eventually, serve, statusBody } from "./support.js";

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

  it("keeps the last good version of an object that a second list brings broken", async () => {
    const broken = { metadata: { namespace: "ns", name: "a", resourceVersion: "8", broken: true } };
    const handler = script({
      list: [answer(list(5, [thing("a", 1), thing("b", 2)])), answer(list(9, [broken, thing("b", 7)]))],
      watch: [refuse(410, "Expired"), open()],
    });
    await using server = await serve(handler);
    await using running = run(server);
    await eventually(() => {
      expect(running.maps.length).toBe(2);
    });
    expect(running.now()).toEqual(["a@1", "b@7"]);
    expect(running.maps[1]?.get("ns/a")).toBe(running.maps[0]?.get("ns/a"));
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
