import { exact } from "../lib/exact.js";
import { parseIp, type IpAddress } from "../lib/ip.js";
import type { EndpointSlice } from "../ports/kube.js";
import type { Port, ServiceKey } from "./model.js";

/** An endpoint on this node that takes traffic, by the port of the Service that leads to it. */
export interface LocalTarget extends Port {
  /** Name of the Service's port. */
  readonly name: string;
  readonly address: IpAddress;
}

/** What counts of a Service's endpoints, all its slices taken together. */
export interface ServiceEndpoints {
  /** Some endpoint takes traffic: ready, or terminating and still serving. */
  readonly serving: boolean;
  /** Some of these is on a node (endpoints made by hand may be on none). */
  readonly onNodes: boolean;
  /** The best of those on this node. */
  readonly local: "ready" | "terminating" | "none";
  /** Some endpoint on another node is ready. */
  readonly readyElsewhere: boolean;
  /** The nodes with ready endpoints, in order. */
  readonly readyNodes: readonly string[];
  /** The ready ones on this node; where none is ready, those that serve to their end, as kube-proxy does it (KEP-1669). */
  readonly targets: readonly LocalTarget[];
}

export const NO_ENDPOINTS: ServiceEndpoints = { serving: false, onNodes: false, local: "none", readyElsewhere: false, readyNodes: [], targets: [] };

interface Known {
  /** In the order in which they came: one that changes keeps its place. A list: most Services have one. */
  slices: readonly EndpointSlice[];
  endpoints: ServiceEndpoints | undefined;
}

/**
 * Turns slices into what counts. Slices come and go a hundred times a second in a busy cluster, and most of that changes nothing here: then the
 * result is the very same map, and nobody has to look at it.
 */
export class EndpointIndex {
  readonly #services = new Map<ServiceKey, Known>();
  #slices: ReadonlyMap<string, EndpointSlice> = new Map();
  #result: ReadonlyMap<ServiceKey, ServiceEndpoints> = new Map();

  constructor(private readonly node: string) {}

  /** All slices as they are now. One that did not change is the same object as before. */
  update(slices: ReadonlyMap<string, EndpointSlice>): ReadonlyMap<ServiceKey, ServiceEndpoints> {
    const touched = this.#diff(slices);
    this.#slices = slices;
    let changed = false;
    for (const service of touched) changed = this.#merge(service) || changed;
    if (changed) this.#result = new Map([...this.#services].map(([service, { endpoints }]) => [service, endpoints ?? NO_ENDPOINTS]));
    return this.#result;
  }

  /** The Services some slice of which has come, gone or changed. */
  #diff(slices: ReadonlyMap<string, EndpointSlice>): ReadonlySet<ServiceKey> {
    const touched = new Set<ServiceKey>();
    let same = 0;
    for (const [key, slice] of slices) {
      const before = this.#slices.get(key);
      if (before !== undefined) same += 1;
      if (before === slice) continue;
      // One that stays with its Service keeps its place among the slices, so that what they add up to keeps its order.
      if (before !== undefined && serviceOf(before) !== serviceOf(slice)) touched.add(this.#remove(before));
      touched.add(this.#add(slice));
    }
    if (same === this.#slices.size) return touched;
    for (const [key, slice] of this.#slices) if (!slices.has(key)) touched.add(this.#remove(slice));
    return touched;
  }

  #add(slice: EndpointSlice): ServiceKey {
    const service = serviceOf(slice);
    const known = this.#services.get(service);
    if (known === undefined) this.#services.set(service, { slices: [slice], endpoints: undefined });
    else if (known.slices.some((one) => isSame(one, slice))) known.slices = known.slices.map((one) => (isSame(one, slice) ? slice : one));
    else known.slices = [...known.slices, slice];
    return service;
  }

  #remove(slice: EndpointSlice): ServiceKey {
    const service = serviceOf(slice);
    const known = this.#services.get(service);
    if (known !== undefined) known.slices = known.slices.filter((one) => !isSame(one, slice));
    return service;
  }

  /** True where something that counts has changed. */
  #merge(service: ServiceKey): boolean {
    const known = this.#services.get(service);
    if (known === undefined) return false;
    if (known.slices.length === 0) return this.#services.delete(service);
    const endpoints = mergeSlices(known.slices, this.node);
    if (known.endpoints !== undefined && sameEndpoints(known.endpoints, endpoints)) return false;
    known.endpoints = endpoints;
    return true;
  }
}

/** All slices of one Service, seen from one node. */
export function mergeSlices(slices: readonly EndpointSlice[], node: string): ServiceEndpoints {
  let [serving, onNodes, readyElsewhere] = [false, false, false];
  const readyNodes = new Set<string>();
  const ready: Local = { some: false, targets: [] };
  const ending: Local = { some: false, targets: [] };
  for (const { endpoints, ports } of slices) {
    for (const endpoint of endpoints) {
      if (!endpoint.ready && !endpoint.serving) continue;
      serving = true;
      onNodes ||= endpoint.nodeName !== undefined;
      if (endpoint.ready && endpoint.nodeName !== undefined) readyNodes.add(endpoint.nodeName.toLowerCase());
      if (endpoint.nodeName?.toLowerCase() !== node) {
        readyElsewhere ||= endpoint.ready && endpoint.nodeName !== undefined;
        continue;
      }
      const local = endpoint.ready ? ready : ending;
      local.some = true;
      const address = parseIp(endpoint.address);
      if (address !== undefined) local.targets.push(...ports.map(({ name, protocol, port }) => ({ name, protocol, port, address })));
    }
  }
  const local = ready.some ? "ready" : ending.some ? "terminating" : "none";
  return { serving, onNodes, local, readyElsewhere, readyNodes: exact([...readyNodes].sort()), targets: exact((ready.some ? ready : ending).targets) };
}

interface Local {
  some: boolean;
  readonly targets: LocalTarget[];
}

function serviceOf({ namespace, service }: EndpointSlice): ServiceKey {
  return `${namespace}/${service}` as ServiceKey;
}

/** Of one Service, and so of one namespace. */
function isSame(a: EndpointSlice, b: EndpointSlice): boolean {
  return a.name === b.name;
}

function sameEndpoints(a: ServiceEndpoints, b: ServiceEndpoints): boolean {
  if (a.readyNodes.join() !== b.readyNodes.join()) return false;
  if (a.serving !== b.serving || a.onNodes !== b.onNodes || a.local !== b.local || a.readyElsewhere !== b.readyElsewhere || a.targets.length !== b.targets.length) return false;
  return a.targets.every((target, i) => {
    const other = b.targets[i];
    return other !== undefined && target.address === other.address && target.port === other.port && target.name === other.name && target.protocol === other.protocol;
  });
}
