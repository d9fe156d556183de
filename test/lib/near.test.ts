import { describe, expect, test } from "vitest";
import { distance, isLikely, nearest } from "../../src/lib/near.js";

describe("names that look alike", () => {
  test.each([
    ["", "", 0],
    ["vip", "VIP", 0],
    ["vip", "vi", 1],
    ["vip", "vipp", 1],
    ["kitten", "sitting", 3],
    ["", "abc", 3],
  ])("%s and %s differ by what has to be put, taken or replaced", (a, b, wrong) => {
    expect(distance(a, b)).toBe(wrong);
    expect(distance(b, a)).toBe(wrong);
  });

  test("the nearest is the first of equals, and a third of the letters may be wrong", () => {
    const near = nearest("vip_arprate", ["vip_address", "vip_arpRate", "VIP_ARPRATE"]);
    expect(near).toEqual({ name: "vip_arpRate", distance: 0 });
    expect([isLikely("abcdef", { name: "", distance: 2 }), isLikely("abcdef", { name: "", distance: 3 })]).toEqual([true, false]);
    expect(nearest("vip", [])).toBeUndefined();
  });
});
