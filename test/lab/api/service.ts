import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { ANONYMOUS } from "./auth.js";
import type { Tokens } from "./auth.js";
import { Counters } from "./counters.js";
import { discoveryDocument, findResource, servedResources } from "./discovery.js";
import { Faults } from "./faults.js";
import type { Effect, Verdict } from "./faults.js";
import { Handlers } from "./handlers.js";
import type { Reply } from "./handlers.js";
import { openapiDocument } from "./openapi.js";
import { accessReview, isReview } from "./review.js";
import { describe, parseRequest } from "./request.js";
import type { Caller, Described, RequestInfo } from "./request.js";
import { nameOf, Rights } from "./rights.js";
import { StatusError, forbidden, noSuchPath } from "./status.js";
import type { Store } from "./store.js";
import { tableForm } from "./table.js";
import { openWatch } from "./watches.js";
import type { Watch } from "./watches.js";

/** Largest request body, as of the real server. */
const BODY_LIMIT_BYTES = 3 * 1024 * 1024;
const OPEN_PATHS = ["/livez", "/readyz", "/healthz", "/version"];
const REASONS: { readonly [code: number]: string } = { 400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout" };

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse; readonly url: URL; readonly info: RequestInfo | undefined; readonly described: Described; readonly body: Buffer };

/** Answers requests: who asks, what for, what goes wrong on purpose, and the answer. */
export class Service {
  readonly handlers: Handlers;
  readonly faults = new Faults();
  readonly rights = new Rights();
  readonly counters = new Counters();
  readonly watches = new Set<Watch>();
  bookmarkMs: number;
  readonly #store: Store;
  readonly #tokens: Tokens;
  readonly #closing = new AbortController();
  #resume: (() => void) | undefined;
  #paused: Promise<void> | undefined;

  constructor(store: Store, tokens: Tokens, bookmarkMs: number) {
    this.#store = store;
    this.#tokens = tokens;
    this.bookmarkMs = bookmarkMs;
    this.handlers = new Handlers(store);
    this.handlers.namespacedResources = () => servedResources(store).filter(({ namespaced }) => namespaced);
  }

  /** Nothing is answered and watches are silent until resume. */
  pause(): void {
    if (this.#paused !== undefined) return;
    this.#paused = new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  /** Ends the pause; what waited is answered now. */
  resume(): void {
    this.#paused = undefined;
    this.#resume?.();
    this.pump();
  }

  /** Lets watches tell what they held back. */
  pump(): void {
    for (const watch of this.watches) watch.pump();
  }

  /** Ends the waits of requests in the making. */
  close(): void {
    this.#closing.abort();
    this.#resume?.();
    for (const watch of this.watches) watch.cut();
  }

  /** Answers one request; never throws. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => undefined);
    let described: Described = describe(callerOf(request, ""), undefined, request.url ?? "/");
    try {
      const body = await readBody(request);
      const url = new URL(request.url ?? "/", "https://kubernetes");
      const caller = callerOf(request, this.#tokens.userOf(request));
      const info = isReview(url.pathname) ? undefined : parseRequest(request.method ?? "GET", url, (...of) => findResource(this.#store, ...of));
      described = describe(caller, info, url.pathname);
      if (caller.user === ANONYMOUS && !OPEN_PATHS.includes(url.pathname.split("/").slice(0, 2).join("/"))) throw denied(described, info, url.pathname);
      if (!this.rights.allow(caller.user, info)) throw denied(described, info, url.pathname);
      await this.#exchange({ request, response, url, info, described, body });
    } catch (error) {
      if (this.#closing.signal.aborted || response.destroyed) return;
      const status = error instanceof StatusError ? error : new StatusError({ code: 500, reason: "InternalError", message: `Internal error occurred: ${error instanceof Error ? error.message : String(error)}` });
      this.#send(response, described, { code: status.code, json: JSON.stringify(status.body), retryAfterSeconds: status.retryAfterSeconds });
    }
  }

  async #exchange(exchange: Exchange): Promise<void> {
    const { response, described, info } = exchange;
    const verdict = this.faults.judge(described);
    if (verdict.reset || verdict.hang) this.counters.request(described, 0);
    if (verdict.reset) return void response.socket?.destroy();
    if (verdict.hang) return;
    await this.#wait(verdict.beforeMs);
    if (this.#gone(response)) return;
    if (verdict.fail !== undefined) throw injected(verdict.fail, exchange);
    if (info?.verb === "watch") {
      this.#watch(exchange, info);
      return;
    }
    await this.#operate(exchange, verdict);
  }

  async #operate(exchange: Exchange, verdict: Verdict): Promise<void> {
    const { response, described } = exchange;
    let outcome: Reply | StatusError;
    try {
      outcome = this.#reply(exchange);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      outcome = error;
    }
    await this.#wait(verdict.afterMs);
    if (this.#gone(response)) return;
    if (verdict.lose) {
      this.counters.request(described, 0);
      return void response.socket?.destroy();
    }
    if (outcome instanceof StatusError) throw outcome;
    this.#send(response, described, outcome);
  }

  #reply({ request, url, info, body }: Exchange): Reply {
    if (info !== undefined) return this.handlers.handle({ info, body, contentType: request.headers["content-type"] ?? "", accept: request.headers.accept ?? "", userAgent: request.headers["user-agent"] ?? "" });
    if (["/livez", "/readyz", "/healthz"].includes(`/${url.pathname.split("/")[1] ?? ""}`)) return { code: 200, json: "ok" };
    const review = accessReview(request.method ?? "", url.pathname, body);
    if (review !== undefined) return review;
    const document = discoveryDocument(url.pathname, this.#store, []) ?? openapiDocument(url.pathname, this.#store);
    if (document === undefined) throw noSuchPath();
    return { code: 200, json: JSON.stringify(document) };
  }

  #watch({ request, response, described }: Exchange, info: RequestInfo): void {
    const watch = openWatch(info, response, {
      store: this.#store,
      bookmarkMs: () => this.bookmarkMs,
      frozen: (of) => this.#paused !== undefined || this.faults.frozen(of),
      described,
      table: tableForm(info, request.headers.accept ?? ""),
      onClose: () => void this.watches.delete(watch),
    });
    this.watches.add(watch);
    this.counters.request(described, 200);
  }

  async #wait(ms: number): Promise<void> {
    if (ms > 0) await delay(ms, undefined, { signal: this.#closing.signal });
    while (this.#paused !== undefined && !this.#closing.signal.aborted) await this.#paused;
  }

  #gone(response: ServerResponse): boolean {
    return response.destroyed || this.#closing.signal.aborted;
  }

  #send(response: ServerResponse, described: Described, reply: Reply & { readonly retryAfterSeconds?: number | undefined }): void {
    this.counters.request(described, reply.code);
    const retry = reply.retryAfterSeconds === undefined ? {} : { "retry-after": String(reply.retryAfterSeconds) };
    const body = Buffer.from(reply.json);
    response.writeHead(reply.code, { "content-type": reply.json === "ok" ? "text/plain; charset=utf-8" : "application/json", "content-length": body.length, "cache-control": "no-cache, private", ...retry });
    response.end(body);
  }
}

function callerOf(request: IncomingMessage, user: string): Caller {
  return { user, userAgent: request.headers["user-agent"] ?? "", remote: (request.socket.remoteAddress ?? "").replace(/^::ffff:/u, "") };
}

function denied(described: Described, info: RequestInfo | undefined, path: string): StatusError {
  if (info === undefined) return forbidden(`forbidden: User "${described.user}" cannot ${described.verb} path "${path}"`, {});
  const { group, plural } = info.resource;
  const where = info.namespace === "" ? "at the cluster scope" : `in the namespace "${info.namespace}"`;
  const what = info.subresource === "" ? plural : `${plural}/${info.subresource}`;
  const name = nameOf(info);
  const named = name === "" ? "" : ` "${name}"`;
  const details = { ...(name === "" ? {} : { name }), ...(group === "" ? {} : { group }), kind: plural };
  return forbidden(`${plural}${group === "" ? "" : `.${group}`}${named} is forbidden: User "${described.user}" cannot ${described.verb} resource "${what}" in API group "${group}" ${where}`, details);
}

function injected(effect: Extract<Effect, { kind: "fail" }>, { described, info, url }: Exchange): StatusError {
  if (effect.code === 403 && effect.message === undefined) return denied(described, info, url.pathname);
  const retry = effect.retryAfterSeconds ?? (effect.code === 429 ? 1 : undefined);
  const message = effect.message ?? (effect.code === 429 ? "Too many requests, please try again later." : `injected failure ${effect.code}`);
  return new StatusError({ code: effect.code, reason: effect.reason ?? REASONS[effect.code] ?? "Unknown", message, details: retry === undefined ? {} : { retryAfterSeconds: retry } });
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    // Without an encoding set, parts are Buffers.
    parts.push(part as Buffer);
    bytes += (part as Buffer).length;
    if (bytes > BODY_LIMIT_BYTES) throw new StatusError({ code: 413, reason: "RequestEntityTooLarge", message: `Request entity too large: limit is ${BODY_LIMIT_BYTES}` });
  }
  return Buffer.concat(parts);
}
