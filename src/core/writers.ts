import { messageOf } from "../lib/errors.js";
import type { Clock } from "../ports/clock.js";
import type { EventDraft, Events, KubeErrorShape, Service, Services } from "../ports/kube.js";
import type { Log, LogFields } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { Complaints } from "./complaints.js";
import { hasExternalIP } from "./external-ips.js";
import type { Leisure } from "./leisure.js";
import { serviceKey, type ServiceKey } from "./model.js";
import type { Plan } from "./plan-model.js";
import type { ServiceChange } from "./plan-writes.js";
import { Rivalry } from "./rivalry.js";
import { sameStatusPatch, type StatusPatch } from "./status.js";
import { KeyedSync, type SyncConfig, type SyncDeps } from "./sync.js";
import type { World } from "./world.js";

export interface WritersDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly services: Pick<Services, "patchStatus" | "patchService">;
  readonly events: Events;
  /** Nobody waits for what is written here as long as there are VIPs to be taken or let go. */
  readonly leisure: Pick<Leisure, "turn">;
  /** What came of writing is part of the world. */
  learn(part: Partial<Pick<World, "rivals" | "externalIPsRefused">>): void;
}

/** The most that the API is asked to write at once, and so the measure of its load: an API that is slow is asked more slowly. */
const CONCURRENCY = 8;
/** Of ten thousand Services that come at once, what their statuses say is needed; what Events tell can wait, but for warnings. */
const EVENTS_CONCURRENCY = 4;
const BACKOFF = { firstRetryMs: 200, lastRetryMs: 30_000 };
/** After a conflict the watch brings the newer version; a Service that changes all the time is not written faster than this. */
const CONFLICT_RETRY_MS = 250;
/** Troubles of the API as a whole, or of the rights in it: with a thousand Services a line for each would bury everything else. */
const COMMON_TROUBLES: ReadonlySet<string | undefined> = new Set<KubeErrorShape["code"]>(["forbidden", "unauthorized", "tooManyRequests", "server", "timeout", "network", "config"]);

/** What goes to the API: statuses, changes of Services, Events. */
export class Writers {
  readonly #statuses: KeyedSync<ServiceKey, StatusPatch, void>;
  readonly #changes: KeyedSync<ServiceKey, ServiceChange, void>;
  readonly #events: KeyedSync<string, EventDraft, void>;
  readonly #rivalry: Rivalry;
  readonly #complaints: Complaints;
  readonly #closing = new AbortController();
  #refused: ReadonlyMap<string, string> = new Map();
  /** The last version of a Service that a change was refused for as invalid, by uid. */
  readonly #invalid = new Map<string, string>();
  #eventsForbidden = false;

  constructor(private readonly deps: WritersDeps) {
    this.#complaints = new Complaints(deps.clock);
    this.#rivalry = new Rivalry({ clock: deps.clock, changed: (rivals) => deps.learn({ rivals }) });
    this.#statuses = this.#writer("status", { paced: true, same: sameStatusPatch }, async (patch, signal) => this.#writeStatus(patch, signal));
    this.#changes = this.#writer("service", { paced: true, same: sameChange }, async (change, signal) => this.#change(change, signal));
    this.#events = this.#writer("event", { same: () => true, concurrency: EVENTS_CONCURRENCY, urgent: ({ type }) => type === "Warning" }, async (event, signal) => this.#writeEvent(event, signal));
  }

  set({ statuses, changes, events }: Pick<Plan, "statuses" | "changes" | "events">): void {
    this.#statuses.set(statuses);
    this.#changes.set(changes);
    this.#events.set(events);
  }

  stop(): void {
    this.#closing.abort(new DOMException("closing", "AbortError"));
    this.#rivalry[Symbol.dispose]();
    for (const sync of [this.#statuses, this.#changes, this.#events]) sync.stop();
  }

  async #writeStatus(patch: StatusPatch, signal: AbortSignal): Promise<void> {
    const { service, ingress, annotations } = patch;
    const wish = JSON.stringify(ingress);
    // Nobody has replaced entries that are as we want them.
    const replaced = ingress !== undefined && wish !== JSON.stringify(service.ingress.map(({ raw }) => raw));
    if (replaced && this.#rivalry.lost(service.uid, wish)) return;
    await this.deps.services.patchStatus(service, { ingress, annotations }, signal);
    if (replaced) this.#rivalry.wrote(service.uid, wish);
  }

  /** The entry is refused where admission says so, or the same version is found invalid twice: a newer one may have what the operation needs. */
  async #change({ service, operations }: ServiceChange, signal: AbortSignal): Promise<void> {
    try {
      const after = await this.deps.services.patchService(service, operations, signal);
      const dropped = addedTo(operations).find((address) => !hasExternalIP(after, address));
      if (dropped !== undefined) this.#refuse(service, `the API server dropped ${dropped}`);
    } catch (error) {
      const code = codeOf(error);
      const again = this.#invalid.get(service.uid) === service.resourceVersion;
      if (code === "invalid") this.#invalid.set(service.uid, service.resourceVersion);
      if (addedTo(operations).length > 0 && (code === "forbidden" || (code === "invalid" && again))) this.#refuse(service, messageOf(error));
      else throw error;
    }
  }

  #refuse({ uid, namespace, name }: Service, why: string): void {
    this.deps.log.warn("spec.externalIPs is not written", { service: `${namespace}/${name}`, error: why });
    this.#refused = new Map([...this.#refused, [uid, why]]);
    this.deps.learn({ externalIPsRefused: this.#refused });
  }

  /** Without the right to write Events the program does its work all the same, and says so once. */
  async #writeEvent(event: EventDraft, signal: AbortSignal): Promise<void> {
    try {
      await this.deps.events.write(event, signal);
    } catch (error) {
      if (codeOf(error) !== "forbidden") throw error;
      if (!this.#eventsForbidden) this.deps.log.warn("events are not written", { error: messageOf(error) });
      this.#eventsForbidden = true;
    }
  }

  /** A sync whose values are written once each; taking a value away undoes nothing. */
  #writer<K, V>(what: string, config: Pick<SyncConfig<V>, "same" | "paced" | "urgent"> & { readonly concurrency?: number }, write: (value: V, signal: AbortSignal) => Promise<void>): KeyedSync<K, V, void> {
    const verbs = {
      up: async (_key: K, value: V, signal: AbortSignal): Promise<void> => {
        try {
          const either = AbortSignal.any([signal, this.#closing.signal]);
          await this.deps.leisure.turn(either);
          await write(value, either);
        } catch (error) {
          throw codeOf(error) === "conflict" ? Object.assign(error as Error, { retryAfterMs: CONFLICT_RETRY_MS }) : error;
        }
      },
      down: async (): Promise<void> => undefined,
    };
    return new KeyedSync<K, V, void>({ ...BACKOFF, concurrency: CONCURRENCY, ...config }, verbs, this.#syncDeps<K>(what));
  }

  #complain(what: string, code: string | undefined, told: LogFields): void {
    const repeated = COMMON_TROUBLES.has(code) ? this.#complaints.worthSaying(what, code ?? "") : 1;
    if (repeated !== undefined) this.deps.log.warn("not done, tried again", { ...told, repeated });
  }

  #syncDeps<K>(what: string): SyncDeps<K> {
    const { clock, random, log } = this.deps;
    return {
      clock,
      random,
      changed: () => undefined,
      failed: (key, verb, error, retryMs) => {
        if (this.#closing.signal.aborted) return;
        const told = { what, key, verb, error: messageOf(error), retryMs: Math.round(retryMs) };
        const code = codeOf(error);
        // Somebody else wrote at the same time: the newer version is on its way.
        if (code === "conflict") log.debug("not done, tried again", told);
        else this.#complain(what, code, told);
      },
    };
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as Partial<KubeErrorShape>).code;
}

/** The entries that a change adds to spec.externalIPs. */
function addedTo(operations: ServiceChange["operations"]): readonly Parameters<typeof hasExternalIP>[1][] {
  return operations.flatMap((operation) => (operation.op === "add" ? [operation.value].flat() : [])) as readonly Parameters<typeof hasExternalIP>[1][];
}

function sameChange(a: ServiceChange, b: ServiceChange): boolean {
  return serviceKey(a.service) === serviceKey(b.service) && a.service.resourceVersion === b.service.resourceVersion && JSON.stringify(a.operations) === JSON.stringify(b.operations);
}
