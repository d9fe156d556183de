import { describe, expect, test } from "vitest";
import type { PeerView } from "../../src/core/explain-input.js";
import { serviceReport, type KnownReport } from "../../src/core/explain-service.js";
import { nodeReport } from "../../src/core/explain.js";
import { routeKey, type RouteKey, type ServiceKey } from "../../src/core/model.js";
import type { Observation } from "../../src/core/sync.js";
import type { World } from "../../src/core/world.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { inputOf, ip, THEIRS, worldOf } from "./explain-input.js";

const web = fakeService({ loadBalancerIP: "192.0.2.10", ingress: [fakeIngress("192.0.2.10")], annotations: { "kube-vip.io/vipHost": "n2", "vip.internal/announced": '{"addresses":["192.0.2.10"],"node":"n2"}' } });
const KEY = "default/web" as ServiceKey;
const ROUTE = routeKey(ip("192.0.2.10"), 32);
const BGP = { iface: "lo", bgp: { electControlPlane: false, attachServices: false } };
const UP: Observation<void> = { state: "up", result: undefined };
const THERE: Partial<World> = { ownership: new Map([["services", THEIRS]]), observedRoutes: new Map([[ROUTE, UP]]) };

function peer(name: string, part: Partial<PeerView> & { readonly keys?: readonly RouteKey[] } = {}): PeerView {
  return { name, state: "Established", problem: "", has: (key) => (part.keys ?? [ROUTE]).includes(key), ...part };
}

function why(world: World, peers: readonly PeerView[]): KnownReport {
  const report = serviceReport(inputOf(world, { config: BGP, peers }), KEY);
  if (report.type !== "known") throw new Error(report.type);
  return report;
}

const tor1 = peer("tor1");
const tor2 = peer("tor2", { state: "Active", problem: "connect to 192.0.2.2 port 179: ECONNREFUSED", keys: [] });

describe("why a Service is announced by BGP, or not", () => {
  test("to which peers, and why not to the others, by a node that owns nothing", () => {
    const { verdict, steps, routes } = why(worldOf([web], THERE), [tor1, tor2]);
    expect(verdict).toMatchObject({ kind: "here", text: "announced here (node n1) to 1 of 2 peers", since: { seconds: 90 }, but: "" });
    expect(steps.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    expect(steps.find(({ rule }) => rule === "announced")?.observed).toBe("192.0.2.10/32: announced to tor1; not to tor2 (Active: connect to 192.0.2.2 port 179: ECONNREFUSED)");
    expect(steps.find(({ rule }) => rule === "ownership")?.observed).toContain("its status is written by n2");
    expect(routes).toMatchObject([{ key: ROUTE, state: "up", peers: ["tor1"], without: [{ peer: "tor2" }], ownership: null }]);
  });

  test.each<readonly [string, readonly PeerView[], string, string]>([
    ["no session is up", [tor2], "no", "not served: announced: 192.0.2.10/32: no peer has it; not to tor2 (Active: connect to 192.0.2.2 port 179: ECONNREFUSED)"],
    ["there is no peer", [], "no", "not served: announced: no BGP peer is configured"],
    ["it was not sent yet", [peer("tor1", { keys: [] })], "pending", "not served yet: announced: 192.0.2.10/32: no peer has it; not to tor1 (not sent yet)"],
    ["the peer lacks its family", [peer("tor1", { keys: [], problem: "the peer takes no IPv4" })], "pending", "not served yet: announced: 192.0.2.10/32: no peer has it; not to tor1 (the peer takes no IPv4)"],
  ])("%s", (_name, peers, kind, text) => {
    expect(why(worldOf([web], THERE), peers).verdict).toMatchObject({ kind, text });
  });

  test("other nodes have its endpoints: it is served, and by whom", () => {
    const local = { ...web, externalTrafficPolicy: "Local" } as const;
    const endpoints = new Map([[KEY, { serving: true, onNodes: true, local: "none", readyElsewhere: true, readyNodes: ["n2", "n3", "n4", "n5"], targets: [] } as const]]);
    const { verdict, steps } = why(worldOf([local], { ...THERE, endpoints }), [tor1]);
    expect(verdict).toMatchObject({ kind: "elsewhere", text: "not announced here: no endpoint of it is on node n1, and externalTrafficPolicy is Local; announced by n2, n3, n4 and 1 more" });
    expect(steps.at(-1)).toMatchObject({ rule: "endpoints", outcome: "refused", code: "noLocalEndpoint" });
  });
});

test("a node tells its routes, and counts a Service as served once a peer has it", () => {
  const of = (peers: readonly PeerView[]) => nodeReport(inputOf(worldOf([web], THERE), { config: BGP, peers }));
  expect(of([tor1, tor2])).toMatchObject({ vips: [], routes: [{ key: ROUTE, services: [KEY], peers: ["tor1"] }], services: { known: 1, served: 1 } });
  expect(of([tor2])).toMatchObject({ services: { served: 0 } });
});
