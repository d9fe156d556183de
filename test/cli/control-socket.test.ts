import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askDaemons, NoDaemon } from "../../src/cli/control-client.js";
import { serveControl, type Control, type Orders, type Reports } from "../../src/cli/control-socket.js";
import { FakeLog } from "../fakes/log.js";

let root = "";
let directory = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vip-sock-"));
  directory = join(root, "run");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function reportsOf(node: string): Reports {
  return { status: async () => ({ node }), why: async (service) => ({ node, service }), bgpPeers: async () => ({ node, peers: [] }), bgpRoutes: async (peer) => ({ node, peer }) };
}

async function served(node: string, pid: number, log = new FakeLog()): Promise<Control> {
  return serveControl({ directory, pid }, { reports: reportsOf(node), log });
}

/** What a process leaves that was killed: a socket that nobody listens on. */
function leaveDead(path: string): void {
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", script]);
  if (!existsSync(path)) throw new Error(`${path} was not left behind`);
}

async function raw(path: string, method: string, url: string): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, method, path: url, agent: false }, (response) => {
      let text = "";
      response.on("data", (part: Buffer) => (text += part.toString())).on("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as unknown }));
    });
    asked.on("error", reject).end();
  });
}

describe("the socket", () => {
  test("is for its owner only, answers, and is gone when the daemon is", async () => {
    const control = await served("n1", 7);
    expect(control.path).toBe(join(directory, "vip.sock"));
    expect([statSync(directory).mode & 0o777, statSync(control.path ?? "").mode & 0o777]).toEqual([0o700, 0o600]);
    expect(await askDaemons("/v1/status", { directory })).toEqual([{ socket: control.path, status: 200, body: { node: "n1" } }]);
    expect(await askDaemons("/v1/why/default/web%2Ds", { directory })).toMatchObject([{ body: { service: "default/web-s" } }]);
    expect(await askDaemons("/v1/bgp/peers", { directory })).toMatchObject([{ body: { peers: [] } }]);
    expect(await askDaemons("/v1/bgp/routes/tor%2F1", { directory })).toMatchObject([{ body: { peer: "tor/1" } }]);
    await control[Symbol.asyncDispose]();
    expect(readdirSync(directory)).toEqual([]);
  });

  test("leaves the mode of what is made later as it was", async () => {
    const before = process.umask();
    const control = await served("n1", 7);
    expect(process.umask()).toBe(before);
    await control[Symbol.asyncDispose]();
  });

  test("of a process that was killed is replaced", async () => {
    mkdirSync(directory);
    leaveDead(join(directory, "vip.sock"));
    const control = await served("n1", 7);
    expect(control.path).toBe(join(directory, "vip.sock"));
    expect(await askDaemons("/v1/status", { directory })).toHaveLength(1);
    await control[Symbol.asyncDispose]();
  });

  test("of a process that lives is left to it: the second has its own, and the client asks both", async () => {
    const first = await served("services", 7);
    leaveDead(join(directory, "vip-8.sock"));
    const second = await served("control-plane", 8);
    expect(second.path).toBe(join(directory, "vip-8.sock"));
    expect((await askDaemons("/v1/status", { directory })).map(({ body }) => body)).toEqual([{ node: "services" }, { node: "control-plane" }]);
    expect(await askDaemons("/v1/status", { socket: second.path })).toHaveLength(1);
    await second[Symbol.asyncDispose]();
    expect(await askDaemons("/v1/status", { directory })).toHaveLength(1);
    await first[Symbol.asyncDispose]();
  });

  test("is taken by one each when two processes find a dead one at the same time", async () => {
    mkdirSync(directory);
    leaveDead(join(directory, "vip.sock"));
    const both = await Promise.all([served("a", 7), served("b", 8)]);
    expect(new Set(both.map(({ path }) => path)).size).toBe(2);
    expect(await askDaemons("/v1/status", { directory })).toHaveLength(2);
    for (const control of both) await control[Symbol.asyncDispose]();
  });

  test("that cannot be made is a warning and no end", async () => {
    writeFileSync(directory, "a file where the folder should be");
    const log = new FakeLog();
    const control = await served("n1", 7, log);
    expect(control.path).toBeUndefined();
    expect(log.lines.map(({ level }) => level)).toEqual(["warn"]);
    await control[Symbol.asyncDispose]();
  });

  test("refuses what it does not know, and tells when a report fails", async () => {
    const log = new FakeLog();
    const reports: Reports = { status: async () => Promise.reject(new Error("no report")), why: async () => undefined, bgpPeers: async () => null, bgpRoutes: async () => null };
    const control = await serveControl({ directory, pid: 7 }, { reports, log });
    const path = control.path ?? "";
    expect((await raw(path, "PUT", "/v1/status")).status).toBe(405);
    expect((await raw(path, "POST", "/v1/status")).status).toBe(404);
    expect((await raw(path, "POST", "/v1/drain")).status).toBe(404);
    expect((await raw(path, "GET", "/v1/why/web")).status).toBe(404);
    expect((await raw(path, "GET", "/v1/why/a/%zz")).status).toBe(400);
    expect(await raw(path, "GET", "/v1/status")).toEqual({ status: 500, body: { error: "no report" } });
    await control[Symbol.asyncDispose]();
  });

  test("carries out what it is asked to, and says why it cannot", async () => {
    const done: string[] = [];
    const orders: Orders = { drain: (on) => void done.push(on ? "drain" : "undrain"), rebalance: async () => Promise.reject(new Error("nothing is shared out")) };
    const control = await serveControl({ directory, pid: 7 }, { reports: reportsOf("n1"), orders, log: new FakeLog() });
    expect(await askDaemons("/v1/drain", { directory }, "POST")).toMatchObject([{ status: 200, body: { done: "drain" } }]);
    await askDaemons("/v1/undrain", { directory }, "POST");
    expect(await askDaemons("/v1/rebalance", { directory }, "POST")).toMatchObject([{ status: 500, body: { error: "nothing is shared out" } }]);
    expect(done).toEqual(["drain", "undrain"]);
    await control[Symbol.asyncDispose]();
  });

  test("closes while a client is connected that asks nothing", async () => {
    const control = await served("n1", 7);
    const silent = request({ socketPath: control.path, agent: false });
    silent.on("error", () => undefined);
    silent.flushHeaders();
    await new Promise<void>((resolve) => silent.on("socket", (socket) => socket.on("connect", () => resolve())));
    await control[Symbol.asyncDispose]();
    silent.destroy();
  });
});

describe("the client", () => {
  test("says where it looked and what to do when nobody answers", async () => {
    await expect(askDaemons("/v1/status", { directory })).rejects.toThrow(NoDaemon);
    await expect(askDaemons("/v1/status", { directory })).rejects.toThrow(`there is no vip*.sock in ${directory}`);
    mkdirSync(directory);
    leaveDead(join(directory, "vip.sock"));
    await expect(askDaemons("/v1/status", { directory })).rejects.toThrow(/vip\.sock: connect ECONNREFUSED[^]*kubectl -n kube-system exec/);
  });

  test("does not take a stranger's answer for one", async () => {
    mkdirSync(directory);
    const path = join(directory, "vip.sock");
    const stranger = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.resume().end("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello");
    });
    await new Promise<void>((resolve) => stranger.listen(path, () => resolve()));
    chmodSync(path, 0o600);
    await expect(askDaemons("/v1/status", { directory })).rejects.toThrow("the answer is not JSON");
    await new Promise<void>((resolve) => stranger.close(() => resolve()));
  });
});
