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

/** Reads forward through bytes that someone else made. Throws DecodeError at the end of the input, never clamps. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  #position = 0;

  /** `base` is where `bytes` begin in the whole input, so that errors of a part name the right offset. */
  constructor(bytes: Uint8Array, base = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
    return this.#view.getUint8(this.#take(1));
  }

  /** 16 bits in network order. */
  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  /** 32 bits in network order. */
  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u16le(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32le(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32le(): number {
    return this.#view.getInt32(this.#take(4), true);
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

  #take(length: number): number {
    if (length > this.remaining) {
      throw new DecodeError("truncated", this.offset, `${length} octets wanted, ${this.remaining} left`);
    }
    const start = this.#position;
    this.#position += length;
    return start;
  }
}
