/** `truncated`: the input ends too early; `length`: a length field that cannot be; `value`: a field whose value we cannot work with. */
export type DecodeErrorCode = "truncated" | "length" | "value";

/** Thrown by every decoder of this folder, and the only thing that they throw. `offset` counts from the start of the input. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";

  constructor(
    readonly code: DecodeErrorCode,
    readonly offset: number,
    what: string,
  ) {
    super(`${what} at offset ${offset}`);
  }
}

/**
 * Reads forward through bytes that someone else made. Throws DecodeError at the end of the input, never clamps. No DataView: V8 would move the octets of
 * a small array out of its heap for one, which costs more than all that is read through it.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #base: number;
  #position = 0;

  /** `base` is where `bytes` begin in the whole input, so that errors of a part name the right offset. */
  constructor(bytes: Uint8Array, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
  }

  /** Offset of the next octet in the whole input. */
  get offset(): number {
    return this.#base + this.#position;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  u8(): number {
    return this.#at(this.#take(1));
  }

  /** 16 bits in network order. */
  u16(): number {
    const at = this.#take(2);
    return (this.#at(at) << 8) | this.#at(at + 1);
  }

  /** 32 bits in network order. */
  u32(): number {
    const at = this.#take(4);
    return ((this.#at(at) << 24) | (this.#at(at + 1) << 16) | (this.#at(at + 2) << 8) | this.#at(at + 3)) >>> 0;
  }

  u16le(): number {
    const at = this.#take(2);
    return this.#at(at) | (this.#at(at + 1) << 8);
  }

  u32le(): number {
    return this.i32le() >>> 0;
  }

  i32le(): number {
    const at = this.#take(4);
    return this.#at(at) | (this.#at(at + 1) << 8) | (this.#at(at + 2) << 16) | (this.#at(at + 3) << 24);
  }

  /** A copy of the next `length` octets. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.slice(start, start + length);
  }

  /** A reader of the next `length` octets only. */
  part(length: number): Reader {
    const base = this.offset;
    const start = this.#take(length);
    return new Reader(this.#bytes.subarray(start, start + length), base);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** `at` was given by `#take`. */
  #at(at: number): number {
    return this.#bytes[at] ?? 0;
  }

  #take(length: number): number {
    if (length > this.remaining) {
      throw new DecodeError("truncated", this.offset, `${length} octets wanted, ${this.remaining} left`);
    }
    const start = this.#position;
    this.#position += length;
    return start;
  }
}
