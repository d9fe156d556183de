import { recordPass } from "../../src/core/explain-history.js";
import type { ExplainInput, PeerView } from "../../src/core/explain-input.js";
import { History, type Moment } from "../../src/core/history.js";
import { serviceKey, type OwnershipKey, type ServiceKey } from "../../src/core/model.js";
import { plan, type PlanConfig } from "../../src/core/plan.js";
import { emptyWorld, type OwnershipState, type World } from "../../src/core/world.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import type { LinkAddress } from "../../src/ports/kernel.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeLink } from "../fakes/kernel.js";

export const MINE: OwnershipState = { held: true, view: "mine", holder: "n1", created: false };
export const THEIRS: OwnershipState = { held: false, view: "other", holder: "n2", created: false };

export const FREE: OwnershipState = { held: false, view: "free", holder: "", created: false };

export const CONFIG: PlanConfig = {
  services: true,
  controlPlane: [],
  controlPlaneDhcp: [],
  dhcpFamilies: [4],
  controlPlanePort: 6443,
  iface: "eth0",
  servicesIface: undefined,
  loadBalancerClass: "kube-vip.io/kube-vip-class",
  legacyClasses: true,
  classOnly: false,
  election: false, electionOnDemand: false, moveCordoned: true,
  dnsMode: "first",
  prefixes: { 4: 32, 6: 128 },
  dataplaneCheck: false,
  romanaByNft: false,
  upnp: true,
  upnpStatus: false,
};

/** A moment so many seconds after the start of the process. */
export function at(seconds: number): Moment {
  return { now: 1000 + seconds * 1000, wallMs: Date.UTC(2026, 0, 2, 3, 0, seconds) };
}

export function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

/** A node that knows these Services, each with an endpoint that serves, and owns them. */
export function worldOf(services: readonly Service[], part: Partial<World> = {}): World {
  return {
    ...emptyWorld("n1"),
    links: new Map(["lo", "eth0"].map((name, i) => [name, fakeLink(i + 1, name)])),
    services: new Map(services.map((service): [ServiceKey, Service] => [serviceKey(service), service])),
    endpoints: new Map(services.map((service) => [serviceKey(service), { serving: true, onNodes: true, local: "ready", readyElsewhere: true, readyNodes: [], targets: [] }])),
    ownership: new Map<OwnershipKey, OwnershipState>([["services", MINE]]),
    ...part,
  };
}

/** The plan for a world, passed through twice (at 10 s and at 70 s), looked at after 100 s. */
export function inputOf(world: World, part: { readonly config?: Partial<PlanConfig>; readonly kernel?: readonly LinkAddress[] | undefined; readonly before?: World; readonly peers?: readonly PeerView[] } = {}): ExplainInput {
  const config = { ...CONFIG, ...part.config };
  const history = new History();
  const passes = [part.before ?? world, world].map((each) => ({ world: each, plan: plan(each, config) }));
  for (const [i, after] of passes.entries()) recordPass(history, { before: passes[i - 1], after }, at(10 + 60 * i));
  return { world, plan: plan(world, config), config, history, kernel: "kernel" in part ? part.kernel : [], peers: part.peers, at: at(100), version: "1.2.3", startedAt: at(0) };
}

/** An address in the kernel of the node, on its eth0. */
export function inKernel(address: string, validSeconds: number): LinkAddress {
  return { linkIndex: 2, address: ip(address), prefix: 32, scope: "host", mark: 118, validSeconds, preferredSeconds: 0 };
}
