import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf } from "../lib/errors.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Log } from "../ports/log.js";

/** A port that cannot be had is tried again after so long, ms. */
const RETRY_MS = 5000;
/** Whoever asks and does not listen must not pile up answers. */
const MOST_CONNECTIONS = 32;
const REQUEST_MS = 5000;

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** Default text/plain. */
  readonly type?: string;
}

export type HttpHandler = (query: URLSearchParams) => HttpAnswer | Promise<HttpAnswer>;

export interface ListenConfig {
  /** For the log: `metrics`. */
  readonly name: string;
  /** Undefined: every address of the node, of both families. */
  readonly host: string | undefined;
  /** 0: any (for tests). */
  readonly port: number;
}

export interface ServeHttpDeps {
  /** By path. */
  readonly handlers: Readonly<Record<string, HttpHandler>>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface HttpListener extends AsyncDisposable {
  /** Resolves with the port once it is listened on. */
  readonly listening: Promise<number>;
}

/** Host and port of `192.0.2.1:2112`, `[2001:db8::1]:2112`, `:2112`. */
export function splitListen(text: string): Pick<ListenConfig, "host" | "port"> {
  const at = text.lastIndexOf(":");
  const host = text.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  return { host: host === "" ? undefined : host, port: Number(text.slice(at + 1)) };
}

/**
 * Answers GET and HEAD on plain HTTP from now on. A port that is taken, or an address that is not there yet, is a warning and tried again: what the program
 * is for does not depend on it.
 */
export function serveHttp(config: ListenConfig, deps: ServeHttpDeps): HttpListener {
  return new Listener(config, deps);
}

class Listener implements HttpListener {
  readonly listening: Promise<number>;
  readonly #server: http.Server;
  #retry: Timer | undefined;
  #told = "";
  #closed = false;

  constructor(
    private readonly config: ListenConfig,
    private readonly deps: ServeHttpDeps,
  ) {
    this.#server = http.createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
      void this.#answer(request, response);
    });
    this.#server.maxConnections = MOST_CONNECTIONS;
    // A reader that stops reading is let go.
    this.#server.setTimeout(2 * REQUEST_MS);
    this.#server.on("error", (error) => this.#failed(error));
    this.listening = new Promise((resolve) => {
      this.#server.on("listening", () => resolve(this.#opened()));
    });
    this.#listen();
  }

  /** Ends also what is being answered. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #listen(): void {
    const { host, port } = this.config;
    this.#server.listen({ port, ...(host === undefined ? {} : { host }) });
  }

  #opened(): number {
    const { port } = this.#server.address() as AddressInfo;
    // A host name that was being looked up when everything was closed.
    if (this.#closed) this.#server.close();
    else this.deps.log.info("listening", { for: this.config.name, address: this.config.host ?? "*", port });
    this.#told = "";
    return port;
  }

  #failed(error: Error): void {
    const text = messageOf(error);
    const { name, host, port } = this.config;
    if (text !== this.#told) this.deps.log.warn("cannot listen, tried again", { for: name, address: host ?? "*", port, error: text, retryMs: RETRY_MS });
    this.#told = text;
    if (this.#closed || this.#server.listening) return;
    this.#retry = this.deps.clock.after(RETRY_MS, () => this.#listen());
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const { method = "", url = "" } = request;
    try {
      const { status, text, type = "text/plain; charset=utf-8" } = await this.#find(method, url);
      const headers = { "content-type": type, "content-length": Buffer.byteLength(text), "x-content-type-options": "nosniff", "cache-control": "no-store" };
      response.writeHead(status, headers).end(method === "HEAD" ? undefined : text);
    } catch (error) {
      this.deps.log.warn("http request failed", { for: this.config.name, url, error: messageOf(error) });
      response.writeHead(500).end(`${messageOf(error)}\n`);
    }
  }

  async #find(method: string, url: string): Promise<HttpAnswer> {
    const { handlers } = this.deps;
    const [path = "", query = ""] = url.split("?");
    const handler = Object.hasOwn(handlers, path) ? handlers[path] : undefined;
    if (handler === undefined) return { status: 404, text: `${path} is not known: ${Object.keys(handlers).join(", ")}\n` };
    if (method !== "GET" && method !== "HEAD") return { status: 405, text: `${method} is not answered: GET and HEAD only\n` };
    return handler(new URLSearchParams(query));
  }
}
