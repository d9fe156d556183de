import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { errorOfResponse, errorOfStatus } from "../../src/kube/errors.js";
import { LineCutter } from "../../src/kube/lines.js";
import { clientOf, eventually, json, serve, statusBody } from "./support.js";

const get = (path: string, timeoutMs = 5000) => ({ verb: "get", resource: "things", path, timeoutMs }) as const;
/** `ss` writes 2.960 s as `2.960ms`. */
const PROBED = /keepalive,(2\.\d+ms|[23](\.\d+)?sec)/;
const never = (): AbortSignal => new AbortController().signal;

describe("errorOfResponse", () => {
  const rows = [
    { name: "400", status: 400, method: "POST", reason: "BadRequest", code: "invalid" },
    { name: "401", status: 401, method: "GET", reason: "Unauthorized", code: "unauthorized" },
    { name: "403", status: 403, method: "GET", reason: "Forbidden", code: "forbidden" },
    { name: "404", status: 404, method: "GET", reason: "NotFound", code: "notFound" },
    { name: "409 on update", status: 409, method: "PUT", reason: "Conflict", code: "conflict" },
    { name: "409 on create", status: 409, method: "POST", reason: "AlreadyExists", code: "alreadyExists" },
    { name: "409 on create for another reason", status: 409, method: "POST", reason: "Conflict", code: "conflict" },
    { name: "410", status: 410, method: "GET", reason: "Expired", code: "gone" },
    { name: "413", status: 413, method: "PUT", reason: "RequestEntityTooLarge", code: "invalid" },
    { name: "422", status: 422, method: "PUT", reason: "Invalid", code: "invalid" },
    { name: "429", status: 429, method: "GET", reason: "TooManyRequests", code: "tooManyRequests" },
    { name: "500", status: 500, method: "GET", reason: "InternalError", code: "server" },
    { name: "503", status: 503, method: "GET", reason: "ServiceUnavailable", code: "server" },
    { name: "504", status: 504, method: "PUT", reason: "Timeout", code: "server" },
    { name: "302 of some proxy", status: 302, method: "GET", reason: "", code: "protocol" },
  ] as const;
  it.each(rows)("$name is $code", ({ status, method, reason, code }) => {
    const error = errorOfResponse({ method, path: "/p", status, statusText: "Text", body: JSON.stringify(statusBody(status, reason, "what it says")) });
    expect(error).toMatchObject({ code, status, message: `${method} /p: ${status} Text: what it says` });
  });

  it("keeps the text of a proxy, bounded", () => {
    const error = errorOfResponse({ method: "GET", path: "/p", status: 502, statusText: "Bad Gateway", body: "<html>".repeat(1000) });
    expect(error.message.length).toBeLessThan(1100);
    expect(error.code).toBe("server");
  });

  it.each([
    { name: "seconds on 429", status: 429, retryAfter: "7", body: "", ms: 7000 },
    { name: "seconds on 503", status: 503, retryAfter: "1", body: "", ms: 1000 },
    { name: "only in the body", status: 429, retryAfter: undefined, body: '{"details":{"retryAfterSeconds":3}}', ms: 3000 },
    { name: "a date is not used", status: 429, retryAfter: "Wed, 21 Oct 2026 07:28:00 GMT", body: "", ms: undefined },
    { name: "not on 500", status: 500, retryAfter: "7", body: "", ms: undefined },
  ])("Retry-After: $name", ({ status, retryAfter, body, ms }) => {
    expect(errorOfResponse({ method: "GET", path: "/p", status, statusText: "", retryAfter, body }).retryAfterMs).toBe(ms);
  });

  it("reads the Status of an ERROR event", () => {
    expect(errorOfStatus("/p", statusBody(410, "Expired", "too old"))).toMatchObject({ code: "gone", status: 410 });
    expect(errorOfStatus("/p", null)).toMatchObject({ code: "protocol" });
  });
});

describe("LineCutter", () => {
  it("finds the same lines wherever the chunks end, also inside of UTF-8", () => {
    const text = '{"a":"äß€🚀"}\n\n{"b":"ü"}\n{"c":1}\n';
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size += 1) {
      const cutter = new LineCutter(100);
      const lines: string[] = [];
      for (let at = 0; at < bytes.length; at += size) lines.push(...cutter.push(bytes.subarray(at, at + size)));
      expect(lines).toEqual(['{"a":"äß€🚀"}', '{"b":"ü"}', '{"c":1}']);
      expect(cutter.pending).toBe(0);
    }
  });

  it("refuses a line that is too long, in one chunk and in many", () => {
    expect(() => new LineCutter(10).push(Buffer.from(`${"x".repeat(11)}\n`))).toThrow(RangeError);
    const cutter = new LineCutter(10);
    cutter.push(Buffer.from("xxxxxx"));
    expect(() => cutter.push(Buffer.from("xxxxxx"))).toThrow(RangeError);
  });
});

describe("Client", () => {
  it("sends query, body and headers, and uses one connection again", async () => {
    await using server = await serve((got, response) => {
      json(response, 200, { method: got.method, path: got.path, q: got.query.get("fieldSelector"), type: got.headers["content-type"], auth: got.headers.authorization, body: got.body });
    });
    await using test = clientOf(server);
    const { client, seen } = test;
    expect(await client.request({ ...get("/a"), query: { fieldSelector: "metadata.name=x y", none: undefined } }, never())).toMatchObject({ q: "metadata.name=x y", auth: "Bearer t" });
    const patch = { verb: "patch", resource: "things", path: "/b", body: { ä: 1 }, contentType: "application/merge-patch+json", timeoutMs: 5000 } as const;
    expect(await client.request(patch, never())).toMatchObject({ method: "PATCH", type: "application/merge-patch+json", body: '{"ä":1}' });
    expect(server.accepted).toBe(1);
    expect(seen).toMatchObject([{ verb: "get", resource: "things", code: "200" }, { verb: "patch", code: "200" }]);
    await client[Symbol.asyncDispose]();
    await server.noneOpen();
  });

  it("answers a second request while the first one hangs, and times the first one out", async () => {
    await using server = await serve((got, response) => {
      if (got.path !== "/hang") json(response, 200, { ok: true });
    });
    await using test = clientOf(server);
    const hanging = test.client.request(get("/hang", 150), never()).catch((error: unknown) => error);
    await eventually(() => {
      expect(server.accepted).toBe(1);
    });
    const started = performance.now();
    expect(await test.client.request(get("/ok"), never())).toEqual({ ok: true });
    expect(performance.now() - started).toBeLessThan(120);
    expect(await hanging).toMatchObject({ code: "timeout", status: 0, message: "GET /hang: no answer within 150 ms" });
    expect(test.seen.map((one) => one.code)).toEqual(["200", "timeout"]);
    // The idle connection was given up too: it leads to the same peer.
    await server.noneOpen();
  });

  it("times out in the middle of a body", async () => {
    await using server = await serve((_got, response) => {
      response.writeHead(200);
      response.write('{"a":');
    });
    await using test = clientOf(server);
    await expect(test.client.request(get("/a", 50), never())).rejects.toMatchObject({ code: "timeout" });
    await server.noneOpen();
  });

  it("rejects with the reason of the signal, counts nothing, leaves no socket", async () => {
    await using server = await serve(() => undefined);
    await using test = clientOf(server);
    const controller = new AbortController();
    const request = test.client.request(get("/a"), controller.signal).catch((error: unknown) => error);
    await eventually(() => {
      expect(server.accepted).toBe(1);
    });
    const reason = new Error("stop");
    controller.abort(reason);
    expect(await request).toBe(reason);
    expect(test.seen).toEqual([]);
    await server.noneOpen();
  });

  it.each([
    { name: "refused", url: "http://127.0.0.1:1", code: "network" },
    { name: "name not found", url: "http://no-such-host.invalid", code: "network" },
  ])("$name is $code", async ({ url, code }) => {
    await using test = clientOf({ url } as Parameters<typeof clientOf>[0]);
    await expect(test.client.request(get("/a"), never())).rejects.toMatchObject({ code, status: 0 });
  });

  it("tells an answer that is not JSON, and one that is cut", async () => {
    await using server = await serve((got, response, request) => {
      if (got.path === "/text") {
        response.end("hello");
        return;
      }
      response.writeHead(200, { "content-length": 100 });
      response.write("{");
      setTimeout(() => request.socket.destroy(), 10);
    });
    await using test = clientOf(server);
    await expect(test.client.request(get("/text"), never())).rejects.toMatchObject({ code: "protocol" });
    await expect(test.client.request(get("/cut"), never())).rejects.toMatchObject({ code: "network" });
  });

  it("reads again once where the server closed an idle connection, but does not write again", async () => {
    const broken = { next: false };
    const paths: string[] = [];
    await using server = await serve((got, response, request) => {
      paths.push(`${got.method} ${got.path}`);
      if (broken.next) {
        broken.next = false;
        request.socket.destroy();
        return;
      }
      json(response, 200, {});
    });
    await using test = clientOf(server);
    await test.client.request(get("/a"), never());
    broken.next = true;
    await test.client.request(get("/b"), never());
    broken.next = true;
    await expect(test.client.request({ ...get("/c"), verb: "update", body: {} }, never())).rejects.toMatchObject({ code: "network" });
    expect(paths).toEqual(["GET /a", "GET /b", "GET /b", "PUT /c"]);
  });

  it("has the kernel probe its connections, in use and idle", async () => {
    await using server = await serve((got, response) => {
      if (got.path === "/idle") json(response, 200, {});
    });
    await using test = clientOf(server);
    const probes = (): string => execFileSync("ss", ["-tnoH", `dport = :${server.port}`], { encoding: "utf8" });
    await test.client.request(get("/idle"), never());
    expect(probes()).toMatch(PROBED);
    const controller = new AbortController();
    const hanging = test.client.request(get("/hang"), controller.signal).catch(() => undefined);
    await eventually(() => {
      expect(probes()).toMatch(PROBED);
    });
    controller.abort();
    await hanging;
  });

  it("stays closed: dispose ends what is in flight", async () => {
    await using server = await serve(() => undefined);
    await using test = clientOf(server);
    const hanging = test.client.request(get("/hang"), never()).catch((error: unknown) => error);
    await eventually(() => {
      expect(server.accepted).toBe(1);
    });
    await test.client[Symbol.asyncDispose]();
    expect(await hanging).toMatchObject({ message: "the connection to the API server is closed" });
    await expect(test.client.request(get("/a"), never())).rejects.toThrow("closed");
    await server.noneOpen();
  });
});
