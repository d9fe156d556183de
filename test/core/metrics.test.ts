import { describe, expect, test } from "vitest";
import { Takeovers, type Takeover } from "../../src/core/metrics.js";
import type { OwnershipKey } from "../../src/core/model.js";
import type { Observation } from "../../src/core/sync.js";
import { givenOwner, givenPass, givenVip } from "../cli/metrics-given.js";

type State = Observation<void>["state"];

/** One pass: who owns the Services, the states of their VIPs, whether everything is known. */
interface Row {
  readonly at: number;
  readonly held: boolean;
  readonly vips?: readonly State[];
  readonly settled?: boolean;
}

function run(rows: readonly Row[]): readonly Takeover[] {
  const takeovers = new Takeovers();
  return rows.flatMap(({ at, held, vips = [], settled = true }) => {
    const wanted = vips.map((_, i) => givenVip(`192.0.2.${i + 1}`));
    const observed = new Map(wanted.map((vip, i) => [vip.key, { state: vips[i] ?? "pending" } as Observation<void>]));
    const ownership = new Map<OwnershipKey, ReturnType<typeof givenOwner>>([["services", givenOwner(held)]]);
    return takeovers.pass(givenPass({ vips: wanted, world: { ownership, observed }, plan: { settled } }), at).done;
  });
}

describe("a take-over", () => {
  test.each<readonly [string, readonly Row[], readonly (readonly [ms: number, vips: number])[]]>([
    ["ends with the last VIP", [{ at: 0, held: true, vips: ["pending", "pending"] }, { at: 10, held: true, vips: ["up", "pending"] }, { at: 30, held: true, vips: ["up", "up"] }], [[30, 2]]],
    ["does not wait for a VIP that failed", [{ at: 0, held: true, vips: ["pending", "pending"] }, { at: 20, held: true, vips: ["failed", "up"] }], [[20, 1]]],
    ["waits until everything is known", [{ at: 0, held: true, settled: false }, { at: 50, held: true, vips: ["pending"] }, { at: 60, held: true, vips: ["up"] }], [[60, 1]]],
    ["is none without VIPs, also when one comes later", [{ at: 0, held: true }, { at: 500, held: true, vips: ["up"] }], []],
    ["that is lost before its end is none", [{ at: 0, held: true, vips: ["pending"] }, { at: 10, held: false }, { at: 20, held: false, vips: ["up"] }], []],
    ["comes again after a loss", [{ at: 0, held: true, vips: ["up"] }, { at: 10, held: false }, { at: 20, held: true, vips: ["pending"] }, { at: 25, held: true, vips: ["up"] }], [[0, 1], [5, 1]]],
  ])("%s", (_name, rows, expected) => {
    expect(run(rows).map(({ ms, vips }) => [ms, vips])).toEqual(expected);
  });
});
