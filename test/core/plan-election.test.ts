import { describe, expect, test } from "vitest";
import type { OwnershipKey } from "../../src/core/model.js";
import { plan, type Plan } from "../../src/core/plan.js";
import type { ServiceEndpoints } from "../../src/core/endpoints.js";
import type { OwnershipState, World } from "../../src/core/world.js";
import type { Service } from "../../src/ports/kube.js";
import { parsePools } from "../../src/core/pools.js";
import { fakeService } from "../fakes/service.js";
import { ELSEWHERE, FREE, MINE, PLAN_CONFIG, readyEndpoints, THEIRS, worldWith } from "./given.js";

const A = "192.0.2.10";
const B = "192.0.2.11";

function at(name: string, address: string, part: Partial<Service> = {}): Service {
  return fakeService({ name, uid: `uid-${name}`, loadBalancerIP: address, ...part });
}

function planned(services: readonly Service[], owned: Readonly<Record<string, OwnershipState>> = {}, part: Partial<World> = {}): Plan {
  const ownership = new Map(Object.entries({ services: THEIRS, ...owned }) as [OwnershipKey, OwnershipState][]);
  return plan({ ...worldWith(services), ownership, ...part }, { ...PLAN_CONFIG, election: true });
}

function wish(services: readonly Service[], key: string, endpoints?: ServiceEndpoints): unknown {
  const { wishes } = planned(services, {}, endpoints === undefined ? {} : { endpoints: readyEndpoints(services, endpoints) });
  const found = wishes?.get(key as OwnershipKey);
  return found === undefined ? undefined : [found.fit, found.nodes === undefined ? "anywhere" : [...found.nodes].join()];
}

describe("an owner for each group of Services (svc_election)", () => {
  test("each address has a key of its own, and what is held here is wanted here", () => {
    const { wants, wishes, skipped } = planned([at("a", A), at("b", B)], { [`svc/${A}`]: MINE, [`svc/${B}`]: THEIRS });
    expect([...(wishes?.keys() ?? [])]).toEqual([`svc/${A}`, `svc/${B}`]);
    expect([...wants.arp.keys()]).toEqual([`eth0/${A}`]);
    expect(skipped.get("default/b" as never)).toEqual({ code: "notOwner", message: "held by n2" });
  });

  test("Services on one address are one key, and so are all addresses of a Service", () => {
    const both = at("both", "", { loadBalancerIP: undefined, annotations: { "kube-vip.io/loadbalancerIPs": `${B},${A}` } });
    const { wishes } = planned([at("a", A, { ports: [{ name: "", protocol: "TCP", port: 81 }] }), both]);
    expect([...(wishes?.keys() ?? [])]).toEqual([`svc/${A}`]);
  });

  test("Services that name one Lease are one key", () => {
    const common = { annotations: { "kube-vip.io/leaseName": "common" } };
    expect([...(planned([at("a", A, common), at("b", B, common)]).wishes?.keys() ?? [])]).toEqual([`svc/${A}`]);
  });

  test("on demand: a Service that asks for it has a key of its own, with what shares its address; the others are as before", () => {
    const forced = { annotations: { "kube-vip.io/forcePerServiceElection": "true" } };
    const services = [at("a", A, forced), at("b", B), at("c", A, { ports: [{ name: "", protocol: "TCP", port: 81 }] }), at("d", "192.0.2.12", { annotations: { "kube-vip.io/forcePerServiceElection": "false" } })];
    const ownership = new Map<OwnershipKey, OwnershipState>([["services", MINE], [`svc/${A}`, THEIRS]]);
    const demanded = plan({ ...worldWith(services), ownership }, { ...PLAN_CONFIG, electionOnDemand: true });
    expect([...(demanded.wishes?.keys() ?? [])]).toEqual([`svc/${A}`]);
    expect([...demanded.wants.arp.keys()]).toEqual([`eth0/${B}`, "eth0/192.0.2.12"]);
    const off = plan({ ...worldWith(services), ownership }, PLAN_CONFIG);
    expect([off.wishes?.size, off.wants.arp.size]).toEqual([0, 3]);
  });

  test("on demand: what was given from a pool is owned once that is written down", () => {
    const { pools } = parsePools({ "cidr-global": "192.0.2.64/30" }, undefined);
    const web = fakeService({ annotations: { "kube-vip.io/forcePerServiceElection": "true" } });
    const world = { ...worldWith([web]), pools, ownership: new Map<OwnershipKey, OwnershipState>([["services", MINE]]) };
    const { skipped, statuses, wants } = plan(world, { ...PLAN_CONFIG, electionOnDemand: true });
    expect([skipped.get("default/web" as never)?.code, wants.arp.size, statuses.get("default/web" as never)?.annotations]).toEqual(["waiting", 0, { "vip.internal/granted": "192.0.2.65" }]);
  });

  const local = (name: string, address: string): Service => at(name, address, { externalTrafficPolicy: "Local" });
  test.each<readonly [string, readonly Service[], ServiceEndpoints | undefined, unknown]>([
    ["policy Cluster: anywhere", [at("a", A)], undefined, ["run", "anywhere"]],
    ["policy Cluster without endpoints: nowhere", [at("a", A)], { ...ELSEWHERE, serving: false, readyNodes: [] }, ["drop", ""]],
    ["policy Local with an endpoint here", [local("a", A)], undefined, ["run", "n1,n2"]],
    ["policy Local with endpoints elsewhere only", [local("a", A)], ELSEWHERE, ["yield", "n2"]],
    ["policy Local, the last one here is about to end, another is ready", [local("a", A)], { ...ELSEWHERE, local: "terminating" }, ["yield", "n2"]],
    ["policy Local, the last of all is about to end", [local("a", A)], { ...ELSEWHERE, local: "terminating", readyElsewhere: false, readyNodes: [] }, ["run", "anywhere"]],
    ["a group goes where any of its Services can be served", [local("a", A), at("b", A, { ports: [{ name: "", protocol: "TCP", port: 81 }] })], ELSEWHERE, ["run", "anywhere"]],
  ])("%s", (_name, services, endpoints, expected) => {
    expect(wish(services, `svc/${A}`, endpoints)).toEqual(expected);
  });

  test("its owner writes the status, whoever holds the Services", () => {
    const service = at("a", A);
    const up = { observed: new Map([[`eth0/${A}` as never, { state: "up" as const, result: undefined }]]) };
    expect([...planned([service], { [`svc/${A}`]: MINE }, up).statuses.values()].map(({ ingress }) => ingress)).toEqual([[{ ip: A }]]);
    expect(planned([service], { services: MINE, [`svc/${A}`]: THEIRS }, up).statuses.size).toBe(0);
  });

  test("an address from a pool is given by the holder of the Services, written down, and owned once it can be read by all", () => {
    const service = fakeService({ name: "a" });
    const { pools } = parsePools(undefined, "192.0.2.100-192.0.2.101");
    const first = planned([service], { services: MINE }, { pools });
    expect([...first.statuses.values()].map(({ annotations }) => annotations)).toEqual([{ "vip.internal/granted": "192.0.2.100" }]);
    expect([first.wants.arp.size, first.wishes?.size]).toEqual([0, 0]);
    const granted = { ...service, annotations: { "vip.internal/granted": "192.0.2.100" } };
    const second = planned([granted], { services: MINE, "svc/192.0.2.100": MINE }, { pools });
    expect([...second.wants.arp.keys()]).toEqual(["eth0/192.0.2.100"]);
    expect([...second.statuses.values()]).toEqual([]);
  });

  test("leftovers are not judged before it is known who owns each key", () => {
    const services = [at("a", A)];
    expect(planned(services).settled).toBe(false);
    expect(planned(services, { [`svc/${A}`]: FREE }).settled).toBe(false);
    expect(planned(services, { [`svc/${A}`]: THEIRS }).settled).toBe(true);
  });
});
