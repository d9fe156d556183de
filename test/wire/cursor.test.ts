import { describe, expect, it } from "vitest";

import { DecodeError, Reader } from "../../src/wire/reader.js";
import { Writer } from "../../src/wire/writer.js";

describe("Reader", () => {
  it("reads both byte orders and keeps count", () => {
    const reader = new Reader(Uint8Array.of(1, 0, 2, 0, 0, 0, 3, 4, 0, 5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff));
    expect([reader.u8(), reader.u16(), reader.u32(), reader.u16le(), reader.u32le(), reader.i32le()]).toEqual([1, 2, 3, 4, 5, -1]);
    expect(reader.remaining).toBe(0);
  });

  it("has no sign where there is none", () => {
    expect(new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff)).u32()).toBe(0xffff_ffff);
  });

  it("throws at the end of the input and never clamps", () => {
    const reader = new Reader(Uint8Array.of(1, 2, 3));
    reader.skip(1);
    expect(() => reader.u32()).toThrow(new DecodeError("truncated", 1, "4 octets wanted, 2 left"));
    expect(() => reader.bytes(3)).toThrow(DecodeError);
    expect(reader.u16()).toBe(0x0203);
  });

  it("names offsets of the whole input in a part, which ends where it ends", () => {
    const reader = new Reader(Uint8Array.of(0, 0, 7, 8, 9), 100);
    reader.skip(2);
    const part = reader.part(2);
    expect(part.offset).toBe(102);
    expect(part.u8()).toBe(7);
    expect(() => part.u16()).toThrow(expect.objectContaining({ code: "truncated", offset: 103 }) as Error);
    expect(reader.u8()).toBe(9);
  });

  it("gives copies", () => {
    const input = Uint8Array.of(1, 2);
    const copy = new Reader(input).bytes(2);
    input[0] = 9;
    expect(copy).toEqual(Uint8Array.of(1, 2));
  });
});

describe("Writer", () => {
  it("writes both byte orders", () => {
    const bytes = new Writer(20).u8(1).u16(2).u32(3).u16le(4).u32le(5).zeros(1).bytes(Uint8Array.of(6)).finish();
    expect([...bytes]).toEqual([1, 0, 2, 0, 0, 0, 3, 4, 0, 5, 0, 0, 0, 0, 6]);
  });

  it("never goes past its capacity", () => {
    expect(() => new Writer(3).u32(1)).toThrow(RangeError);
  });
});
