import { createHash } from "node:crypto";
import type { Clock } from "../ports/clock.js";
import type { EventDraft, Events, EventSubject } from "../ports/kube.js";
import type { Client } from "./client.js";
import { KubeError } from "./errors.js";
import { countOf, fieldsOf, versionOf } from "./raw.js";

const TIMEOUT_MS = 10_000;
/** The API server refuses longer messages. */
const MESSAGE_LIMIT = 1024;
/** Another node may write the same event at the same time, or it may expire between two requests. */
const ATTEMPTS = 8;

export interface EventDeps {
  readonly client: Client;
  readonly clock: Clock;
}

/** v1 Events about Services and the Node, reported by `nodeName`. */
export function createEvents(nodeName: string, deps: EventDeps): Events {
  const writer = new EventWriter(nodeName, deps);
  return { write: async (event, signal) => writer.write(event, signal) };
}

/** Name of an Event: the same (service, reason, message) gives the same name on every node. */
export function eventName(event: EventDraft): string {
  const parts = JSON.stringify([event.service.uid, event.reason, event.message]);
  return `${event.service.name}.${createHash("sha256").update(parts).digest("hex").slice(0, 16)}`;
}

class EventWriter {
  readonly #nodeName: string;
  readonly #client: Client;
  readonly #clock: Clock;

  constructor(nodeName: string, deps: EventDeps) {
    this.#nodeName = nodeName;
    this.#client = deps.client;
    this.#clock = deps.clock;
  }

  async write(event: EventDraft, signal: AbortSignal): Promise<void> {
    let exists = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await (exists ? this.#raise(event, signal) : this.#create(event, signal));
        return;
      } catch (error) {
        if (attempt === ATTEMPTS || !isRace(error, exists)) throw error;
        exists = error.code !== "notFound";
      }
    }
  }

  async #create(event: EventDraft, signal: AbortSignal): Promise<void> {
    const { service, type, reason, message } = event;
    const now = this.#now();
    const body = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace: service.namespace, name: eventName(event) },
      involvedObject: involved(service),
      type,
      reason,
      message: shortened(message),
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: "vip", host: this.#nodeName },
      reportingComponent: "vip",
      reportingInstance: this.#nodeName,
    };
    await this.#client.request({ verb: "create", resource: "events", path: pathOf(event), body, timeoutMs: TIMEOUT_MS }, signal);
  }

  async #raise(event: EventDraft, signal: AbortSignal): Promise<void> {
    const path = `${pathOf(event)}/${encodeURIComponent(eventName(event))}`;
    const found = await this.#client.request({ verb: "get", resource: "events", path, timeoutMs: TIMEOUT_MS }, signal);
    const body = {
      // Two nodes at once: the second is refused and reads again, so that no count is lost.
      metadata: { resourceVersion: versionOf(found) },
      count: (countOf(fieldsOf(found)["count"]) ?? 0) + 1,
      lastTimestamp: this.#now(),
    };
    const contentType = "application/merge-patch+json";
    await this.#client.request({ verb: "patch", resource: "events", path, body, contentType, timeoutMs: TIMEOUT_MS }, signal);
  }

  /** metav1.Time has whole seconds. */
  #now(): string {
    return new Date(this.#clock.wallTime()).toISOString().replace(/\.\d+Z$/, "Z");
  }
}

function involved({ kind, namespace, name, uid, resourceVersion }: EventSubject): object {
  return { apiVersion: "v1", kind: kind ?? "Service", ...(kind === "Node" ? {} : { namespace }), name, uid, ...(resourceVersion !== undefined && { resourceVersion }) };
}

function pathOf(event: EventDraft): string {
  return `/api/v1/namespaces/${encodeURIComponent(event.service.namespace)}/events`;
}

/** Somebody created it, changed it, or it expired meanwhile. Not found on create means that the namespace is gone. */
function isRace(error: unknown, exists: boolean): error is KubeError {
  if (!(error instanceof KubeError)) return false;
  return exists ? error.code === "conflict" || error.code === "notFound" : error.code === "alreadyExists";
}

/** At most 1024 bytes of UTF-8, cut between characters. */
function shortened(message: string): string {
  if (Buffer.byteLength(message) <= MESSAGE_LIMIT) return message;
  const bytes = Buffer.from(message).subarray(0, MESSAGE_LIMIT - 3);
  return `${bytes.toString("utf8").replace(/\uFFFD+$/, "")}...`;
}
