import { describe, expect, test } from "vitest";
import { controlPlaneStandsBack, DRAIN, isToReturn, standsBack, WEIGHT, weightOf } from "../../src/core/node-standing.js";
import { plan } from "../../src/core/plan.js";
import type { Node } from "../../src/ports/kube.js";
import { fakeNode, fakeNodes } from "../fakes/node.js";
import { PLAN_CONFIG, worldWith } from "./given.js";

const MOVE = { moveCordoned: true };
const DRAINED = { annotations: { [DRAIN]: "true" } };

function known(own: Partial<Node>, other: Partial<Node> = {}, drained = false) {
  return { node: "n1", nodes: fakeNodes(fakeNode("n1", own), fakeNode("n2", other)), drained };
}

describe("whether a node hands its VIPs over", () => {
  test.each([
    { name: "nothing is the matter", own: {}, other: {}, want: undefined },
    { name: "it is cordoned", own: { cordoned: true }, other: {}, want: "cordoned" },
    { name: "all are cordoned", own: { cordoned: true }, other: { cordoned: true }, want: undefined },
    { name: "it is not ready", own: { ready: false }, other: {}, want: "notReady" },
    { name: "no other is ready", own: { ready: false }, other: { ready: false }, want: undefined },
    { name: "it is not ready and the other one is cordoned", own: { ready: false }, other: { cordoned: true }, want: "notReady" },
    { name: "it is cordoned and the other one is not ready", own: { cordoned: true }, other: { ready: false }, want: undefined },
    { name: "it is excluded from load balancers", own: { excluded: true }, other: {}, want: "excluded" },
    { name: "it is excluded as kubeadm does with the control plane", own: { excluded: true, controlPlane: true }, other: {}, want: undefined },
    { name: "all are cordoned and it is drained, too", own: { cordoned: true, ...DRAINED }, other: { cordoned: true }, want: "drained" },
    { name: "an annotation says something else than true", own: { annotations: { [DRAIN]: "no" } }, other: {}, want: undefined },
  ] satisfies readonly { name: string; own: Partial<Node>; other: Partial<Node>; want: string | undefined }[])("$name: $want", ({ own, other, want }) => {
    expect(standsBack(known(own, other), MOVE)).toBe(want);
  });

  test("a cordon changes nothing where that is set", () => {
    expect(standsBack(known({ cordoned: true }), { moveCordoned: false })).toBeUndefined();
  });

  test("this process was asked to: also where no node can be listed", () => {
    expect(standsBack(known({}, {}, true), MOVE)).toBe("drained");
    expect(standsBack({ node: "n1", nodes: new Map(), drained: true }, MOVE)).toBe("drained");
    expect(standsBack(known({}, DRAINED, true), MOVE)).toBeUndefined();
  });

  test("it is the only node", () => {
    expect(standsBack({ node: "n1", nodes: fakeNodes(fakeNode("n1", { ready: false, ...DRAINED })), drained: true }, MOVE)).toBeUndefined();
  });

  test.each([
    { name: "nothing is the matter", at: known({}), want: true },
    { name: "it is excluded as kubeadm does with the control plane", at: known({ excluded: true, controlPlane: true }), want: true },
    { name: "no node can be listed", at: { node: "n1", nodes: new Map(), drained: false }, want: true },
    { name: "it is cordoned, as all others are", at: known({ cordoned: true }, { cordoned: true }), want: false },
    { name: "it is not ready, as all others are", at: known({ ready: false }, { ready: false }), want: false },
    { name: "it is drained by its annotation", at: known(DRAINED), want: false },
    { name: "this process was asked to", at: known({}, {}, true), want: false },
    { name: "this process was asked to, and no node can be listed", at: { node: "n1", nodes: new Map(), drained: true }, want: false },
    { name: "it is no node any more", at: { node: "n1", nodes: fakeNodes(fakeNode("n2")), drained: false }, want: false },
  ])("another process is expected on the node where $name: $want", ({ at, want }) => {
    expect(isToReturn(at)).toBe(want);
  });

  test("the control-plane VIP goes only where somebody asked for it", () => {
    expect(controlPlaneStandsBack(known({ cordoned: true, ready: false, excluded: true }))).toBe(false);
    expect([controlPlaneStandsBack(known(DRAINED)), controlPlaneStandsBack(known({}, {}, true))]).toEqual([true, true]);
  });

  test.each([
    ["3", 3],
    ["0.5", 0.5],
    ["0", 1],
    ["many", 1],
    ["", 1],
    ["Infinity", 1],
  ])("a weight of %j is %d", (text, want) => {
    expect(weightOf(known({ annotations: { [WEIGHT]: text } }))).toBe(want);
  });

  test("the plan is relieved of the Services and of keys that are shared out, and not of the control plane", () => {
    const config = { ...PLAN_CONFIG, controlPlane: PLAN_CONFIG.controlPlane };
    const { nodes } = known({ cordoned: true, annotations: { [WEIGHT]: "2" } });
    const { campaigns, terms } = plan(worldWith([], { nodes }), config);
    expect([campaigns.get("services"), terms]).toEqual(["spare", { drain: true, weight: 2 }]);
    expect(plan(worldWith([]), config)).toMatchObject({ campaigns: new Map([["services", "run"]]), terms: { drain: false, weight: 1 } });
  });
});
