import { describe, expect, it, test } from "vitest";
import { placementAsked } from "../../src/core/placement-asked.js";
import { together } from "../../src/core/plan-wishes.js";
import { plan } from "../../src/core/plan.js";
import type { Wish } from "../../src/machine/claim-state.js";
import { fakeService } from "../fakes/service.js";
import { MINE, owning, PLAN_CONFIG, worldWith } from "./given.js";

const LOAD = "vip.internal/load";
const NODES = "vip.internal/preferred-nodes";

it.each<readonly [string, Readonly<Record<string, string>>, { readonly weight?: number; readonly preferred?: readonly string[]; readonly problems?: readonly string[] }]>([
  ["nothing", {}, {}],
  ["a load", { [LOAD]: "2.5" }, { weight: 2.5 }],
  ["nodes, the best one first", { [NODES]: " N2, n1 ,n2," }, { preferred: ["n2", "n1"] }],
  ["nodes that look like addresses", { [NODES]: "192.0.2.1" }, { preferred: ["192.0.2.1"] }],
  ["no number", { [LOAD]: "much" }, { problems: [`${LOAD} is "much": expected a number above 0, up to 1000`] }],
  ["a load of nothing", { [LOAD]: "0" }, { problems: [`${LOAD} is "0": expected a number above 0, up to 1000`] }],
  ["too much", { [LOAD]: "1001" }, { problems: [`${LOAD} is "1001": expected a number above 0, up to 1000`] }],
  ["a name that is none, beside one", { [NODES]: "n1,no_de" }, { preferred: ["n1"], problems: [`${NODES} has "no_de": expected names of nodes, comma separated`] }],
])("a Service that says %s", (_name, annotations, { weight = 1, preferred = [], problems = [] }) => {
  expect(placementAsked({ annotations })).toEqual({ weight, preferred, problems });
});

test("of too many names the first ones count", () => {
  const { preferred, problems } = placementAsked({ annotations: { [NODES]: Array.from({ length: 20 }, (_, i) => `n${i}`).join(",") } });
  expect([preferred.length, preferred[0], problems]).toEqual([16, "n0", [`${NODES} has 20 names: expected up to 16, the first ones count`]]);
});

test("a group counts as its heaviest Service, and the oldest one that prefers nodes decides", () => {
  const wish = (weight: number, ...preferred: readonly string[]): Wish => ({ fit: "run", nodes: undefined, weight, preferred });
  expect(together(wish(1), wish(3, "n2"))).toMatchObject({ weight: 3, preferred: ["n2"] });
  expect(together(wish(3, "n1"), wish(1, "n2"))).toMatchObject({ weight: 3, preferred: ["n1"] });
});

describe("the plan", () => {
  const service = fakeService({ loadBalancerIP: "192.0.2.10", annotations: { [LOAD]: "4", [NODES]: "n2,x_y" } });
  const world = worldWith([service], owning({ services: MINE, "svc/192.0.2.10": MINE }));

  test("wishes for it, and tells what does not count", () => {
    const { wishes, events } = plan(world, { ...PLAN_CONFIG, election: true });
    expect(wishes?.get("svc/192.0.2.10")).toMatchObject({ weight: 4, preferred: ["n2"] });
    const told = [...events.values()].filter(({ reason }) => reason === "InvalidPlacement");
    expect(told.map(({ type, message }) => [type, message])).toEqual([["Warning", `${NODES} has "x_y": expected names of nodes, comma separated`]]);
  });

  test("does not mind where all Services have one owner", () => {
    const { events } = plan(world, PLAN_CONFIG);
    expect([...events.values()].some(({ reason }) => reason === "InvalidPlacement")).toBe(false);
  });
});
