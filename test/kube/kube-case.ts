import type { ServerResponse } from "node:http";
import { expect } from "vitest";
import { createKube } from "../../src/kube/kube.js";
import type { Kube } from "../../src/ports/kube.js";
import { eventually, folder, half, json, kubeconfig, memoryLog, realClock, serve } from "./support.js";
import type { Got, Handler, LogLine, TestServer } from "./support.js";

export const never = (): AbortSignal => new AbortController().signal;

export const bodyOf = (got: Got | undefined): unknown => JSON.parse(got?.body ?? "null");

/** The whole of ports/kube against a server that does what a handler says; fails where a connection stays open. */
export interface Case extends AsyncDisposable {
  readonly kube: Kube;
  readonly server: TestServer;
  readonly got: Got[];
  readonly log: readonly LogLine[];
}

export async function kubeFor(handler: Handler, clock = realClock): Promise<Case> {
  const dir = folder();
  const got: Got[] = [];
  const server = await serve((one, response, request) => {
    got.push(one);
    handler(one, response, request);
  });
  const path = dir.file("config", kubeconfig({ server: server.url, "insecure-skip-tls-verify": true }));
  const log = memoryLog();
  const kube = createKube({ connection: { kubeconfigPath: path, standardFiles: [] }, nodeName: "node-1" }, { clock, log, random: half });
  return {
    kube,
    server,
    got,
    log: log.lines,
    [Symbol.asyncDispose]: async () => {
      await kube[Symbol.asyncDispose]();
      await server.noneOpen();
      await server[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

/** A server with one collection. `items` is what a list answers; watches stay open. */
export class WatchServer {
  items: readonly unknown[] = [];
  #open: ServerResponse[] = [];
  #version = 100;
  lists = 0;
  watches = 0;

  readonly handler: Handler = (got, response) => {
    if (got.query.get("watch") === null) {
      this.lists += 1;
      json(response, 200, { metadata: { resourceVersion: String(this.#version) }, items: this.items });
      return;
    }
    this.watches += 1;
    response.writeHead(200).flushHeaders();
    this.#open.push(response);
  };

  /** Waits until there is a watch, then sends it an event. */
  async send(type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR", object: unknown): Promise<void> {
    await eventually(() => {
      expect(this.#open.length).toBeGreaterThan(0);
    });
    this.#open.at(-1)?.write(`${JSON.stringify({ type, object })}\n`);
  }

  /** Ends the open watches, as the server does after some minutes. */
  end(): void {
    for (const one of this.#open.splice(0)) one.end();
  }
}

/** What a watch of the ports has delivered so far; the watch ends with the object. */
export class Watched<T> implements AsyncDisposable {
  readonly seen: T[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(start: (seen: (value: T) => void, signal: AbortSignal) => Promise<void>) {
    this.#done = start((value) => void this.seen.push(value), this.#stop.signal);
  }

  get last(): T | undefined {
    return this.seen.at(-1);
  }

  /** Waits until it was called so many times. */
  async calls(count: number): Promise<void> {
    await eventually(() => {
      expect(this.seen.length).toBe(count);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}
