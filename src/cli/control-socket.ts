import { linkSync, mkdirSync, renameSync, unlinkSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { messageOf } from "../lib/errors.js";
import type { Log } from "../ports/log.js";

/** Where a daemon answers `vip status` and `vip why`. */
export const CONTROL_DIRECTORY = "/run/vip";
const FIRST_NAME = "vip.sock";
/** Nobody needs more at a time; a client that asks and never reads must not pile up reports. */
const MOST_CONNECTIONS = 8;
const REQUEST_MS = 5000;

export interface ControlConfig {
  /** Default /run/vip; made where it is missing, for its owner only. */
  readonly directory?: string;
  /** Names the second socket of a directory: `vip-<pid>.sock`. */
  readonly pid: number;
}

/** Reports as JSON-able objects. */
export interface Reports {
  status(): Promise<unknown>;
  /** `namespace/name` */
  why(service: string): Promise<unknown>;
  /** Sessions with BGP peers; null where nothing is announced by BGP. */
  bgpPeers(): Promise<unknown>;
  /** What each peer has of this node, or the one of that name. */
  bgpRoutes(peer: string | undefined): Promise<unknown>;
}

/** What a daemon can be asked to do. */
export interface Orders {
  /** Hands over what this process holds, and takes nothing that another can have, until it is called off. */
  drain(on: boolean): void;
  /** Has the keys that are shared out spread evenly now. Rejects where there are none. */
  rebalance(): Promise<void>;
}

export interface ControlDeps {
  readonly reports: Reports;
  /** Undefined: it takes none. */
  readonly orders?: Orders;
  readonly log: Log;
}

export interface Control extends AsyncDisposable {
  /** Undefined where the socket could not be made. */
  readonly path: string | undefined;
}

/**
 * Answers `GET /v1/status`, `/v1/why/<namespace>/<name>`, `/v1/bgp/peers` and `/v1/bgp/routes[/<peer>]`, and does what `POST /v1/drain`, `/v1/undrain` and
 * `/v1/rebalance` ask for, on a Unix socket that only its owner may use. A daemon that cannot make one serves all
 * the same, and says so.
 */
export async function serveControl(config: ControlConfig, deps: ControlDeps): Promise<Control> {
  const directory = config.directory ?? CONTROL_DIRECTORY;
  const server = http.createServer({ keepAliveTimeout: 1, requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    void answer(request, response, deps);
  });
  server.maxConnections = MOST_CONNECTIONS;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = await listenSomewhere(server, directory, config.pid);
    server.on("error", (error) => deps.log.warn("control socket", { path, error: messageOf(error) }));
    deps.log.debug("control socket", { path });
    return { path, [Symbol.asyncDispose]: async () => close(server) };
  } catch (error) {
    deps.log.warn("no control socket: `vip status` and `vip why` do not work on this node", { directory, error: messageOf(error) });
    return { path: undefined, [Symbol.asyncDispose]: async () => undefined };
  }
}

/** Takes `vip.sock`, or `vip-<pid>.sock` where a living process has that. */
async function listenSomewhere(server: http.Server, directory: string, pid: number): Promise<string> {
  const first = join(directory, FIRST_NAME);
  const own = join(directory, `vip-${pid}.sock`);
  if (await listen(server, first)) return first;
  if (!(await isAlive(first)) && (await removeDead(first, `${own}.dead`)) && (await listen(server, first))) return first;
  if (await listen(server, own)) return own;
  // An earlier process with this pid left it.
  unlinkSync(own);
  if (await listen(server, own)) return own;
  throw new Error(`listen on ${own}: the name is taken`);
}

/** False where the name is taken. */
async function listen(server: http.Server, path: string): Promise<boolean> {
  const mask = process.umask(0o177);
  try {
    return await new Promise<boolean>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => (error.code === "EADDRINUSE" ? resolve(false) : reject(error));
      server.once("error", failed);
      server.listen(path, () => {
        server.off("error", failed);
        resolve(true);
      });
      // The name is bound by now; what is made later is to have the mode that it asks for.
      process.umask(mask);
    });
  } finally {
    process.umask(mask);
  }
}

/**
 * Takes the socket of a dead process away. Two processes that start together may both have seen it dead, and the other one may have its own there by
 * now: so it is looked at again after it was moved aside, and put back where it lives. False then.
 */
async function removeDead(path: string, aside: string): Promise<boolean> {
  try {
    renameSync(path, aside);
  } catch {
    return true; // gone: the other process took it away; who is first to listen has the name
  }
  const alive = await isAlive(aside);
  if (alive) linkSync(aside, path);
  unlinkSync(aside);
  return !alive;
}

/** True unless nobody listens there: one that is busy lives. */
async function isAlive(path: string): Promise<boolean> {
  return new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"));
  });
}

async function close(server: http.Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, deps: ControlDeps): Promise<void> {
  try {
    if (request.method === "POST") await carryOut(request.url ?? "", response, deps);
    else if (request.method !== "GET") send(response, 405, { error: `${request.method} is not answered: GET and POST only` });
    else await answerGet(request.url ?? "", response, deps);
  } catch (error) {
    deps.log.warn("control request failed", { url: request.url, error: messageOf(error) });
    send(response, error instanceof URIError ? 400 : 500, { error: messageOf(error) });
  }
}

async function carryOut(url: string, response: ServerResponse, { orders, log }: ControlDeps): Promise<void> {
  const order = /^\/v1\/(drain|undrain|rebalance)$/.exec(url)?.[1];
  if (order === undefined || orders === undefined) {
    send(response, 404, { error: `${url} is not known: POST /v1/drain, /v1/undrain, /v1/rebalance` });
    return;
  }
  log.info("asked by the control socket", { order });
  if (order === "rebalance") await orders.rebalance();
  else orders.drain(order === "drain");
  send(response, 200, { done: order });
}

async function answerGet(url: string, response: ServerResponse, { reports }: ControlDeps): Promise<void> {
  const [, version, what, ...rest] = url.split("/").map((part) => decodeURIComponent(part));
  if (version === "v1" && what === "status" && rest.length === 0) await sendReport(response, await reports.status());
  else if (version === "v1" && what === "why" && rest.length === 2) await sendReport(response, await reports.why(rest.join("/")));
  else if (version === "v1" && what === "bgp" && rest[0] === "peers" && rest.length === 1) await sendReport(response, await reports.bgpPeers());
  else if (version === "v1" && what === "bgp" && rest[0] === "routes" && rest.length <= 2) await sendReport(response, await reports.bgpRoutes(rest[1]));
  else send(response, 404, { error: `${url} is not known: /v1/status, /v1/why/<namespace>/<name>, /v1/bgp/peers, /v1/bgp/routes` });
}

/** Making a large report takes milliseconds, and so does its text: what holds the VIPs runs between the two. */
async function sendReport(response: ServerResponse, report: unknown): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  send(response, 200, report);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), connection: "close" });
  response.end(text);
}
