import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { keyOf, type ProxyObject } from "./objects.js";

/** After a list or watch that failed, in ms. */
const RETRY_MS = 100;
/** Until a server that was asked is taken for unreachable, in ms. */
const PATIENCE_MS = 3000;

/** The way to the API server that a kubeconfig with a token describes. */
export interface ApiAccess {
  readonly server: string;
  readonly ca: string;
  readonly token: string;
  readonly agent: Agent;
}

/** Reads a kubeconfig of one cluster and one user with a token. */
export function accessOf(kubeconfig: string): ApiAccess {
  const text = readFileSync(kubeconfig, "utf8");
  const value = (name: string): string => {
    const found = new RegExp(`^\\s*${name}:\\s*"?([^"\\s]+)"?\\s*$`, "m").exec(text)?.[1];
    if (found === undefined) throw new Error(`no ${name} in ${kubeconfig}`);
    return found;
  };
  // Probes tell a watch that is cut for good from one that is quiet, within 11 s.
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: 1000 });
  return { server: value("server"), ca: Buffer.from(value("certificate-authority-data"), "base64").toString(), token: value("token"), agent };
}

interface WatchEvent<T> {
  readonly type: string;
  readonly object: T;
}

/** Keeps the objects of one collection as the API server has them: lists, watches, and lists again when a watch fails. */
export class Reflector<T extends ProxyObject> {
  readonly #access: ApiAccess;
  readonly #path: string;
  readonly #changed: () => void;
  readonly #objects = new Map<string, T>();
  #revision = "";
  #listed = false;

  /** `changed` is called after every change of the objects or of the revision. */
  constructor(access: ApiAccess, path: string, changed: () => void) {
    this.#access = access;
    this.#path = path;
    this.#changed = changed;
  }

  /** Whether a list has arrived. */
  get listed(): boolean {
    return this.#listed;
  }

  /** The resourceVersion up to which all is known. */
  get revision(): string {
    return this.#revision;
  }

  /** The objects by namespace and name, in this order. */
  objects(): readonly T[] {
    return [...this.#objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Follows the collection until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#list(signal);
        while (await this.#watch(signal));
      } catch (error) {
        if (signal.aborted) return;
        console.error(`${this.#path}: ${error instanceof Error ? error.message : String(error)}`);
        await sleep(RETRY_MS);
      }
    }
  }

  async #get(query: string, signal: AbortSignal): Promise<IncomingMessage> {
    const { server, ca, token, agent } = this.#access;
    const headers = { accept: "application/json", authorization: `Bearer ${token}` };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(new URL(this.#path + query, server), { ca, agent, headers, signal, timeout: PATIENCE_MS }, resolve);
      sent.on("timeout", () => sent.destroy(new Error(`no answer within ${PATIENCE_MS} ms`))).on("error", reject).end();
    });
    response.socket.setTimeout(0); // a watch may be quiet for as long as it likes
    response.setEncoding("utf8");
    if (response.statusCode === 200) return response;
    response.resume();
    throw new Error(`GET ${query}: status ${response.statusCode}`);
  }

  async #list(signal: AbortSignal): Promise<void> {
    let text = "";
    for await (const chunk of await this.#get("", signal)) text += String(chunk);
    const { metadata, items } = JSON.parse(text) as { readonly metadata: { readonly resourceVersion: string }; readonly items: readonly T[] };
    this.#objects.clear();
    for (const item of items) this.#objects.set(keyOf(item), item);
    this.#revision = metadata.resourceVersion;
    this.#listed = true;
    this.#changed();
  }

  /** One watch to its end; false when it takes a new list to go on. */
  async #watch(signal: AbortSignal): Promise<boolean> {
    let rest = "";
    for await (const chunk of await this.#get(`?watch=true&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=${this.#revision}`, signal)) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (!this.#take(JSON.parse(line) as WatchEvent<T>)) return false;
    }
    return true;
  }

  #take({ type, object }: WatchEvent<T>): boolean {
    if (type === "ERROR") return false; // too old a revision: nothing else ends a watch so
    if (type === "DELETED") this.#objects.delete(keyOf(object));
    else if (type !== "BOOKMARK") this.#objects.set(keyOf(object), object);
    this.#revision = object.metadata.resourceVersion ?? this.#revision;
    this.#changed();
    return true;
  }
}
