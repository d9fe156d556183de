/**
 * Writes forward into a buffer of a fixed capacity. Going past its end is a RangeError: the capacity is the encoder's own promise. No DataView, as in
 * `Reader`.
 */
export class Writer {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#position;
  }

  u8(value: number): this {
    this.#bytes[this.#take(1)] = value;
    return this;
  }

  /** 16 bits in network order. */
  u16(value: number): this {
    return this.u8(value >>> 8).u8(value);
  }

  /** 32 bits in network order. */
  u32(value: number): this {
    return this.u16(value >>> 16).u16(value);
  }

  u16le(value: number): this {
    return this.u8(value).u8(value >>> 8);
  }

  u32le(value: number): this {
    return this.u16le(value).u16le(value >>> 16);
  }

  bytes(value: Uint8Array): this {
    this.#bytes.set(value, this.#take(value.length));
    return this;
  }

  zeros(count: number): this {
    this.#take(count);
    return this;
  }

  /** What was written. Nothing is to be written afterwards: where the buffer is full, these are its own octets. */
  finish(): Uint8Array {
    return this.#position === this.#bytes.length ? this.#bytes : this.#bytes.slice(0, this.#position);
  }

  #take(length: number): number {
    const start = this.#position;
    if (start + length > this.#bytes.length) throw new RangeError(`the writer holds ${this.#bytes.length} octets, ${start + length} needed`);
    this.#position += length;
    return start;
  }
}
