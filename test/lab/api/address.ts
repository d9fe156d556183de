import { isIP } from "node:net";

/** Hands out numbers of a range, each once until it is given back. */
export class Pool {
  readonly #first: number;
  readonly #last: number;
  readonly #taken = new Set<number>();
  #next: number;

  constructor(first: number, last: number) {
    this.#first = first;
    this.#last = last;
    this.#next = first;
  }

  /** The next free number; undefined when all are taken. */
  take(): number | undefined {
    for (let tries = this.#first; tries <= this.#last; tries += 1) {
      const candidate = this.#next;
      this.#next = candidate >= this.#last ? this.#first : candidate + 1;
      if (this.claim(candidate)) return candidate;
    }
    return undefined;
  }

  /** Takes a given number; false when it is taken or out of range. */
  claim(number: number): boolean {
    if (!this.has(number) || this.#taken.has(number)) return false;
    this.#taken.add(number);
    return true;
  }

  /** Whether the number lies in the range. */
  has(number: number): boolean {
    return number >= this.#first && number <= this.#last;
  }

  /** Whether the number is taken. */
  taken(number: number): boolean {
    return this.#taken.has(number);
  }

  /** Gives a number back. */
  free(number: number): void {
    this.#taken.delete(number);
  }
}

/** The number of a dotted IPv4 address. */
export function ipv4Number(text: string): number {
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** The dotted text of an IPv4 number. */
export function ipv4Text(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
}

/** "IPv4", "IPv6" or undefined for text that is no address. */
export function familyOf(text: string): "IPv4" | "IPv6" | undefined {
  const family = isIP(text);
  return family === 4 ? "IPv4" : family === 6 ? "IPv6" : undefined;
}
