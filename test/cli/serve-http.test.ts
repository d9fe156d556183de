import { createServer, type Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { serveHttp, splitListen, type HttpHandler, type HttpListener } from "../../src/cli/serve-http.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";

const HANDLERS: Readonly<Record<string, HttpHandler>> = {
  "/livez": (query) => ({ status: query.has("bad") ? 503 : 200, text: "ok" }),
  "/metrics": async () => ({ status: 200, text: "vip_held 1\n", type: "text/plain; version=0.0.4" }),
  "/broken": async () => Promise.reject(new Error("no figures")),
};

interface Served extends AsyncDisposable {
  readonly listener: HttpListener;
  readonly log: FakeLog;
  readonly clock: FakeClock;
}

function serve(port: number, host: string | undefined = "127.0.0.1"): Served {
  const [log, clock] = [new FakeLog(), new FakeClock()];
  const listener = serveHttp({ name: "test", host, port }, { handlers: HANDLERS, clock, log });
  return { listener, log, clock, [Symbol.asyncDispose]: async () => listener[Symbol.asyncDispose]() };
}

async function taken(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return { server, port: (server.address() as AddressInfo).port };
}

async function closed(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

/** Waits for something that only the operating system brings about. */
async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setImmediate(resolve));
}

describe("an answer", () => {
  test.each<readonly [string, string, string, number, string]>([
    ["of a handler", "GET", "/livez", 200, "ok"],
    ["of a handler that was asked something", "GET", "/livez?bad", 503, "ok"],
    ["of a handler that takes its time", "GET", "/metrics", 200, "vip_held 1\n"],
    ["to HEAD has no text", "HEAD", "/metrics", 200, ""],
    ["to what is not known names what is", "GET", "/nothing", 404, "/nothing is not known: /livez, /metrics, /broken\n"],
    ["to a name that every object has", "GET", "/constructor", 404, "/constructor is not known: /livez, /metrics, /broken\n"],
    ["to a write is a refusal", "POST", "/livez", 405, "POST is not answered: GET and HEAD only\n"],
    ["of a handler that fails says why", "GET", "/broken", 500, "no figures\n"],
  ])("%s", async (_name, method, path, status, text) => {
    await using served = serve(0);
    const response = await fetch(`http://127.0.0.1:${await served.listener.listening}${path}`, { method });
    expect([response.status, await response.text()]).toEqual([status, text]);
  });

  test("is of the type that the handler says", async () => {
    await using served = serve(0);
    const port = await served.listener.listening;
    expect((await fetch(`http://127.0.0.1:${port}/metrics`)).headers.get("content-type")).toBe("text/plain; version=0.0.4");
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).headers.get("content-type")).toBe("text/plain; charset=utf-8");
  });
});

describe("a port", () => {
  test("without an address is one of every address", async () => {
    const listener = serveHttp({ name: "test", host: undefined, port: 0 }, { handlers: HANDLERS, clock: new FakeClock(), log: new FakeLog() });
    expect((await fetch(`http://127.0.0.1:${await listener.listening}/livez`)).status).toBe(200);
    await listener[Symbol.asyncDispose]();
  });

  test("that is taken is one warning however often it is tried, and had once it is free", async () => {
    const { server, port } = await taken();
    await using served = serve(port);
    const { log, clock } = served;
    for (const tries of [1, 2, 3]) {
      await until(() => clock.pending === 1);
      expect([tries, log.lines.map(({ level, message, port: which }) => [level, message, which])]).toEqual([tries, [["warn", "cannot listen, tried again", port]]]);
      if (tries === 3) await closed(server);
      await clock.advance(5000);
    }
    expect(await served.listener.listening).toBe(port);
    expect(log.lines.at(-1)).toMatchObject({ level: "info", message: "listening", for: "test", port });
  });

  test("that is taken does not keep the program from ending", async () => {
    const { server, port } = await taken();
    const served = serve(port);
    await until(() => served.clock.pending === 1);
    await served[Symbol.asyncDispose]();
    expect(served.clock.pending).toBe(0);
    await closed(server);
  });

  test("is free again after the end, whoever is connected", async () => {
    const served = serve(0);
    const port = await served.listener.listening;
    const silent = connect(port, "127.0.0.1");
    const gone = new Promise((resolve) => silent.on("close", resolve).on("error", () => undefined).resume());
    await new Promise((resolve) => silent.on("connect", resolve));
    await fetch(`http://127.0.0.1:${port}/livez`); // the silent one is accepted by now, too
    await served[Symbol.asyncDispose]();
    await gone;
    await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow("fetch failed");
    await served[Symbol.asyncDispose]();
  });
});

test.each([
  [":2112", undefined, 2112],
  ["192.0.2.1:80", "192.0.2.1", 80],
  ["[2001:db8::1]:2112", "2001:db8::1", 2112],
  ["localhost:1", "localhost", 1],
] as const)("%s is listened on as it says", (text, host, port) => {
  expect(splitListen(text)).toEqual({ host, port });
});
