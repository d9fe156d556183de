import type { GratuitousOp, VipAnswerers } from "../answerers.js";

const MAX_GRATUITOUS = 1_000;

function macText(hex: string): string {
  return hex.replace(/(..)(?=.)/g, "$1:");
}

/** What is known of one address: round by round, who answered. */
export class RoundBook {
  readonly vip: string;
  readonly #intervalMs: number;
  readonly #macs = new Map<string, number>();
  readonly #holders: { macs: string; from: number; to: number }[] = [];
  readonly #gratuitous: { mac: string; at: number; op: GratuitousOp }[] = [];
  #asked: number | undefined;
  #replied = new Set<string>();
  #rounds = 0;
  #answered = 0;
  #lastAnswered: number | undefined;
  #longestGap = 0;
  #overlapStart: number | undefined;
  #overlap = 0;

  constructor(vip: string, intervalMs: number) {
    this.vip = vip;
    this.#intervalMs = intervalMs;
  }

  /** A new round begins: a request was sent. */
  ask(now: number): void {
    this.#close();
    this.#asked = now;
    this.#rounds += 1;
  }

  /** A reply to the newest request. */
  reply(mac: string): void {
    this.#replied.add(mac);
  }

  /** An announcement that nobody asked for. */
  gratuitous(mac: string, at: number, op: GratuitousOp): void {
    if (this.#gratuitous.length < MAX_GRATUITOUS) this.#gratuitous.push({ mac: macText(mac), at, op });
  }

  /** Closes the last round and sums up. */
  result(ended: number): VipAnswerers {
    this.#close();
    return {
      vip: this.vip,
      rounds: this.#rounds,
      answeredRounds: this.#answered,
      macs: Object.fromEntries([...this.#macs].map(([mac, replies]) => [macText(mac), replies])),
      holders: this.#holders,
      overlapMs: this.#overlap,
      longestGapMs: this.#longestGap,
      silentAtEndMs: this.#lastAnswered === undefined ? this.#rounds * this.#intervalMs : ended - this.#lastAnswered,
      gratuitous: this.#gratuitous,
    };
  }

  #close(): void {
    const at = this.#asked;
    const replied = this.#replied;
    this.#asked = undefined;
    this.#replied = new Set();
    if (at === undefined) return;
    if (replied.size < 2) this.#overlapStart = undefined;
    if (replied.size === 0) return;
    this.#answered += 1;
    if (this.#lastAnswered !== undefined) this.#longestGap = Math.max(this.#longestGap, at - this.#lastAnswered);
    this.#lastAnswered = at;
    for (const mac of replied) this.#macs.set(mac, (this.#macs.get(mac) ?? 0) + 1);
    this.#noteHolders([...replied].map(macText).sort().join("+"), at);
    if (replied.size < 2) return;
    this.#overlapStart ??= at;
    this.#overlap = Math.max(this.#overlap, at - this.#overlapStart + this.#intervalMs);
  }

  #noteHolders(macs: string, at: number): void {
    const last = this.#holders.at(-1);
    if (last?.macs === macs) last.to = at;
    else this.#holders.push({ macs, from: at, to: at });
  }
}
