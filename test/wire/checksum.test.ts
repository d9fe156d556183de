import { describe, expect, it } from "vitest";

import { internetChecksum } from "../../src/wire/checksum.js";
import { fromHex } from "./hex.js";

describe("internetChecksum", () => {
  it.each([
    // RFC 1071 3: the sum of these is ddf2.
    { name: "example of RFC 1071", hex: "0001f203f4f5f6f7", checksum: ~0xddf2 & 0xffff },
    { name: "nothing", hex: "", checksum: 0xffff },
    { name: "an odd octet counts as the upper half", hex: "01", checksum: 0xfeff },
    // The header that most textbooks work through: to its checksum b861.
    { name: "a header with its checksum", hex: "45000073000040004011b861c0a80001c0a800c7", checksum: 0 },
  ])("$name", ({ hex, checksum }) => {
    expect(internetChecksum(fromHex(hex))).toBe(checksum);
  });

  it("takes parts as one; only the last may be odd", () => {
    expect(internetChecksum(fromHex("0001f203"), fromHex("f4f5f6f7"))).toBe(~0xddf2 & 0xffff);
    expect(() => internetChecksum(fromHex("01"), fromHex("02"))).toThrow(RangeError);
  });

  it("does not overflow", () => {
    expect(internetChecksum(new Uint8Array(131_072).fill(0xff))).toBe(0);
  });
});
