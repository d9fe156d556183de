import { messageOf } from "../lib/errors.js";
import type { MacAddress } from "../lib/mac.js";
import {
  bootstrapKernelDeadline,
  bootstrapStart,
  bootstrapStep,
  bootstrapUntil,
  type BootstrapAction,
  type BootstrapConfig,
  type BootstrapEvent,
  type BootstrapState,
} from "../machine/bootstrap.js";
import { Drive } from "../machine/drive.js";
import type { Wish } from "../machine/claim-state.js";
import type { MemberTerms } from "../machine/member-state.js";
import type { Stance } from "../machine/election-state.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { Fence } from "./mode.js";
import type { OwnershipKey } from "./model.js";
import type { OwnershipState } from "./world.js";

const KEY = "control-plane";
/** Who claims the address is heard within this time on the socket of the bootstrap, too, ms. */
const HEAR_MS = 50;

/** Ownership by Leases, as far as it is needed here. */
export interface LeaseOwnership extends Fence {
  states(): ReadonlyMap<OwnershipKey, OwnershipState>;
  campaign(stances: ReadonlyMap<OwnershipKey, Stance>, wishes?: ReadonlyMap<OwnershipKey, Wish>, terms?: MemberTerms): void;
}

export interface BootstrapDeps {
  readonly ownership: LeaseOwnership;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Sends the question for the addresses, or tells the link that they are here. May throw. */
  send(action: BootstrapAction["type"]): void;
  /** What `states` returns has changed. */
  changed(): void;
  /** Called once, when nothing is sent or heard any more: the API was reached, or this is disposed of. */
  over(): Promise<void>;
}

type Input = BootstrapEvent extends infer E ? (E extends unknown ? Omit<E, "random"> : never) : never;

/**
 * Ownership, and before it the rule by which the control-plane VIP is held while the API has never been reached (machine/bootstrap.ts). It stands in
 * the place of the Leases for everybody who asks what this node may hold.
 */
export class Bootstrap implements LeaseOwnership, AsyncDisposable {
  readonly #machine: Drive<BootstrapState, BootstrapEvent, BootstrapAction>;
  readonly #listeners = new Set<(ownership: OwnershipKey | undefined) => void>();
  #shown: BootstrapState = bootstrapStart();
  #leaving = false;
  /** The Lease was seen held, by whomever. */
  #decided = false;
  #ending: Promise<void> | undefined;
  /** The newest state shown for the control plane, and what it was made of: it stays the same object while nothing changes. */
  #state: { readonly by: OwnershipState; readonly shown: OwnershipState } | undefined;

  constructor(
    private readonly config: BootstrapConfig,
    private readonly deps: BootstrapDeps,
  ) {
    this.#machine = new Drive<BootstrapState, BootstrapEvent, BootstrapAction>(
      {
        start: this.#shown,
        step: (state, event, now) => bootstrapStep(state, event, now, config),
        tick: () => ({ type: "tick", random: deps.random.float() }),
        act: (action) => this.#act(action),
        moved: (state) => this.#moved(state),
      },
      deps.clock,
    );
  }

  /** What the Leases say has changed. */
  learn(): void {
    const state = this.deps.ownership.states().get(KEY);
    if (state === undefined) return;
    if (state.view === "mine" || state.view === "other") this.#decided = true;
    this.#send({ type: "lease", view: state.view, held: state.held });
  }

  /** Another host says that it has the address, or asks for it. */
  claimed(mac: MacAddress, own: MacAddress, asking: boolean): void {
    this.#send({ type: "claimed", mac, own, asking });
  }

  /** This machine seems to have stood still. */
  suspect(): void {
    this.#send({ type: "lapse" });
  }

  /** Holds nothing by its own rule from now on. */
  leave(): void {
    this.#leaving = true;
    this.#send({ type: "able", able: false });
  }

  states(): ReadonlyMap<OwnershipKey, OwnershipState> {
    const states = this.deps.ownership.states();
    const state = states.get(KEY);
    if (state === undefined) return states;
    const held = state.held || this.#holds();
    // Where somebody was found on the address before, it may be one who holds it without the Lease: it gives way to an announcement, not to a question.
    const created = state.held && state.created && this.#machine.state.heard === undefined;
    if (held === state.held && created === state.created) return states;
    return new Map([...states, [KEY, this.#show(state, held, created)]]);
  }

  campaign(stances: ReadonlyMap<OwnershipKey, Stance>, wishes?: ReadonlyMap<OwnershipKey, Wish>, terms?: MemberTerms): void {
    const stance = stances.get(KEY);
    // The health of the API server is no reason against it: at a bootstrap there is none yet.
    const able = stance !== undefined && stance !== "drop" && stance !== "leave" && !this.#leaving;
    if (able !== (this.#machine.state.phase.name !== "barred")) this.#send({ type: "able", able });
    // Who has the VIP already is to get the first Lease: a move breaks connections.
    const { phase, heard } = this.#machine.state;
    const late = stance === "run" && !this.#decided && heard !== undefined && phase.name !== "holding";
    this.deps.ownership.campaign(late ? new Map([...stances, [KEY, "yield"]]) : stances, wishes, terms);
  }

  heldUntil(key: OwnershipKey): number {
    return Math.max(this.deps.ownership.heldUntil(key), key === KEY ? bootstrapUntil(this.#machine.state, this.config) : 0);
  }

  kernelDeadline(key: OwnershipKey): number {
    const byLease = this.deps.ownership.kernelDeadline(key);
    return byLease === 0 && key === KEY && this.#holds() ? bootstrapKernelDeadline(this.#machine.state, this.config) : byLease;
  }

  mayAnnounce(key: OwnershipKey): boolean {
    return this.deps.ownership.mayAnnounce(key) || (key === KEY && this.#holds());
  }

  async confirm(key: OwnershipKey): Promise<boolean> {
    if (key !== KEY || !this.#holds()) return this.deps.ownership.confirm(key);
    await new Promise<void>((resolve) => this.deps.clock.after(HEAR_MS, resolve));
    return this.#holds() || this.deps.ownership.mayAnnounce(key);
  }

  onMoved(listener: (ownership: OwnershipKey | undefined) => void): () => void {
    const end = this.deps.ownership.onMoved(listener);
    this.#listeners.add(listener);
    return () => {
      end();
      this.#listeners.delete(listener);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#machine.stop();
    await this.#end();
  }

  #holds(): boolean {
    return this.deps.clock.now() < bootstrapUntil(this.#machine.state, this.config);
  }

  #send(event: Input): void {
    this.#machine.send({ ...event, random: this.deps.random.float() });
  }

  #show(by: OwnershipState, held: boolean, created: boolean): OwnershipState {
    const newest = this.#state;
    if (newest?.by === by && newest.shown.held === held && newest.shown.created === created) return newest.shown;
    const shown = { ...by, held, created };
    this.#state = { by, shown };
    return shown;
  }

  async #end(): Promise<void> {
    this.#ending ??= this.deps.over();
    await this.#ending;
  }

  #act({ type }: BootstrapAction): void {
    try {
      this.deps.send(type);
    } catch (error) {
      this.deps.log.debug("question for the control-plane vip not sent", { error: messageOf(error) });
    }
  }

  #moved(state: BootstrapState): void {
    const before = this.#shown;
    this.#shown = state;
    const [was, is] = [before.phase.name === "holding", state.phase.name === "holding"];
    if (was !== is) this.#told(is, state);
    else if (before.heard !== state.heard && !is) this.deps.log.info("control-plane vip is held by another host, the api was not reached yet", { mac: state.heard });
    if (state.phase.name === "over" && before.phase.name !== "over") this.#over();
    const renewed = is && (before.phase.name !== "holding" || state.phase.name !== "holding" || before.phase.askedAt !== state.phase.askedAt);
    if (renewed) for (const listener of this.#listeners) listener(KEY);
    if (was !== is) this.deps.changed();
  }

  #over(): void {
    this.deps.log.info("the api tells of the control-plane lease: it alone decides from now on");
    this.#end().catch((error: unknown) => this.deps.log.warn("sockets of the bootstrap not closed", { error: messageOf(error) }));
  }

  #told(holding: boolean, state: BootstrapState): void {
    const { log } = this.deps;
    if (holding) log.warn("control-plane vip taken without a lease: the api was not reached since the start, and nobody answers for it");
    else if (state.phase.name !== "over") log.info("control-plane vip let go: it was held without a lease", { phase: state.phase.name, heard: state.heard });
  }
}
