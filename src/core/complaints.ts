import type { Clock } from "../ports/clock.js";

/** The same complaint again is worth a line at counts 1, 2, 4, 8 … and at least this often; counts start anew after so long without it. */
const AGAIN_MS = 60_000;
/** One about access rules, which stay as they are until somebody changes them, only the first time and this often. */
const FORBIDDEN_AGAIN_MS = 300_000;

interface Said {
  readonly count: number;
  readonly saidAt: number;
  readonly lastAt: number;
}

/** Keeps what fails again and again from filling the log. A success in between changes nothing: in a storm every other request may go through. */
export class Complaints {
  readonly #said = new Map<string, Said>();

  constructor(private readonly clock: Clock) {}

  /** How often `subject` has failed with `code` lately, where that is worth a line now. Both are of small sets: nothing is forgotten. */
  worthSaying(subject: string, code: string): number | undefined {
    const now = this.clock.now();
    const key = `${subject} ${code}`;
    const againMs = code === "forbidden" ? FORBIDDEN_AGAIN_MS : AGAIN_MS;
    const known = this.#said.get(key);
    const before = known !== undefined && now - known.lastAt < againMs ? known : undefined;
    const count = (before?.count ?? 0) + 1;
    const power = code !== "forbidden" && (count & (count - 1)) === 0;
    const say = before === undefined || power || now - before.saidAt >= againMs;
    this.#said.set(key, { count, saidAt: say ? now : before.saidAt, lastAt: now });
    return say ? count : undefined;
  }
}
