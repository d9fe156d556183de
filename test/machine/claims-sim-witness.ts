import type { Change } from "./claims-sim-api.js";
import type { SimNode } from "./claims-sim-node.js";
import type { SimOptions, SimResult } from "./claims-sim-options.js";

/**
 * Beyond it two holders are two holders, hand-over or not: the bound of the owner, the heir's time, and a kernel lifetime that was left behind, on a
 * clock that is slow by 1 %.
 */
const HAND_OVER_BOUND_MS = (1000 + 80 + 999 + 1550 + 100) * 1.01;

/** What the witness sees of the model. */
export interface Scene {
  now(): number;
  /** No fault since. */
  calmSince(): number;
  readonly nodes: readonly SimNode[];
  readonly keys: ReadonlySet<string>;
}

/** Looks at all kernels after every event, and at all moves. */
export class Witness {
  #takeovers = 0;
  #handOvers = 0;
  #fencedAlive = 0;
  #gap = { ms: 0, text: "" };
  #overlap = { ms: 0, text: "" };
  readonly #took = new Map<string, { readonly from: string; readonly to: string; readonly at: number }>();
  readonly #overlapSince = new Map<string, number>();
  readonly #heldAt = new Map<string, number>();
  readonly #planned: number[] = [];
  readonly #needless: string[] = [];
  readonly #broken: string[] = [];

  constructor(
    private readonly options: SimOptions,
    private readonly scene: Scene,
  ) {}

  result(): Omit<SimResult, "restlessWrites" | "memberWritesPerSecond" | "events"> {
    const live = this.scene.nodes.filter((node) => node.alive);
    const counts = live.map((node) => [...node.kernel.values()].filter((end) => end > this.#now).length);
    const planned = this.#planned.toSorted((a, b) => a - b);
    return {
      overlapMs: this.#overlap.ms,
      overlapText: this.#overlap.text,
      handOverMs: planned.at(-1) ?? 0,
      handOverMedianMs: planned[Math.floor(planned.length / 2)] ?? 0,
      gapMs: this.#gap.ms,
      gapText: this.#gap.text,
      moves: this.#takeovers,
      handOvers: this.#handOvers,
      needless: this.#needless,
      broken: this.#broken,
      spread: [Math.min(...counts), Math.max(...counts)],
      unheld: [...this.scene.keys].filter((key) => this.#holders(key).length === 0).length,
      fencedAlive: this.#fencedAlive,
    };
  }

  moved({ key, old, next, writer }: Change): void {
    const by = this.scene.nodes.find(({ name }) => name === writer);
    if (by === undefined) return;
    if (next !== undefined && old?.owner.node !== next.owner.node) {
      this.#takeovers += 1;
      if (next.from !== undefined && next.from.node === old?.owner.node) {
        this.#handOvers += 1;
        this.#overlapSince.delete(`${key} planned`);
        this.#took.set(key, { from: old.owner.node, to: next.owner.node, at: this.#now });
      }
    }
    const offers = old?.owner.node === writer && next?.heir !== undefined && old.heir?.node !== next.heir.node;
    const rebalancing = (this.options.config?.rebalanceRate ?? 0) > 0;
    // A write under way may be older than the reason's end.
    const reason = by.state.member.stance !== "in" || (by.fits.get(key) ?? "run") !== "run" || this.#now - by.goodSince < 12_000 || rebalancing;
    if (offers && !reason) this.#needless.push(`${Math.round(this.#now)}: ${writer} offers ${key} to ${next.heir?.node}`);
  }

  fenced(name: string): void {
    const node = this.scene.nodes.find((other) => other.name === name);
    const since = this.#now - 10_000;
    if (node?.alive === true && node.frozenUntil < since && node.cutUntil < since && node.state.member.stance !== "out") this.#fencedAlive += 1;
  }

  broken(rule: string): void {
    this.#broken.push(`${Math.round(this.#now)}: ${rule}`);
  }

  /** The key is not what it was: a Service came or went. */
  forget(key: string): void {
    this.#heldAt.delete(key);
    this.#took.delete(key);
    this.#overlapSince.delete(`${key} planned`);
  }

  check(): void {
    for (const key of this.scene.keys) {
      const holders = this.#holders(key);
      this.#checkOverlap(key, holders);
      this.#checkGap(key, holders.length > 0);
    }
  }

  #checkOverlap(key: string, holders: readonly SimNode[]): void {
    const took = this.#took.get(key);
    if (took !== undefined && !holders.some(({ name }) => name === took.from)) {
      const both = this.#overlapSince.get(`${key} planned`);
      if (both !== undefined) this.#planned.push(this.#now - both);
      this.#overlapSince.delete(`${key} planned`);
      this.#took.delete(key);
    }
    if (holders.length < 2) {
      this.#overlapSince.delete(key);
      return;
    }
    const pair = holders.length === 2 && took !== undefined && holders.every(({ name }) => name === took.from || name === took.to);
    if (pair && this.#now < took.at + HAND_OVER_BOUND_MS) {
      if (!this.#overlapSince.has(`${key} planned`)) this.#overlapSince.set(`${key} planned`, this.#now);
      return;
    }
    const since = this.#overlapSince.get(key) ?? this.#now;
    this.#overlapSince.set(key, since);
    const ms = this.#now - since;
    if (ms >= this.#overlap.ms) this.#overlap = { ms, text: `${Math.round(this.#now)}: ${key} at ${holders.map(({ name }) => name).join(", ")}` };
  }

  #checkGap(key: string, held: boolean): void {
    const good = this.scene.nodes.some((node) => node.alive && node.frozenUntil < this.#now && node.state.member.stance === "in" && (node.fits.get(key) ?? "run") === "run");
    if (held || !good || (this.scene.calmSince() > this.#now && this.options.strict !== true)) this.#heldAt.set(key, this.#now);
    const ms = this.#now - (this.#heldAt.get(key) ?? this.#now);
    if (!this.#heldAt.has(key)) this.#heldAt.set(key, this.#now);
    if (ms > this.#gap.ms) this.#gap = { ms, text: `${Math.round(this.#now)}: ${key}` };
  }
  #holders(key: string): SimNode[] {
    return this.scene.nodes.filter((node) => (node.kernel.get(key) ?? -1) > this.#now);
  }

  get #now(): number {
    return this.scene.now();
  }
}
