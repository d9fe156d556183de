import { exact } from "../lib/exact.js";
import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import type { Service } from "../ports/kube.js";
import { assign, type Wanting } from "./allocate.js";
import { electsItself, groupsOf, membersOf, type ElectionAsked } from "./groups.js";
import { romanaKey, type GroupKey, type OwnershipKey, type ServiceKey } from "./model.js";
import type { DhcpAsked } from "./dhcp.js";
import { leasePending } from "./dhcp-pending.js";
import { pickAddresses, type DnsMode } from "./names.js";
import type { AskedEntry, ServiceFacts, SkipReason } from "./plan-service.js";
import type { World } from "./world.js";

export interface LayoutConfig extends ElectionAsked {
  /** Addresses of the control-plane VIP. */
  readonly controlPlane: readonly IpAddress[];
  /** Instead of addresses: what is asked for by DHCP. Empty: they are in `controlPlane`. */
  readonly controlPlaneDhcp: readonly DhcpAsked[];
  readonly controlPlanePort: number;
  readonly dnsMode: DnsMode;
  /** After so many requests that no DHCP server answered a person is told; 0: never. Default 3. */
  readonly dhcpAttempts?: number;
}

/** Who owns an address of a Service, or why the Service does not get it. */
export interface PlacedAddress {
  readonly address: IpAddress;
  readonly ownership: OwnershipKey;
  readonly refused: SkipReason | undefined;
  /** An older Service on the same address has the other traffic policy. */
  readonly mixedWith: ServiceKey | undefined;
  /** The Service that had the address before this one, and says on which link it stands. */
  readonly after: Service | undefined;
}

export interface Placed {
  readonly service: Service;
  readonly facts: ServiceFacts;
  readonly romana: boolean;
  /** Who owns it, but for what of it is on the control plane's address. */
  readonly owner: OwnershipKey;
  readonly addresses: readonly PlacedAddress[];
  /** Names that stand for some of its addresses. */
  readonly names: readonly string[];
  /** Nothing, or not everything, could be placed. */
  readonly reason: SkipReason | undefined;
}

/** Which Service gets which addresses, over all Services: what depends on more than one of them is decided here. */
export interface Layout {
  /** Oldest Service first. */
  readonly placed: readonly Placed[];
  /** By uid: addresses from a pool that are not yet in a status. */
  readonly grants: ReadonlyMap<string, readonly IpAddress[]>;
}

/** The part of the world that a layout depends on. */
export type LayoutWorld = Pick<World, "names" | "leases" | "pools" | "grants" | "inUse"> & {
  /** Addresses of nodes and gateways: never given out. */
  readonly reserved: ReadonlySet<IpAddress>;
  /** This node gives out addresses: it owns the Services, and has seen all of them. */
  readonly allocates: boolean;
};

/**
 * `services`: oldest first, each with what follows from it alone. Who has been announced on an address has it before those who only ask for it; then the
 * older one. `before`: what earlier layouts made of each Service; what is the same again is the same object.
 */
export function layOut(services: readonly (readonly [Service, ServiceFacts])[], world: LayoutWorld, config: LayoutConfig, before = new WeakMap<Service, Placed>()): Layout {
  const asked = services.map(([service, facts]) => resolve(service, facts, world, config));
  const { grants, refused } = grant(asked, world);
  const table = new AddressTable(controlPlaneAddresses(world, config), config.controlPlanePort);
  const owners = ownersOf(services, config);
  const who = asked.map((one): Asking => {
    const romana = one.facts.asked.type !== "skip" && one.facts.asked.romana;
    const own = [...one.addresses, ...(grants.get(one.service.uid) ?? [])];
    return { ...one, romana, own, owner: romana ? romanaKey(one.facts.key) : owners(one.service, one.facts) };
  });
  for (const one of who) for (const address of one.own) if (one.facts.recorded?.includes(address) === true) table.place(address, one);
  const placed = who.map((one): Placed => {
    const { service, facts, romana, own, names, owner } = one;
    const reason = own.length > 0 ? one.reason : (refused.get(service.uid) ?? one.reason);
    const known = before.get(service);
    const addresses = own.map((address, i) => table.place(address, one, known?.addresses[i]));
    if (known !== undefined && known.owner === owner && sameReason(known.reason, reason) && known.addresses.length === addresses.length && addresses.every((address, i) => address === known.addresses[i])) return known;
    const now: Placed = { service, facts, romana, owner, addresses, names: exact(names), reason };
    before.set(service, now);
    return now;
  });
  return { placed, grants };
}

/** Those of the settings, or those that DHCP servers have given. */
export function controlPlaneAddresses({ leases }: Pick<World, "leases">, { controlPlane, controlPlaneDhcp }: Pick<LayoutConfig, "controlPlane" | "controlPlaneDhcp">): readonly IpAddress[] {
  return [...controlPlane, ...controlPlaneDhcp.flatMap(({ key }) => leases.get(key)?.lease?.address ?? [])];
}

/** Whose the addresses of a Service are that is no Romana VIP. */
function ownersOf(services: readonly (readonly [Service, ServiceFacts])[], config: LayoutConfig): (service: Service, facts: ServiceFacts) => OwnershipKey {
  if (!config.election && !config.electionOnDemand) return () => "services";
  const plain = services.filter(([, { asked }]) => asked.type === "entries" && !asked.romana);
  const groups = groupsOf(plain.map(([service, { asked }]) => membersOf(service, asked)));
  const groupOf = (service: Service, { asked }: ServiceFacts): GroupKey | undefined => groups.get(membersOf(service, asked)[0] ?? "");
  if (config.election) return (service, facts) => groupOf(service, facts) ?? "services";
  // One that asks for it takes all with it that it shares something with.
  const asking = new Set(plain.flatMap(([service, facts]) => (electsItself(service, config) ? [groupOf(service, facts)] : [])));
  return (service, facts) => {
    const group = groupOf(service, facts);
    return group !== undefined && asking.has(group) ? group : "services";
  };
}

interface Asking extends Resolved {
  readonly romana: boolean;
  readonly owner: OwnershipKey;
  /** The addresses that it asks for or was granted. */
  readonly own: readonly IpAddress[];
}

function sameReason(a: SkipReason | undefined, b: SkipReason | undefined): boolean {
  return a === b || (a?.code === b?.code && a?.message === b?.message);
}

interface Resolved {
  readonly service: Service;
  readonly facts: ServiceFacts;
  readonly addresses: readonly IpAddress[];
  readonly names: readonly string[];
  readonly reason: SkipReason | undefined;
}

/** Names become the addresses that they stand for. */
function resolve(service: Service, facts: ServiceFacts, world: LayoutWorld, config: LayoutConfig): Resolved {
  const { asked } = facts;
  if (asked.type === "skip") return { service, facts, addresses: [], names: [], reason: asked.reason };
  if (asked.type === "any") return { service, facts, addresses: [], names: [], reason: undefined };
  const addresses = new Set<IpAddress>();
  let reason: SkipReason | undefined;
  for (const entry of asked.entries) {
    if ("address" in entry) addresses.add(entry.address);
    else if ("dhcp" in entry) {
      const seen = world.leases.get(entry.dhcp.key);
      if (seen?.lease === undefined) reason = leasePending(seen, entry.dhcp.family, config.dhcpAttempts);
      else addresses.add(seen.lease.address);
    } else {
      const { found, error } = resolveName(entry.name, { asked: asked.entries, recorded: facts.recorded, world, config });
      for (const address of found) addresses.add(address);
      if (found.length > 0) continue;
      const message = `${asked.from} has the name ${entry.name}: ${error ?? "it is being looked up"}`;
      reason = { code: error === undefined ? "waiting" : "unresolvedName", message };
    }
  }
  return { service, facts, addresses: [...addresses], names: asked.entries.flatMap((entry) => ("name" in entry ? [entry.name] : [])), reason };
}

interface NameContext {
  readonly asked: readonly AskedEntry[];
  readonly recorded: readonly IpAddress[] | undefined;
  readonly world: LayoutWorld;
  readonly config: LayoutConfig;
}

/** Until a name is looked up here, it stands for what the owner before us announced for it. */
function resolveName(name: string, { asked, recorded = [], world, config }: NameContext): { readonly found: readonly IpAddress[]; readonly error: string | undefined } {
  const result = world.names.get(name);
  const literal = new Set(asked.flatMap((entry) => ("address" in entry ? [entry.address] : [])));
  const before = recorded.filter((address) => !literal.has(address));
  if (result === undefined || (result.addresses.length === 0 && result.error === undefined)) return { found: before, error: undefined };
  return { found: pickAddresses(result.addresses, config.dnsMode, before), error: result.error };
}

/** What nobody names comes from the pools, once everything that is named or in a status is known. */
function grant(asked: readonly Resolved[], world: LayoutWorld): Pick<Layout, "grants"> & { readonly refused: ReadonlyMap<string, SkipReason> } {
  const unnamed = asked.filter(({ facts }) => facts.asked.type === "any");
  const wanting = asked.flatMap((one) => (one.facts.asked.type === "any" ? wantingOf(one.service) : (lackingOf(one) ?? [])));
  if (!world.allocates || world.pools === undefined || wanting.length === 0) {
    const waiting: SkipReason = { code: "waiting", message: "an address is given to it once the pools are known" };
    return { grants: NO_GRANTS, refused: new Map(world.allocates ? unnamed.map(({ service }) => [service.uid, waiting]) : []) };
  }
  const taken = new Set<IpAddress>([...world.inUse, ...asked.flatMap(({ addresses }) => addresses)]);
  const assigned = assign({ wanting, previous: world.grants, taken, excluded: world.reserved, pools: world.pools });
  const { refused } = assigned;
  const grants = new Map([...assigned.grants].map(([uid, { addresses }]) => [uid, addresses]));
  const same = grants.size === world.grants.size && [...grants].every(([uid, addresses]) => world.grants.get(uid)?.join() === addresses.join());
  const reasons = unnamed.flatMap(({ service: { uid }, facts }): [string, SkipReason][] => {
    const lack = refused.get(uid);
    if (lack === undefined) return [];
    const romana = facts.asked.type === "any" && facts.asked.romana;
    const code = lack.code === "dhcp" && romana ? "dhcpNotSupported" : REFUSALS[lack.code];
    return [[uid, { code, message: `${romana ? AUTO : UNASKED}, and ${lack.message}` }]];
  });
  return { grants: same ? world.grants : grants, refused: new Map(reasons) };
}

const NO_GRANTS: Layout["grants"] = new Map();
const UNASKED = "neither kube-vip.io/loadbalancerIPs nor spec.loadBalancerIP names an address";
const AUTO = "the Romana annotation leaves the address to the pools (auto)";
const REFUSALS = { noPool: "noAddress", exhausted: "poolExhausted", dhcp: "dhcpPending" } as const;

function wantingOf({ uid, namespace, ipFamilies, ipFamilyPolicy }: Service): Wanting {
  const families = ipFamilies.map((family) => (family === "IPv4" ? 4 : 6));
  return { uid, namespace, families, policy: ipFamilyPolicy ?? "SingleStack" };
}

/** A dual-stack Service whose status has an address of one family only: it was written before the other one was up, or when there was none to be had. */
function lackingOf({ service, facts: { asked }, addresses }: Resolved): Wanting | undefined {
  if (asked.type !== "entries" || asked.from !== "status" || addresses.length !== 1) return undefined;
  const wanting = wantingOf(service);
  if (wanting.policy !== "RequireDualStack" && (wanting.policy !== "PreferDualStack" || wanting.families.length < 2)) return undefined;
  const families = FAMILIES.filter((family) => !addresses.some((address) => familyOf(address) === family));
  return { ...wanting, families, policy: "SingleStack" };
}

const FAMILIES: readonly Family[] = [4, 6];

interface Claim {
  readonly first: Asking | undefined;
  readonly ownership: OwnershipKey;
  /** Who has which port (`TCP/80`); undefined as value: the API server. Made when a second one asks. */
  ports: Map<string, ServiceKey | undefined> | undefined;
  /** What was said to each who asked. */
  readonly said: Map<ServiceKey, Verdict>;
}

type Verdict = Omit<PlacedAddress, "address" | "ownership">;

const ALONE: Verdict = { refused: undefined, mixedWith: undefined, after: undefined };

/** One address, one owner; each of its ports goes to the Service that had it first. */
class AddressTable {
  readonly #claims = new Map<IpAddress, Claim>();

  constructor(controlPlane: readonly IpAddress[], port: number) {
    for (const address of controlPlane) {
      this.#claims.set(address, { first: undefined, ownership: "control-plane", ports: new Map([[`TCP/${port}`, undefined]]), said: new Map() });
    }
  }

  /** Asked again by the same Service, it says the same. `before` is given back where it says the same, too. */
  place(address: IpAddress, asking: Asking, before?: PlacedAddress): PlacedAddress {
    const known = this.#claims.get(address);
    const claim = known ?? { first: asking, ownership: asking.owner, ports: undefined, said: new Map() };
    if (known === undefined) this.#claims.set(address, claim);
    const { refused, mixedWith, after } = claim.first === asking ? ALONE : this.#judge(address, claim, asking);
    const same = before?.address === address && before.ownership === claim.ownership && before.mixedWith === mixedWith && before.after === after && sameReason(before.refused, refused);
    return same ? before : { address, ownership: claim.ownership, refused, mixedWith, after };
  }

  #judge(address: IpAddress, claim: Claim, asking: Asking): Verdict {
    const { key } = asking.facts;
    const said = claim.said.get(key);
    if (said !== undefined) return said;
    claim.ports ??= new Map(portsOf(claim.first).map((port) => [port, claim.first?.facts.key]));
    const ports = portsOf(asking);
    const refused = apart(address, claim, asking) ?? refusal(address, { claim, ports, romana: asking.romana });
    if (refused === undefined) for (const port of ports) claim.ports.set(port, key);
    const mixed = refused === undefined && claim.first !== undefined && claim.first.service.externalTrafficPolicy !== asking.service.externalTrafficPolicy;
    const verdict: Verdict = { refused, mixedWith: mixed ? claim.first.facts.key : undefined, after: refused === undefined ? claim.first?.service : undefined };
    claim.said.set(key, verdict);
    return verdict;
  }
}

function portsOf(asking: Asking | undefined): readonly string[] {
  return (asking?.service.ports ?? []).map(({ protocol, port }) => `${protocol}/${port}`);
}

/** An address that a name stands for today is no reason to own Services together. */
function apart(address: IpAddress, claim: Claim, asking: Asking): SkipReason | undefined {
  if (!claim.ownership.startsWith("svc/") || asking.romana || claim.ownership === asking.owner) return undefined;
  const message = `${address} belongs to Service ${claim.first?.facts.key}, which is owned apart: expected the address itself, or the same name, in both Services`;
  return { code: "addressTaken", message };
}

function refusal(address: IpAddress, asked: { readonly claim: Claim; readonly ports: readonly string[]; readonly romana: boolean }): SkipReason | undefined {
  const { claim, ports, romana } = asked;
  const holder = claim.first === undefined ? "the control plane" : `Service ${claim.first.facts.key}`;
  if (romana || claim.ownership.startsWith("romana/")) {
    return { code: "addressTaken", message: `${address} belongs to ${holder}, and a Romana VIP is never shared: expected an address of its own` };
  }
  const port = ports.find((candidate) => claim.ports?.has(candidate));
  if (port === undefined) return undefined;
  const owner = claim.ports?.get(port);
  const whose = owner === undefined ? "the API server's" : `taken by Service ${owner}, which had it first`;
  return { code: "portConflict", message: `${port} of ${address} is ${whose}: expected another port, or another address` };
}
