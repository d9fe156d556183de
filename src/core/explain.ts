import type { LinkAddress } from "../ports/kernel.js";
import type { Service } from "../ports/kube.js";
import { failureReport, type FailureReport } from "./explain-failure.js";
import { ownershipWords } from "./explain-history.js";
import { leaseReports, type LeaseReport } from "./explain-leases.js";
import { since, sinceOf, type ExplainInput, type SinceReport } from "./explain-input.js";
import { routeReport, type RouteReport } from "./explain-routes.js";
import { portReports, type PortReport } from "./explain-ports.js";
import { ownershipSubject, vipSubject } from "./history.js";
import { messageOf } from "../lib/errors.js";
import type { OwnershipKey, ServiceKey, Vip, VipKey } from "./model.js";

export interface OwnershipReport {
  readonly key: OwnershipKey;
  /** Empty where there is none. */
  readonly holder: string;
  readonly mine: boolean;
  /** `mine`, `held by n2`, `free`, `unknown`. */
  readonly state: string;
  readonly detail: string;
  readonly since: SinceReport | null;
}

export interface VipReport {
  readonly key: VipKey;
  readonly address: string;
  readonly link: string;
  readonly ownership: OwnershipKey;
  readonly services: readonly ServiceKey[];
  readonly state: "pending" | "up" | "failed";
  readonly since: SinceReport | null;
  /** Why it failed; null where it did not. */
  readonly error: string | null;
  readonly attempts: number;
  /** Null where the kernel could not be read. */
  readonly inKernel: boolean | null;
  /** Whole seconds of the kernel's lifetime; `forever` for an address without end; null where it is not there. */
  readonly secondsLeft: number | "forever" | null;
  /** MAC of another host that announced it. */
  readonly conflict: string | null;
  readonly lastFailure: FailureReport | null;
}

/** What `vip status` shows of one process. */
export interface NodeReport {
  readonly node: string;
  readonly version: string;
  readonly started: SinceReport;
  readonly ownership: readonly OwnershipReport[];
  readonly vips: readonly VipReport[];
  /** Announced by BGP. */
  readonly routes: readonly RouteReport[];
  readonly services: {
    /** Null until the first complete list, and where this process serves no Services. */
    readonly known: number | null;
    /** Services with an address that is up here, or announced from here. */
    readonly served: number;
    readonly skipped: Readonly<Record<string, number>>;
  };
  /** Addresses that are asked of DHCP servers. */
  readonly leases: readonly LeaseReport[];
  /** Ports that are asked of gateways. */
  readonly ports: readonly PortReport[];
  readonly badLinks: readonly string[];
  /** Of this node's API server; null where nobody asks. */
  readonly controlPlaneHealth: string | null;
  readonly problems: readonly string[];
}

/** Everything of this node, for `vip status`. */
export function nodeReport(input: ExplainInput): NodeReport {
  const { world, plan, at } = input;
  const there = kernelIndex(input);
  const vips = [...plan.wants.arp.values()].map((vip) => vipReport(input, vip, there));
  const routes = [...plan.wants.bgp.values()].map((route) => routeReport(input, route));
  const serving = input.config.bgp === undefined ? vips : routes.filter(({ peers }) => peers.length > 0);
  const served = new Set(serving.flatMap(({ state, services }) => (state === "up" ? services : [])));
  const skipped: Record<string, number> = {};
  for (const { code } of plan.skipped.values()) skipped[code] = (skipped[code] ?? 0) + 1;
  return {
    node: world.node,
    version: input.version,
    started: since(input.startedAt, at),
    ownership: [...world.ownership.keys()].map((key) => ownershipReport(input, key)),
    vips,
    routes,
    services: { known: world.services?.size ?? null, served: served.size, skipped },
    leases: leaseReports(input),
    ports: portReports(input),
    badLinks: [...world.badLinks].sort(),
    controlPlaneHealth: world.controlPlaneHealth ?? null,
    problems: plan.problems,
  };
}

/** Who holds one ownership key and since when. */
export function ownershipReport({ world, history, at }: ExplainInput, key: OwnershipKey): OwnershipReport {
  const state = world.ownership.get(key) ?? { held: false, view: "unknown", holder: "", created: false };
  return { key, holder: state.holder, mine: state.held, ...ownershipWords(state), since: sinceOf(history, ownershipSubject(key), at) };
}

/** The addresses of a kernel dump by link name and address. */
export type KernelIndex = ReadonlyMap<string, LinkAddress> | undefined;

export function kernelIndex({ kernel, world }: ExplainInput): KernelIndex {
  if (kernel === undefined) return undefined;
  const names = new Map([...world.links.values()].map(({ index, name }) => [index, name]));
  return new Map(kernel.map((address) => [`${names.get(address.linkIndex)}/${address.address}`, address]));
}

/** One address on a link of this node. */
export function vipReport({ world, history, at }: ExplainInput, vip: Vip, there: KernelIndex): VipReport {
  const { key } = vip;
  const observed = world.observed.get(key) ?? { state: "pending" };
  const found = there?.get(key);
  const left = found === undefined ? null : Number.isFinite(found.validSeconds) ? found.validSeconds : "forever";
  return {
    key,
    address: vip.address,
    link: vip.iface,
    ownership: vip.ownership,
    services: vip.owners,
    state: observed.state,
    since: sinceOf(history, vipSubject(key), at),
    error: observed.state === "failed" ? messageOf(observed.error) : null,
    attempts: observed.state === "failed" ? observed.attempts : 0,
    inKernel: there === undefined ? null : found !== undefined,
    secondsLeft: left,
    conflict: world.conflicts.get(key) ?? null,
    lastFailure: failureReport(history.past(vipSubject(key)).failure, at),
  };
}

/** What the API says of a Service now. */
export interface ApiReport {
  readonly ingress: readonly string[];
  /** Node named by `kube-vip.io/vipHost`; null where none is. */
  readonly node: string | null;
}

export function apiReport(service: Service): ApiReport {
  return { ingress: service.ingress.map(({ ip, hostname }) => ip ?? hostname ?? "?"), node: service.annotations["kube-vip.io/vipHost"] ?? null };
}
