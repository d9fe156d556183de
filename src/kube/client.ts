import http from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import https from "node:https";
import type { Clock } from "../ports/clock.js";
import { KeptHttpAgent, KeptHttpsAgent, keepProbed } from "./agent.js";
import type { Connector, Target } from "./connector.js";
import { errorOfResponse, KubeError } from "./errors.js";
import { LineCutter } from "./lines.js";
import { Deadline, orAborted } from "./wait.js";

/** As whom the API server records us in metadata.managedFields. */
export const FIELD_MANAGER = "vip";

const ERROR_BODY_LIMIT = 64 * 1024;
const BODY_LIMIT = 64 * 1024 * 1024;
/** etcd takes objects up to 1.5 MiB by default; JSON is longer than protobuf. */
const LINE_LIMIT = 16 * 1024 * 1024;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** One request of the API. */
export interface Call {
  readonly verb: "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";
  /** For metrics: `services`, `leases`. */
  readonly resource: string;
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  /** Default application/json. */
  readonly contentType?: string;
  /** From the call to the end of the answer; for a stream to the head of the answer. */
  readonly timeoutMs: number;
}

/** One finished request, for metrics. `code`: HTTP status, or the KubeErrorCode where there was no answer. For a watch `ms` ends at the head. */
export interface RequestSeen {
  readonly verb: string;
  readonly resource: string;
  readonly code: string;
  readonly ms: number;
}

export interface ClientDeps {
  readonly clock: Clock;
  readonly connector: Connector;
  readonly userAgent: string;
  readonly onRequest?: ((seen: RequestSeen) => void) | undefined;
}

const METHODS = { get: "GET", list: "GET", watch: "GET", create: "POST", update: "PUT", patch: "PATCH", delete: "DELETE" } as const;

/**
 * HTTPS to the API server over kept-alive connections. A request never waits for another one: as many sockets as there are requests in flight.
 * Fails with KubeError, or with the reason of the signal.
 */
export class Client implements AsyncDisposable {
  readonly #deps: ClientDeps;
  /** One per server; proxies have agents of their own. */
  readonly #agents = new Map<string, http.Agent>();
  readonly #closed = new AbortController();

  constructor(deps: ClientDeps) {
    this.#deps = deps;
  }

  /** The parsed JSON of the answer. */
  async request(call: Call, signal: AbortSignal): Promise<unknown> {
    const started = this.#deps.clock.now();
    const deadline = this.#deadline(call, signal);
    try {
      const response = await this.#answer(call, deadline.signal);
      const body = await readBody(call, response, BODY_LIMIT);
      this.#seen(call, started, String(response.statusCode));
      return parseBody(call, body);
    } catch (error) {
      const reason: unknown = deadline.signal.aborted ? deadline.signal.reason : error;
      // Aborted is not failed; but a reason that is a KubeError says that time was up.
      throw deadline.signal.aborted && !(reason instanceof KubeError) ? reason : this.#failed(call, started, reason);
    } finally {
      deadline.cancel();
    }
  }

  /** The JSON values of a newline-delimited stream: none as soon as it is open, then all that one chunk holds at a time. Ends when the server ends it. */
  async *stream(call: Call, signal: AbortSignal): AsyncGenerator<readonly unknown[], void, void> {
    const started = this.#deps.clock.now();
    const deadline = this.#deadline(call, signal);
    let response: IncomingMessage | undefined;
    try {
      response = await this.#answer(call, deadline.signal);
      deadline.stopTimer();
      this.#seen(call, started, String(response.statusCode));
      yield [];
      yield* valuesOf(call, response);
    } catch (error) {
      const reason: unknown = deadline.signal.aborted ? deadline.signal.reason : error;
      // Aborted is not failed; but a reason that is a KubeError says that time was up.
      throw deadline.signal.aborted && !(reason instanceof KubeError) ? reason : this.#failed(call, started, reason);
    } finally {
      deadline.cancel();
      response?.destroy();
    }
  }

  /** Ends every request, also those in flight, and closes all sockets. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the connection to the API server is closed"));
    for (const agent of this.#agents.values()) agent.destroy();
    await Promise.resolve();
  }

  #deadline(call: Call, signal: AbortSignal): Deadline {
    const late = (): Error => new KubeError("timeout", `${nameOf(call)}: no answer within ${call.timeoutMs} ms`);
    return new Deadline(this.#deps.clock, { ms: call.timeoutMs, late }, [signal, this.#closed.signal]);
  }

  /** The head of a 2xx answer. */
  async #answer(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    signal.throwIfAborted();
    const target = await orAborted(this.#deps.connector.target(), signal);
    const response = await this.#sendTo(call, target, signal);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status <= 299) {
      this.#deps.connector.answered();
      return response;
    }
    throw errorOfResponse({
      method: METHODS[call.verb],
      path: call.path,
      status,
      statusText: response.statusMessage ?? "",
      retryAfter: response.headers["retry-after"],
      body: (await readBody(call, response, ERROR_BODY_LIMIT)).toString("utf8"),
    });
  }

  async #sendTo(call: Call, target: Target, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#send(call, target, signal);
    } catch (error) {
      // Whoever gave up waiting for other reasons than time says nothing of the server.
      if (!signal.aborted || signal.reason instanceof KubeError) this.#deps.connector.unanswered(target);
      throw error;
    }
  }

  async #send(call: Call, target: Target, signal: AbortSignal): Promise<IncomingMessage> {
    let request = this.#start(call, target, signal);
    try {
      return await headOf(request);
    } catch (error) {
      // The server closed an idle connection at the moment we used it. Reading twice is harmless; writing may not be.
      if (signal.aborted || !request.reusedSocket || METHODS[call.verb] !== "GET") throw error;
    }
    request = this.#start(call, target, signal);
    return headOf(request);
  }

  #start(call: Call, target: Target, signal: AbortSignal): ClientRequest {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const { headers, ...options } = target.options;
    const request = (target.protocol === "http:" ? http : https).request({
      ...options,
      agent: this.#agentOf(target),
      method: METHODS[call.verb],
      path: `${target.prefix}${call.path}${queryOf(queryWithManager(call))}`,
      headers: {
        ...(headers as http.OutgoingHttpHeaders | undefined),
        accept: "application/json",
        "user-agent": this.#deps.userAgent,
        ...(body === undefined ? {} : { "content-type": call.contentType ?? "application/json", "content-length": Buffer.byteLength(body) }),
      },
      signal,
    });
    request.on("socket", keepProbed);
    request.end(body);
    return request;
  }

  #agentOf(target: Target): http.Agent {
    const key = `${target.protocol}//${target.originalHost}`;
    const known = this.#agents.get(key);
    if (known !== undefined && (target.proxy === undefined || target.proxy === known)) return known;
    known?.destroy();
    const agent = target.proxy ?? (target.protocol === "http:" ? new KeptHttpAgent() : new KeptHttpsAgent(target.originalHost));
    this.#agents.set(key, agent);
    return agent;
  }

  #failed(call: Call, started: number, error: unknown): unknown {
    const failure = error instanceof KubeError || isBug(error) ? error : networkError(call, error);
    if (!(failure instanceof KubeError)) return failure;
    this.#deps.connector.failed(failure);
    if (failure.code === "network" || failure.code === "timeout") this.#dropIdle();
    this.#seen(call, started, failure.status === 0 ? failure.code : String(failure.status));
    return failure;
  }

  #dropIdle(): void {
    // Connections that are idle now lead to the same silent peer: the next request shall open one of its own.
    for (const agent of this.#agents.values()) {
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    }
  }

  #seen(call: Call, started: number, code: string): void {
    this.#deps.onRequest?.({ verb: call.verb, resource: call.resource, code, ms: this.#deps.clock.now() - started });
  }
}

function nameOf(call: Call): string {
  return `${METHODS[call.verb]} ${call.path}`;
}

/** Errors of sockets, TLS and HTTP carry a code; one of ours must not be tried again as if the network had failed. */
function isBug(error: unknown): boolean {
  const typed = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return typed && (error as NodeJS.ErrnoException).code === undefined;
}

function networkError(call: Call, error: unknown): KubeError {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
  // HPE_*: the peer does not speak HTTP.
  return new KubeError(code.startsWith("HPE_") ? "protocol" : "network", nameOf(call), { cause: error });
}

async function headOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once("response", resolve);
    // Stays: an error after the head is the business of the response, but without a listener here it would end the process.
    request.on("error", reject);
  });
}

async function readBody(call: Call, response: IncomingMessage, limit: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > limit) throw new KubeError("protocol", `${nameOf(call)}: ${response.statusCode}: an answer of more than ${limit} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}

function parseBody(call: Call, body: Buffer): unknown {
  return parseJson(call, body.toString("utf8"));
}

function parseJson(call: Call, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new KubeError("protocol", `${nameOf(call)}: not JSON: ${text.slice(0, 100)}`, { cause: error });
  }
}

async function* valuesOf(call: Call, response: IncomingMessage): AsyncGenerator<readonly unknown[], void, void> {
  const cutter = new LineCutter(LINE_LIMIT);
  for await (const part of response as AsyncIterable<Buffer>) {
    const values = cut(call, cutter, part);
    if (values.length > 0) yield values;
  }
  if (cutter.pending > 0) throw new KubeError("protocol", `${nameOf(call)}: stream ended in the middle of a line`);
}

function cut(call: Call, cutter: LineCutter, part: Buffer): readonly unknown[] {
  try {
    return cutter.push(part).map((line) => parseJson(call, line));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new KubeError("protocol", nameOf(call), { cause: error });
  }
}

/** Every write names its field manager, so that our own writes can be told from those of others. */
function queryWithManager(call: Call): Query {
  return METHODS[call.verb] === "GET" ? { ...call.query } : { ...call.query, fieldManager: FIELD_MANAGER };
}

function queryOf(query: Query): string {
  const pairs = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)] as [string, string]]));
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
}
