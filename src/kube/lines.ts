const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines. A chunk may end anywhere, also inside a UTF-8 sequence: text is made of whole lines only, and 0x0a is never
 * part of a longer sequence.
 */
export class LineCutter {
  readonly #limit: number;
  #rest: Buffer[] = [];
  #restLength = 0;

  /** `limit`: longest line in bytes; a longer one is a RangeError. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes of a line that has not ended. */
  get pending(): number {
    return this.#restLength;
  }

  /** The lines that `chunk` completes, without the empty ones. */
  push(chunk: Buffer): readonly string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = this.#line(chunk.subarray(start, end));
      if (line !== "") lines.push(line);
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  #line(tail: Buffer): string {
    this.#check(tail.length);
    if (this.#restLength === 0) return tail.toString("utf8");
    const whole = Buffer.concat([...this.#rest, tail]);
    this.#rest = [];
    this.#restLength = 0;
    return whole.toString("utf8");
  }

  #keep(part: Buffer): void {
    this.#check(part.length);
    this.#rest.push(part);
    this.#restLength += part.length;
  }

  #check(more: number): void {
    if (this.#restLength + more > this.#limit) throw new RangeError(`a line of more than ${this.#limit} bytes`);
  }
}
