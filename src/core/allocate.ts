import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import { eachIp, inRanges, ipToNumber, type IpRange } from "../lib/ip-range.js";
import { ifaceOf, poolOf, type Pool, type Pools } from "./pools.js";

/** What a Service needs of the pools, in the words of its spec. */
export interface AddressRequest {
  readonly namespace: string;
  /** In order of preference; empty where the Service does not say: then any, IPv4 first. */
  readonly families: readonly Family[];
  readonly policy: "SingleStack" | "PreferDualStack" | "RequireDualStack";
}

export interface Granted {
  /** One per family, in the order of the request. */
  readonly addresses: readonly IpAddress[];
  /** The interface for them, by the ConfigMap; undefined where it says nothing. */
  readonly iface: string | undefined;
}

export interface Refusal {
  /** `noPool`: the configuration has no such addresses; `exhausted`: all are taken; `dhcp`: a DHCP server is to give one. */
  readonly code: "noPool" | "exhausted" | "dhcp";
  /** Names the pool and its size; without the Service's name. */
  readonly message: string;
}

export type Grant = ({ readonly type: "granted" } & Granted) | ({ readonly type: "refused" } & Refusal);

/** A Service that asks for no address and so needs one from a pool. */
export interface Wanting extends AddressRequest {
  readonly uid: string;
}

export interface AssignInput {
  /** Oldest first: the order decides who gets the last free address. */
  readonly wanting: readonly Wanting[];
  /** What each of `wanting` has from an earlier pass, by uid; of others: ignored. */
  readonly previous: ReadonlyMap<string, readonly IpAddress[]>;
  /** What all others have in their status or ask for by name. It is never given, and who was granted it before loses it. */
  readonly taken: ReadonlySet<IpAddress>;
  /** Addresses that are never given anew (nodes, gateways, foreign hosts); who has one keeps it, so that a doubtful sighting moves nobody. */
  readonly excluded?: ReadonlySet<IpAddress>;
  readonly pools: Pools;
}

export interface Assigned {
  readonly grants: ReadonlyMap<string, Granted>;
  /** By uid. One that has an earlier grant for one family only, and requires both, is here and in `grants`: what serves goes on serving. */
  readonly refused: ReadonlyMap<string, Refusal>;
}

const NOBODY: Assigned = { grants: new Map(), refused: new Map() };
/** Both families, by the one that comes first. */
const PAIRS: Readonly<Record<Family, readonly Family[]>> = { 4: [4, 6], 6: [6, 4] };
const FAMILY_NAMES = { 4: "IPv4", 6: "IPv6" } as const;

/** Which families would do, in order, and how many addresses. */
interface Shape {
  readonly families: readonly Family[];
  readonly least: number;
  readonly most: number;
}

/** Where a walk over the addresses of one family of a pool stands. */
interface Walk {
  readonly rest: Iterator<IpAddress>;
  head: IpAddress | undefined;
}

/**
 * The free addresses of pools for one pass, lowest first (or highest). An address that was found taken is not looked at again, so that any number of grants
 * costs one look at each taken address in front of the last one given; `isTaken` must therefore not turn from true to false.
 */
export class FreeAddresses {
  readonly #isTaken: (address: IpAddress) => boolean;
  readonly #given = new Set<IpAddress>();
  readonly #walks = new Map<readonly IpRange[], Walk>();

  constructor(
    readonly pools: Pools,
    isTaken: (address: IpAddress) => boolean,
  ) {
    this.#isTaken = isTaken;
  }

  /** The next free address; the same one again until it is given. Undefined where all are taken. */
  peek(pool: Pool, family: Family): IpAddress | undefined {
    const walk = this.#walkOf(pool.ranges[family]);
    while (walk.head === undefined || this.#given.has(walk.head) || this.#isTaken(walk.head)) {
      const next = walk.rest.next();
      if (next.done === true) return undefined;
      walk.head = next.value;
    }
    return walk.head;
  }

  given(address: IpAddress): boolean {
    return this.#given.has(address);
  }

  give(address: IpAddress): void {
    this.#given.add(address);
  }

  #walkOf(ranges: readonly IpRange[]): Walk {
    const known = this.#walks.get(ranges);
    if (known !== undefined) return known;
    const walk: Walk = { rest: eachIp(ranges, this.pools.descending), head: undefined };
    this.#walks.set(ranges, walk);
    return walk;
  }
}

/**
 * Addresses for one request, or why there are none. With `taken` as a set: at most one look at each of its addresses, however large the pool.
 * For many requests, one after the other: `allocateFrom`, or `assign`.
 */
export function allocate(request: AddressRequest, pools: Pools, taken: ((address: IpAddress) => boolean) | ReadonlySet<IpAddress>): Grant {
  return allocateFrom(request, new FreeAddresses(pools, typeof taken === "function" ? taken : (address) => taken.has(address)));
}

/** As `allocate`, from what earlier calls with the same `free` have left; what is granted is given. */
export function allocateFrom(request: AddressRequest, free: FreeAddresses): Grant {
  const { granted, refused } = complete({ request, pool: poolOf(free.pools, request.namespace), shape: shapeOf(request), kept: [] }, free);
  if (granted !== undefined) return { type: "granted", ...granted };
  return { type: "refused", ...refused };
}

/**
 * Addresses for all that need one. Who has one keeps it while its pool has it and nobody asks for it by name; then the others, in their order, get the next
 * free one. Nobody's address depends on who comes later, and with the result as `previous` the result is the same.
 */
export function assign({ wanting, previous, taken, excluded, pools }: AssignInput): Assigned {
  if (wanting.length === 0) return NOBODY;
  const free = new FreeAddresses(pools, (address) => taken.has(address) || excluded?.has(address) === true);
  const cases = wanting.map((request) => keep({ request, had: previous.get(request.uid) ?? [], taken, free }));
  const grants = new Map<string, Granted>();
  const refused = new Map<string, Refusal>();
  for (const one of cases) {
    const outcome = complete(one, free);
    if (outcome.granted !== undefined) grants.set(one.request.uid, outcome.granted);
    if (outcome.refused !== undefined) refused.set(one.request.uid, outcome.refused);
  }
  return { grants, refused };
}

interface Case<R extends AddressRequest = AddressRequest> {
  readonly request: R;
  readonly pool: Pool | undefined;
  readonly shape: Shape;
  /** What is left of an earlier grant, in the order of the shape's families. */
  readonly kept: readonly IpAddress[];
}

interface Keeping {
  readonly request: Wanting;
  readonly had: readonly IpAddress[];
  readonly taken: ReadonlySet<IpAddress>;
  readonly free: FreeAddresses;
}

function keep({ request, had, taken, free }: Keeping): Case<Wanting> {
  const pool = poolOf(free.pools, request.namespace);
  const shape = shapeOf(request);
  if (pool === undefined || had.length === 0) return { request, pool, shape, kept: [] };
  const kept: IpAddress[] = [];
  for (const family of shape.families) {
    const address = had.find((candidate) => familyOf(candidate) === family && !taken.has(candidate) && !free.given(candidate) && isOf(pool, candidate));
    if (address === undefined || kept.length === shape.most) continue;
    free.give(address);
    kept.push(address);
  }
  return { request, pool, shape, kept };
}

/** A damaged pool may have held the address before somebody mistyped it: a slip of the pen takes nobody's address away. */
function isOf(pool: Pool, address: IpAddress): boolean {
  return pool.damaged || inRanges(pool.ranges[familyOf(address)], ipToNumber(address));
}

type Outcome = { readonly granted: Granted; readonly refused?: Refusal } | { readonly granted?: undefined; readonly refused: Refusal };

/** Adds what is missing to what is kept, and gives it. */
function complete({ request, pool, shape, kept }: Case, free: FreeAddresses): Outcome {
  if (pool === undefined) return { refused: noPool(request.namespace) };
  const iface = ifaceOf(free.pools, request.namespace);
  if (kept.length === shape.most) return { granted: { addresses: kept, iface } };
  const addresses = filled({ pool, shape, kept, free });
  if (addresses.length >= shape.least) {
    for (const address of addresses) free.give(address);
    return { granted: { addresses, iface } };
  }
  const refused = refusal(pool, shape, addresses.map(familyOf));
  return kept.length === 0 ? { refused } : { granted: { addresses: kept, iface }, refused };
}

interface Filling {
  readonly pool: Pool;
  readonly shape: Shape;
  readonly kept: readonly IpAddress[];
  readonly free: FreeAddresses;
}

function filled({ pool, shape, kept, free }: Filling): readonly IpAddress[] {
  let room = shape.most - kept.length;
  const addresses: IpAddress[] = [];
  for (const family of shape.families) {
    const mine = kept.find((address) => familyOf(address) === family);
    const address = mine ?? (room > 0 ? free.peek(pool, family) : undefined);
    if (address === undefined) continue;
    if (mine === undefined) room--;
    addresses.push(address);
  }
  return addresses;
}

function shapeOf({ families, policy }: AddressRequest): Shape {
  const first = families[0];
  const both = PAIRS[first ?? 4];
  if (policy === "RequireDualStack") return { families: both, least: 2, most: 2 };
  const named = first === undefined || both.every((family) => families.includes(family)) ? both : both.slice(0, 1);
  if (policy === "PreferDualStack") return { families: named, least: 1, most: named.length };
  return { families: first === undefined ? both : both.slice(0, 1), least: 1, most: 1 };
}

function refusal(pool: Pool, { families, least }: Shape, found: readonly Family[]): Refusal {
  if (pool.dhcp && families.includes(4) && least === 1) return { code: "dhcp", message: `${pool.name} is 0.0.0.0/32: the address is to come from a DHCP server` };
  if (pool.dhcp) return { code: "noPool", message: `${pool.name} is 0.0.0.0/32 (DHCP), which gives one IPv4 address only` };
  const absent = families.filter((family) => pool.size[family] === 0n);
  const code = families.length - absent.length >= least ? "exhausted" : "noPool";
  // Where the configuration is what is wrong, the message is of that alone: it does not change with what others take.
  const missing = code === "noPool" ? absent : families.filter((family) => !found.includes(family));
  const damaged = pool.damaged ? ", and a part of it does not parse" : "";
  return { code, message: missing.map((family) => lack(pool, family)).join("; ") + damaged };
}

function lack(pool: Pool, family: Family): string {
  const [name, other] = [FAMILY_NAMES[family], family === 4 ? 6 : 4] as const;
  if (pool.size[family] > 0n) return `all ${pool.size[family]} ${name} addresses of ${pool.name} are taken`;
  return `${pool.name} has no ${name} addresses${pool.size[other] > 0n ? `, only ${FAMILY_NAMES[other]}` : ""}`;
}

function noPool(namespace: string): Refusal {
  return { code: "noPool", message: `there is no pool for namespace ${namespace}: expected cidr-${namespace}, range-${namespace}, cidr-global or range-global in the ConfigMap, or svc_addresses` };
}
