import type { IpAddress } from "../lib/ip.js";
import type { EventDraft, Service } from "../ports/kube.js";
import { durationSeconds } from "../lib/duration.js";
import type { Placed } from "./layout.js";
import { mappingKey, vipKey, type Mapping, type MappingView, type OwnershipKey, type Port, type ServiceKey } from "./model.js";
import { holderOf, owns } from "./plan-owners.js";
import type { World } from "./world.js";

/** `"true"`: the ports of the Service are opened at the gateway. As in kube-vip. */
export const FORWARD_UPNP = "kube-vip.io/forwardUPNP";
/** For how long the gateway is asked at a time: a Go duration, `0s` for ever. */
export const UPNP_LEASE = "kube-vip.io/upnp-lease-duration";
/** Where the ports are reached from outside, written by us: `198.51.100.1:80/TCP,198.51.100.1:53/UDP`. */
export const EXTERNAL = "vip.internal/external";

/** As in kube-vip: also for durations that cannot be meant. */
const DEFAULT_LEASE_SECONDS = 3600;
const MOST_LEASE_SECONDS = 10 * 365 * 24 * 3600;

export interface UpnpPlanConfig {
  /** Open ports at gateways for Services that ask for it. */
  readonly upnp: boolean;
  /** The external address goes into the status, too. */
  readonly upnpStatus: boolean;
}

/** Whether a Service asks for its ports to be opened. */
export function asksUpnp({ annotations }: Service): boolean {
  return annotations[FORWARD_UPNP] === "true";
}

/** The ports of one address of a Service that is up here, as the gateway is to open them. IPv4 only: there is nothing to translate in IPv6. */
export function mappingsOf({ service, facts }: Pick<Placed, "service" | "facts">, at: { readonly iface: string; readonly address: IpAddress; readonly ownership: OwnershipKey }, world: World, config: UpnpPlanConfig): readonly Mapping[] {
  const { iface, address, ownership } = at;
  if (!config.upnp || !asksUpnp(service) || address.includes(":")) return [];
  // Nobody has taken over, and the address is about to go: then the ports are closed as long as it is there.
  if (world.closing && !owns(world, ownership) && isNobodyElses(world, ownership)) return [];
  const leaseSeconds = leaseOf(service);
  return service.ports.filter(isMappable).map(({ protocol, port }) => ({ key: mappingKey(vipKey(iface, address), { protocol, port }), owners: [facts.key], iface, address, protocol, port, leaseSeconds }));
}

/** What is to be said of the ports of a Service, on the node that holds them. */
export interface Published {
  /** The value of the annotation; null: none. Undefined: not known yet, what is there stays. */
  readonly external: string | null | undefined;
  /** The gateway's own addresses. */
  readonly addresses: readonly IpAddress[];
  readonly events: readonly Pick<EventDraft, "type" | "reason" | "message">[];
}

/** What became of the mappings of one Service. */
export function publishedOf(service: Service, mappings: readonly Mapping[], world: Pick<World, "mappings">): Published {
  const views = mappings.map((mapping): readonly [Mapping, MappingView | undefined] => [mapping, world.mappings.get(mapping.key)]);
  const events = views.flatMap(([mapping, view]) => (view === undefined ? [] : eventOf(mapping, view)));
  const sctp = mappings.length > 0 ? service.ports.filter((port) => !isMappable(port)) : [];
  for (const { port } of sctp) events.push({ type: "Warning", reason: "PortNotOpened", message: `port ${port}/SCTP is not opened at the gateway: UPnP knows TCP and UDP only` });
  const open = views.flatMap(([mapping, view]) => openAt(mapping, view));
  const known = views.every(([, view]) => view !== undefined && view.status.kind !== "asking");
  const external = known ? (open.map(({ text }) => text).join(",") || null) : undefined;
  return { external, addresses: [...new Set(open.map(({ address }) => address))], events };
}

/** In words, for `vip why` and `vip status`. */
export function mappingText({ protocol, port }: Mapping, view: MappingView | undefined): string {
  const name = `${port}/${protocol}`;
  const status = view?.status ?? { kind: "asking" };
  const gateway = view?.gateway;
  switch (status.kind) {
    case "asking":
      return `${name}: being asked for`;
    case "noGateway":
      return `${name}: no gateway that opens ports answers${view?.reason === undefined ? "" : ` (${view.reason})`}`;
    case "mapped":
      return `${name}: open at ${gateway?.externalAddress ?? "the gateway, which has no external address,"}${gateway?.externalAddress === undefined ? " port " : ":"}${status.externalPort} (${gateway?.name ?? "gateway"})`;
    case "refused":
      return `${name}: refused by ${gateway?.name ?? "the gateway"}: ${status.code} ${status.text}`;
    case "unreachable":
      return `${name}: ${status.reason}`;
    case "removed":
      return `${name}: closed`;
  }
}

function isMappable<P extends Port>(port: P): port is P & { readonly protocol: "TCP" | "UDP" } {
  return port.protocol !== "SCTP";
}

/** Another node has not taken it over. */
function isNobodyElses(world: World, ownership: OwnershipKey): boolean {
  const holder = holderOf(world, ownership);
  return holder === "" || holder === world.node;
}

function leaseOf({ annotations }: Service): number {
  const seconds = durationSeconds(annotations[UPNP_LEASE] ?? "");
  return seconds === undefined || seconds < 0 || seconds > MOST_LEASE_SECONDS ? DEFAULT_LEASE_SECONDS : Math.ceil(seconds);
}

function openAt({ protocol }: Mapping, view: MappingView | undefined): readonly { readonly address: IpAddress; readonly text: string }[] {
  const address = view?.gateway?.externalAddress;
  return view?.status.kind !== "mapped" || address === undefined ? [] : [{ address, text: `${address}:${view.status.externalPort}/${protocol}` }];
}

function eventOf(mapping: Mapping, view: MappingView): Pick<EventDraft, "type" | "reason" | "message">[] {
  const { status, gateway } = view;
  const { address, port, protocol } = mapping;
  const from = gateway === undefined ? "the gateway" : `gateway ${gateway.name} (${gateway.host})`;
  switch (status.kind) {
    case "mapped": {
      const outside = gateway?.externalAddress === undefined ? `port ${status.externalPort}/${protocol}` : `${gateway.externalAddress}:${status.externalPort}/${protocol}`;
      const other = status.externalPort === port ? "" : `; port ${port} is taken there`;
      return [{ type: "Normal", reason: "PortOpened", message: `${outside} leads to ${address}:${port}, opened at ${from}${other}` }];
    }
    case "refused":
      return [{ type: "Warning", reason: "PortRefused", message: `port ${port}/${protocol} for ${address} is refused by ${from}: ${status.code} ${status.text}` }];
    case "noGateway":
      return [{ type: "Warning", reason: "NoGateway", message: `port ${port}/${protocol} for ${address} is not opened: no gateway that opens ports answers on ${mapping.iface}${view.reason === undefined ? "" : ` (${view.reason})`}` }];
    case "unreachable":
      return [{ type: "Warning", reason: "PortNotOpened", message: `port ${port}/${protocol} for ${address} is not opened: ${from} does not answer as it should: ${status.reason}` }];
    case "asking":
    case "removed":
      return [];
  }
}

/** By Service. */
export function mappingsOfService(wants: ReadonlyMap<unknown, Mapping>, service: ServiceKey): readonly Mapping[] {
  return [...wants.values()].filter(({ owners }) => owners.includes(service));
}
