import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { Client } from "../../src/kube/client.js";
import type { RequestSeen } from "../../src/kube/client.js";
import { Connector } from "../../src/kube/connector.js";
import type { Clock } from "../../src/ports/clock.js";
import type { Log } from "../../src/ports/log.js";

/** Time of this machine. */
export const realClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (ms, fn) => {
    const timer = setTimeout(fn, ms);
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
};

/** Real time, and every wait of the code under test takes a thousandth. `waits` has what was asked for. */
export function hastyClock(): Clock & { readonly waits: number[] } {
  const waits: number[] = [];
  return {
    ...realClock,
    waits,
    now: () => performance.now() * 1000,
    after: (ms, fn) => {
      waits.push(ms);
      return realClock.after(ms / 1000, fn);
    },
  };
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Keeps its lines. */
export function memoryLog(lines: LogLine[] = [], base: Readonly<Record<string, unknown>> = {}): Log & { readonly lines: LogLine[] } {
  const at =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, message, fields: { ...base, ...fields } });
    };
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), with: (fields) => memoryLog(lines, { ...base, ...fields }) };
}

export const half = { float: (): number => 0.5 };

export interface Got {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export type Handler = (got: Got, response: ServerResponse, request: IncomingMessage) => void;

/** A server on 127.0.0.1 that does what `handler` says; `sockets` are the open connections, `accepted` counts all. */
export async function serve(handler: Handler, tls?: https.ServerOptions): Promise<TestServer> {
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const url = new URL(request.url ?? "/", "http://x");
      const body = Buffer.concat(parts).toString();
      handler({ method: request.method ?? "", path: url.pathname, query: url.searchParams, headers: request.headers, body }, response, request);
    });
  };
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  server.keepAliveTimeout = 0;
  const sockets = new Set<Socket>();
  const state = { accepted: 0 };
  server.on("connection", (socket) => {
    state.accepted += 1;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return new TestServer(server, sockets, state, tls === undefined ? "http" : "https");
}

export class TestServer implements AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly sockets: ReadonlySet<Socket>;
  readonly #server: http.Server;
  readonly #state: { readonly accepted: number };

  constructor(server: http.Server, sockets: ReadonlySet<Socket>, state: { readonly accepted: number }, scheme: string) {
    this.#server = server;
    this.sockets = sockets;
    this.#state = state;
    this.port = (server.address() as AddressInfo).port;
    this.url = `${scheme}://127.0.0.1:${this.port}`;
  }

  get accepted(): number {
    return this.#state.accepted;
  }

  /** Fails where a client left a connection open. */
  async noneOpen(): Promise<void> {
    await eventually(() => {
      expect(this.sockets.size).toBe(0);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export function json(response: ServerResponse, status: number, body: unknown, headers: http.OutgoingHttpHeaders = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

export function statusBody(code: number, reason: string, message: string): unknown {
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
}

/** Repeats `check` until it passes, at most 5 s. */
export async function eventually(check: () => void): Promise<void> {
  const end = performance.now() + 5000;
  for (;;) {
    try {
      check();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export interface Folder extends Disposable {
  readonly path: string;
  file(name: string, text: string): string;
}

/** A temporary folder. */
export function folder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "vip-kube-"));
  return {
    path,
    file: (name, text) => {
      writeFileSync(join(path, name), text);
      return join(path, name);
    },
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Text of a kubeconfig (JSON is YAML). */
export function kubeconfig(cluster: Readonly<Record<string, unknown>>, user: Readonly<Record<string, unknown>> = { token: "t" }): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
    clusters: [{ name: "k", cluster }],
    users: [{ name: "u", user }],
  });
}

export interface TestClient extends AsyncDisposable {
  readonly client: Client;
  readonly log: Log & { readonly lines: LogLine[] };
  readonly seen: RequestSeen[];
}

/** A client for a plain HTTP server. */
export function clientOf(server: TestServer, clock: Clock = realClock): TestClient {
  const dir = folder();
  const log = memoryLog();
  const seen: RequestSeen[] = [];
  const path = dir.file("config", kubeconfig({ server: server.url, "insecure-skip-tls-verify": true }));
  const connector = new Connector({ kubeconfigPath: path, standardFiles: [] }, { clock, log });
  const client = new Client({ clock, connector, userAgent: "vip-test", onRequest: (one) => seen.push(one) });
  return {
    client,
    log,
    seen,
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

export interface Certificates {
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
}

/** A CA, a certificate for a server of that name, and one for a client; all as PEM. */
export function certificates(dir: Folder, serverName = "IP:127.0.0.1"): Certificates {
  const openssl = (args: readonly string[]): string => execFileSync("openssl", args, { cwd: dir.path, stdio: ["ignore", "pipe", "ignore"], encoding: "utf8" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  openssl(["req", "-x509", ...newKey, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test-ca"]);
  const leaf = (name: string, subject: string, extension: string): { cert: string; key: string } => {
    openssl(["req", "-x509", ...newKey, "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", `${name}.key`, "-out", `${name}.crt`, "-subj", subject, "-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE"]);
    return { cert: openssl(["x509", "-in", `${name}.crt`]), key: openssl(["pkey", "-in", `${name}.key`]) };
  };
  return {
    ca: openssl(["x509", "-in", "ca.crt"]),
    server: leaf("server", "/CN=server", `subjectAltName=${serverName}`),
    client: leaf("client", "/O=system:masters/CN=vip", "extendedKeyUsage=clientAuth"),
  };
}

export function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
