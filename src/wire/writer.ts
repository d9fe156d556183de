/** Writes forward into a buffer of a fixed capacity. Going past its end is a RangeError: the capacity is the encoder's own promise. */
export class Writer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#position;
  }

  u8(value: number): this {
    this.#view.setUint8(this.#take(1), value);
    return this;
  }

  /** 16 bits in network order. */
  u16(value: number): this {
    this.#view.setUint16(this.#take(2), value);
    return this;
  }

  /** 32 bits in network order. */
  u32(value: number): this {
    this.#view.setUint32(this.#take(4), value);
    return this;
  }

  u16le(value: number): this {
    this.#view.setUint16(this.#take(2), value, true);
    return this;
  }

  u32le(value: number): this {
    this.#view.setUint32(this.#take(4), value, true);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#bytes.set(value, this.#take(value.length));
    return this;
  }

  zeros(count: number): this {
    this.#take(count);
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#position);
  }

  #take(length: number): number {
    const start = this.#position;
    if (start + length > this.#bytes.length) throw new RangeError(`the writer holds ${this.#bytes.length} octets, ${start + length} needed`);
    this.#position += length;
    return start;
  }
}
