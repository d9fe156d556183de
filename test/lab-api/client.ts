import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, request } from "node:https";
import type { RequestOptions } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { asObject, asText } from "../lab/api/object.js";
import type { Json, JsonObject } from "../lab/api/object.js";
import { startApi } from "../lab/api/server.js";
import type { Api, ApiOptions } from "../lab/api/server.js";

/** An answer of the API. */
export type Answer = { readonly code: number; readonly body: JsonObject; readonly headers: IncomingHttpHeaders };

/** One event of a watch. */
export type WatchEvent = { readonly type: string; readonly object: JsonObject };

/** How to call besides method and path. */
export type CallOptions = { readonly body?: Json; readonly type?: string; readonly accept?: string; readonly token?: string; readonly anonymous?: boolean; readonly userAgent?: string; readonly timeoutMs?: number };

const MERGE = "application/merge-patch+json";

/** Calls an API server over HTTPS as its kubeconfig says. */
export class Client {
  readonly #server: URL;
  readonly #tls: RequestOptions;
  readonly #token: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(kubeconfig: string) {
    const field = (name: string): string => new RegExp(`^\\s*${name}:\\s*"?([^"\\s]+)"?\\s*$`, "mu").exec(kubeconfig)?.[1] ?? "";
    const pem = (name: string): string => Buffer.from(field(name), "base64").toString();
    this.#server = new URL(field("server"));
    this.#token = field("token");
    this.#tls = { ca: pem("certificate-authority-data"), ...(this.#token === "" ? { cert: pem("client-certificate-data"), key: pem("client-key-data") } : {}) };
  }

  /** One request; rejects when the connection breaks or nothing comes in time. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const response = await this.#open(method, path, options);
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString();
    const body = text.startsWith("{") ? (JSON.parse(text) as JsonObject) : { text };
    return { code: response.statusCode ?? 0, body, headers: response.headers };
  }

  /** GET. */
  async get(path: string): Promise<Answer> {
    return await this.call("GET", path);
  }

  /** POST of JSON. */
  async post(path: string, body: Json): Promise<Answer> {
    return await this.call("POST", path, { body });
  }

  /** PUT of JSON. */
  async put(path: string, body: Json): Promise<Answer> {
    return await this.call("PUT", path, { body });
  }

  /** PATCH, by merge patch unless said otherwise. */
  async patch(path: string, body: Json, type: string = MERGE): Promise<Answer> {
    return await this.call("PATCH", path, { body, type });
  }

  /** DELETE. */
  async delete(path: string): Promise<Answer> {
    return await this.call("DELETE", path);
  }

  /** Opens a watch. */
  async watch(path: string, options: CallOptions = {}): Promise<Watcher> {
    const response = await this.#open("GET", path, options);
    return new Watcher(response);
  }

  /** Closes kept connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #open(method: string, path: string, options: CallOptions): Promise<IncomingMessage> {
    const text = options.body === undefined ? undefined : JSON.stringify(options.body);
    const token = options.token ?? this.#token;
    const headers = {
      accept: options.accept ?? "application/json",
      "user-agent": options.userAgent ?? "contract",
      ...(text === undefined ? {} : { "content-type": options.type ?? "application/json", "content-length": Buffer.byteLength(text) }),
      ...(token === "" || options.anonymous === true ? {} : { authorization: `Bearer ${token}` }),
    };
    const bare = options.token !== undefined || options.anonymous === true;
    const tls = bare ? { ca: this.#tls.ca } : this.#tls;
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request(new URL(path, this.#server), { method, headers, ...tls, ...(bare ? { agent: false } : { agent: this.#agent }) }, resolve);
      outgoing.on("error", reject);
      if (options.timeoutMs !== undefined) outgoing.setTimeout(options.timeoutMs, () => outgoing.destroy(new Error(`${method} ${path}: no answer in ${options.timeoutMs} ms`)));
      outgoing.end(text);
    });
  }
}

/** An open watch: its events one by one. */
export class Watcher implements Disposable {
  readonly code: number;
  readonly #response: IncomingMessage;
  readonly #events: AsyncIterator<string>;
  #pending: Promise<IteratorResult<string>> | undefined;

  constructor(response: IncomingMessage) {
    this.code = response.statusCode ?? 0;
    this.#response = response;
    response.on("error", () => undefined);
    this.#events = createInterface({ input: response })[Symbol.asyncIterator]();
  }

  /** The next event; undefined at the end, "silent" when none comes in time. */
  async next(waitMs = 5000): Promise<WatchEvent | undefined | "silent"> {
    this.#pending ??= this.#events.next();
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<"silent">((resolve) => {
      timer = setTimeout(resolve, waitMs, "silent");
    });
    const result = await Promise.race([this.#pending, silence]);
    clearTimeout(timer);
    if (result === "silent") return "silent";
    this.#pending = undefined;
    return result.done === true ? undefined : (JSON.parse(result.value) as WatchEvent);
  }

  /** The next n events as "TYPE name". */
  async take(count: number): Promise<readonly string[]> {
    const lines: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const event = await this.next();
      lines.push(typeof event === "object" ? `${event.type} ${asText(meta(event.object)["name"])}`.trim() : String(event));
    }
    return lines;
  }

  [Symbol.dispose](): void {
    this.#response.destroy();
  }
}

/** metadata of an object. */
export function meta(object: JsonObject): JsonObject {
  return asObject(object["metadata"]);
}

/** The server under test, a client of it, and a namespace of one's own. */
export type Stage = AsyncDisposable & { readonly client: Client; readonly namespace: string; readonly core: string; readonly api: Api | undefined };

/** A server in this process, in a folder of its own. */
export async function ownApi(options: Partial<ApiOptions> = {}): Promise<{ readonly api: Api; readonly close: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "lab-api-"));
  const api = await startApi({ dir, ...options });
  return {
    api,
    close: async () => {
      await api[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Takes the server of VIP_TEST_KUBECONFIG, or starts one; makes a namespace. */
export async function stage(options: Partial<ApiOptions> = {}, { realToo = true } = {}): Promise<Stage> {
  const real = realToo ? process.env["VIP_TEST_KUBECONFIG"] : undefined;
  const own = real === undefined ? await ownApi(options) : undefined;
  const client = new Client(await readFile(real ?? own?.api.adminConf ?? "", "utf8"));
  const namespace = `contract-${randomUUID().slice(0, 8)}`;
  await client.post("/api/v1/namespaces", { metadata: { name: namespace } });
  return {
    client,
    namespace,
    core: `/api/v1/namespaces/${namespace}`,
    api: own?.api,
    [Symbol.asyncDispose]: async () => {
      if (own === undefined) await client.delete(`/api/v1/namespaces/${namespace}`);
      client.close();
      await own?.close();
    },
  };
}

/** A Service of type LoadBalancer. */
export function service(name: string, spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject {
  return { apiVersion: "v1", kind: "Service", metadata: { name, ...metadata }, spec: { type: "LoadBalancer", selector: { app: name }, ports: [{ name: "http", port: 80 }], ...spec } };
}

/** A Lease. */
export function lease(name: string, spec: JsonObject = {}): JsonObject {
  return { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name }, spec: { holderIdentity: "a", leaseDurationSeconds: 5, renewTime: "2026-01-02T03:04:05.678901Z", ...spec } };
}
