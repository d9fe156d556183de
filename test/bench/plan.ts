// plan: how long the pure function takes, by itself, for a node that holds every Service.
import { PlanMemo } from "../../src/core/plan-memo.js";
import { plan } from "../../src/core/plan.js";
import { serviceKey, vipKey } from "../../src/core/model.js";
import { emptyWorld, type World } from "../../src/core/world.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeLink } from "../fakes/kernel.js";
import { PLAN_CONFIG, readyEndpoints } from "../core/given.js";
import { fakeService } from "../fakes/service.js";
import { figure, median } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";

const BUDGET_MS = 2;
const IFACE = "eth0";
const NODE = "n1";

const CONFIG = { ...PLAN_CONFIG, iface: IFACE };
const LINK = fakeLink(2, IFACE);
/** This node owns every Service. */
const OWNED = { held: true, view: "mine", holder: NODE, created: true } as const;

function addressOf(index: number): IpAddress {
  const address = parseIp(`10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`);
  if (address === undefined) throw new Error(`no address for Service ${index}`);
  return address;
}

/** A Service that is served and says so, as most are at any time. */
function service(index: number): Service {
  const address = addressOf(index);
  const entry = { ip: address, hostname: undefined, raw: { ip: address } };
  return fakeService({
    name: `service-${index}`,
    resourceVersion: String(index),
    createdAt: 1_700_000_000_000 + (index % 977) * 1000,
    loadBalancerIP: address,
    annotations: { "vip.internal/announced": JSON.stringify({ addresses: [address], node: NODE }), "kube-vip.io/vipHost": NODE },
    ingress: [entry],
  });
}

function worldOf(count: number): World {
  const services = Array.from({ length: count }, (_, index) => service(index));
  return {
    ...emptyWorld(NODE),
    links: new Map([[IFACE, LINK]]),
    defaultLink: IFACE,
    services: new Map(services.map((one) => [serviceKey(one), one])),
    endpoints: readyEndpoints(services),
    ownership: new Map([["services", OWNED]]),
    observed: new Map(services.map((_, index) => [vipKey(IFACE, addressOf(index)), { state: "up", result: undefined }])),
  };
}

function measure(count: number, rounds: number): { readonly first: number; readonly typical: number } {
  const { services = new Map(), ...rest } = worldOf(count);
  const memo = new PlanMemo();
  const took: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // As between two passes of the daemon: one Service is new, the map is, and all others are the objects that they were.
    const changed = service(round % count);
    const world: World = { ...rest, services: new Map([...services, [serviceKey(changed), changed]]) };
    const start = performance.now();
    const { wants, statuses } = plan(world, CONFIG, memo);
    took.push(performance.now() - start);
    if (wants.arp.size !== count || statuses.size !== 0) throw new Error(`plan of ${count} Services: ${wants.arp.size} wants, ${statuses.size} statuses`);
  }
  return { first: took[0] ?? Number.NaN, typical: median(took.slice(Math.ceil(rounds / 2))) };
}

const { choose } = benchOptions();
for (const services of [1000, 20_000]) {
  const { first, typical } = measure(services, choose(60, 20));
  figure("plan.per1000", typical / (services / 1000), "ms", { services, stat: "median", warm: true, budget: BUDGET_MS });
  figure("plan.per1000", first / (services / 1000), "ms", { services, stat: "first", warm: services > 1000 });
}
