import { messageOf } from "../lib/errors.js";
import { Work } from "../lib/work.js";
import { Drive } from "../machine/drive.js";
import {
  electionStart,
  heldUntil,
  holds,
  kernelDeadline,
  leaseView,
  type ElectionConfig,
  type ElectionState,
  type Stance,
} from "../machine/election-state.js";
import { electionStep, type ElectionAction, type ElectionEvent } from "../machine/election.js";
import type { Clock } from "../ports/clock.js";
import type { KubeErrorShape, Lease, LeaseId, LeaseRecord, Leases, LeaseWrite } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import { Complaints } from "./complaints.js";
import type { Fence } from "./mode.js";
import type { OwnershipKey } from "./model.js";
import type { OwnershipState } from "./world.js";

export interface OwnershipDeps {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
  /** What `states` returns has changed. */
  changed(): void;
}

/** An event of the machine before its wall time is put in. */
type Input = WithoutWall<ElectionEvent<Lease>>;
type WithoutWall<E> = E extends unknown ? Omit<E, "wallMs"> : never;

type Machine = Drive<ElectionState<Lease>, ElectionEvent<Lease>, ElectionAction<Lease>>;

/** Annotation of a Lease: the renewTime that one of ours wrote. A kube-vip that takes it over leaves the annotation as it was, so that the two differ from then on. */
const RENEWED = "vip.internal/renewed";
/** Who hands over may be late by so much, ms. */
const HAND_OVER_SLACK_MS = 250;

interface Seat {
  readonly id: LeaseId;
  readonly machine: Machine;
  readonly abort: AbortController;
  readonly watch: Promise<void>;
  shown: OwnershipState;
  renewedAt: number | undefined;
  leaving: boolean;
  /** When another node was seen to give it up. */
  freedAt: number;
  heir: boolean;
}

/** Ownership by key: one Lease each, one election machine each. Losing one never ends the process; it only changes what `states` says. */
export class Ownership implements Fence, AsyncDisposable {
  readonly #seats = new Map<OwnershipKey, Seat>();
  readonly #movedListeners = new Set<(ownership: OwnershipKey) => void>();
  readonly #work = new Work();
  readonly #movedOnce: (() => void)[] = [];
  readonly #complaints: Complaints;
  #closed = false;
  readonly #failed: Promise<never>;
  #fail: (error: unknown) => void = () => undefined;

  constructor(
    private readonly config: ElectionConfig,
    private readonly deps: OwnershipDeps,
  ) {
    this.#complaints = new Complaints(deps.clock);
    this.#failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    // Whoever asks `failed` hears of it; that nobody does is no unhandled rejection.
    this.#failed.catch(() => undefined);
  }

  /** Starts to watch the Lease of `key`, without taking part. */
  watch(key: OwnershipKey, id: LeaseId): void {
    const machine: Machine = new Drive<ElectionState<Lease>, ElectionEvent<Lease>, ElectionAction<Lease>>(
      {
        start: electionStart<Lease>(),
        step: (state, event, now) => electionStep(state, event, now, this.config),
        tick: () => ({ type: "tick", wallMs: this.deps.clock.wallTime() }),
        act: (action) => this.#act(key, action),
        moved: (state) => this.#moved(key, state),
      },
      this.deps.clock,
    );
    const abort = new AbortController();
    const seen = (lease: Lease | undefined): void => this.#send(machine, { type: "seen", lease });
    const watch = this.deps.leases.watch(id, seen, abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) this.#fail(error);
    });
    const shown: OwnershipState = { held: false, view: "unknown", holder: "", created: false };
    this.#seats.set(key, { id, machine, abort, watch, shown, renewedAt: undefined, leaving: false, freedAt: -Infinity, heir: false });
  }

  /** How this node stands towards each key from now on; keys that are not named are left to others. */
  campaign(stances: ReadonlyMap<OwnershipKey, Stance>): void {
    for (const [key, seat] of this.#seats) {
      const stance = stances.get(key) ?? "out";
      if (seat.machine.state.stance !== stance) this.#send(seat.machine, { type: "stance", stance });
    }
  }

  /** Gives up every Lease held here; addresses may stay until the heir is seen, for a bounded time (`heldUntil` says how long). */
  leave(): void {
    for (const { machine } of this.#seats.values()) this.#send(machine, { type: "stance", stance: "leave" });
  }

  /** This machine seems to have stood still: nothing is held until the API has confirmed it anew. */
  suspect(): void {
    for (const { machine } of this.#seats.values()) this.#send(machine, { type: "confirm", stop: true });
  }

  states(): ReadonlyMap<OwnershipKey, OwnershipState> {
    return new Map([...this.#seats].map(([key, { shown, heir }]) => [key, heir ? { ...shown, heir } : shown]));
  }

  heldUntil(key: OwnershipKey): number {
    const seat = this.#seats.get(key);
    return seat === undefined ? 0 : heldUntil(seat.machine.state, this.config);
  }

  kernelDeadline(key: OwnershipKey): number {
    const seat = this.#seats.get(key);
    if (seat === undefined || !holds(seat.machine.state, this.config, this.deps.clock.now())) return 0;
    return kernelDeadline(seat.machine.state, this.config);
  }

  mayAnnounce(key: OwnershipKey): boolean {
    const state = this.#seats.get(key)?.machine.state;
    return state !== undefined && state.leavingSince === undefined && holds(state, this.config, this.deps.clock.now());
  }

  async confirm(key: OwnershipKey): Promise<boolean> {
    const seat = this.#seats.get(key);
    if (seat === undefined) return false;
    const asked = this.deps.clock.now();
    this.#send(seat.machine, { type: "confirm", stop: false });
    for (;;) {
      const { renewedAt } = seat.machine.state;
      if (!this.mayAnnounce(key) || this.#closed) return false;
      if (renewedAt !== undefined && renewedAt >= asked) return true;
      await new Promise<void>((resolve) => this.#movedOnce.push(resolve));
    }
  }

  onMoved(listener: (ownership: OwnershipKey) => void): () => void {
    this.#movedListeners.add(listener);
    return () => this.#movedListeners.delete(listener);
  }

  /** Resolves when, after `leave`, nothing is held any more and every release has been answered. */
  async left(): Promise<void> {
    while ([...this.#seats.values()].some(({ machine, shown }) => shown.held || machine.state.releasing)) {
      await new Promise<void>((resolve) => this.#movedOnce.push(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const resolve of this.#movedOnce.splice(0)) resolve();
    for (const { machine, abort } of this.#seats.values()) {
      machine.stop();
      abort.abort(new DOMException("closing", "AbortError"));
    }
    await Promise.allSettled([this.#work.ended(), ...[...this.#seats.values()].map(({ watch }) => watch)]);
  }

  /** Rejects when a watch ends although nobody ended it: a bug, which must not pass in silence. */
  async failed(): Promise<never> {
    return this.#failed;
  }

  #moved(key: OwnershipKey, state: ElectionState<Lease>): void {
    const seat = this.#seats.get(key);
    if (seat === undefined) return;
    const now = this.deps.clock.now();
    const next: OwnershipState = {
      held: holds(state, this.config, now),
      view: leaseView(state, this.config, now),
      holder: state.lease?.record.holderIdentity ?? "",
      created: state.created,
      ...(isForeign(state.lease) && { foreign: true }),
    };
    const before = seat.shown;
    const shown = sameState(before, next) ? before : next;
    if (before.holder !== this.config.identity && before.holder !== "" && shown.holder === "") seat.freedAt = now;
    if (shown.held && !before.held) this.#inherit(seat, now);
    seat.shown = shown;
    const renewed = state.renewedAt !== seat.renewedAt;
    const leaving = state.leavingSince !== undefined && !seat.leaving;
    seat.renewedAt = state.renewedAt;
    seat.leaving = state.leavingSince !== undefined;
    if (shown.held !== before.held || shown.view !== before.view || shown.holder !== before.holder || shown.foreign !== before.foreign) {
      this.deps.log.info(shown.held && !before.held ? "ownership taken" : "ownership changed", { key, lease: seat.id.name, ...shown });
      this.deps.changed();
    }
    for (const resolve of this.#movedOnce.splice(0)) resolve();
    if ((renewed || leaving) && shown.held) for (const listener of this.#movedListeners) listener(key);
  }

  /** Who gives a Lease up keeps what stands behind it until it sees the heir, for a bounded time. */
  #inherit(seat: Seat, now: number): void {
    const leftMs = seat.freedAt + this.config.handOverMs + HAND_OVER_SLACK_MS - now;
    if (leftMs <= 0) return;
    seat.heir = true;
    const over = this.deps.clock.after(leftMs, () => {
      seat.heir = false;
      this.deps.changed();
    });
    seat.abort.signal.addEventListener("abort", () => over.cancel(), { once: true });
  }

  #act(key: OwnershipKey, action: ElectionAction<Lease>): void {
    const seat = this.#seats.get(key);
    if (seat === undefined) return;
    this.#work.add(this.#carryOut(seat, action));
  }

  async #carryOut({ id, machine, abort }: Seat, action: ElectionAction<Lease>): Promise<void> {
    const event = await this.#request(id, action, abort.signal);
    if (!abort.signal.aborted) this.#send(machine, event);
  }

  #send(machine: Machine, event: Input): void {
    machine.send({ ...event, wallMs: this.deps.clock.wallTime() });
  }

  async #request(id: LeaseId, action: ElectionAction<Lease>, signal: AbortSignal): Promise<Input> {
    try {
      return await this.#ask(id, action, signal);
    } catch (error) {
      const conflict = isConflict(action, error);
      if (!conflict && !signal.aborted) this.#complain(id, action, error);
      return action.type === "read" ? { type: "readFailed" } : { type: "failed", id: action.id, conflict };
    }
  }

  async #ask(id: LeaseId, action: ElectionAction<Lease>, signal: AbortSignal): Promise<Input> {
    const { leases } = this.deps;
    switch (action.type) {
      case "read":
        return { type: "seen", read: true, lease: await leases.get(id, action.timeoutMs, signal) };
      case "create":
        return { type: "written", id: action.id, lease: await leases.create(id, marked(action.record), action.timeoutMs, signal) };
      case "replace":
        return { type: "written", id: action.id, lease: await leases.replace(action.base, marked(action.record), action.timeoutMs, signal) };
    }
  }

  #complain(id: LeaseId, action: ElectionAction<Lease>, error: unknown): void {
    const { log } = this.deps;
    const code = (error as Partial<KubeErrorShape>).code ?? "";
    const repeated = this.#complaints.worthSaying(`${id.name} ${action.type}`, code);
    if (repeated === undefined) return;
    const told = { lease: id.name, request: action.type, error: messageOf(error), repeated };
    // Nothing is held without it, until somebody changes the access rules.
    if (code === "forbidden") log.error("lease request failed", told);
    else log.warn("lease request failed", told);
  }
}

function sameState(a: OwnershipState, b: OwnershipState): boolean {
  return a.held === b.held && a.view === b.view && a.holder === b.holder && a.created === b.created && a.foreign === b.foreign;
}

function marked(record: LeaseRecord): LeaseWrite {
  return { ...record, annotations: { [RENEWED]: record.renewTime ?? "" } };
}

/** Whether the last one to write it was none of ours. One that nobody has ever held is nobody's. */
function isForeign(lease: Lease | undefined): boolean {
  const renewTime = lease?.record.renewTime;
  return renewTime !== undefined && lease?.annotations[RENEWED] !== renewTime;
}

/** Somebody else was quicker. A Lease that cannot be found is one that was deleted, unless it was to be made: then its namespace is missing. */
function isConflict(action: ElectionAction<Lease>, error: unknown): boolean {
  const code = (error as Partial<KubeErrorShape>).code;
  return code === "conflict" || code === "alreadyExists" || (code === "notFound" && action.type === "replace");
}
