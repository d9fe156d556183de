import { familyOf, parseIp, type IpAddress } from "../lib/ip.js";
import type { EventDraft, Service } from "../ports/kube.js";
import { durationSeconds } from "../lib/duration.js";
import type { Placed } from "./layout.js";
import { mappingKey, vipKey, type Mapping, type MappingView, type OwnershipKey, type Port } from "./model.js";
import { holderOf, owns } from "./plan-owners.js";
import { EXTERNAL, type Writes } from "./plan-writes.js";
import type { World } from "./world.js";

/** `"true"`: the ports of the Service are opened at the gateway. As in kube-vip. */
export const FORWARD_UPNP = "kube-vip.io/forwardUPNP";
/** For how long the gateway is asked at a time: a Go duration, `0s` for ever. */
export const UPNP_LEASE = "kube-vip.io/upnp-lease-duration";

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

/** The ports of one address of a Service that is up here, as the gateway is to open them. In IPv6 there is nothing to translate, only to let through. */
export function mappingsOf({ service, facts }: Pick<Placed, "service" | "facts">, at: { readonly iface: string; readonly address: IpAddress; readonly ownership: OwnershipKey }, world: World, config: UpnpPlanConfig): readonly Mapping[] {
  const { iface, address, ownership } = at;
  if (!config.upnp || !asksUpnp(service)) return [];
  // Nobody has taken over, and the address is about to go: then the ports are closed as long as it is there.
  if (world.stage !== "running" && !owns(world, ownership) && isNobodyElses(world, ownership)) return [];
  const leaseSeconds = leaseOf(service);
  return service.ports.filter(isMappable).map(({ protocol, port }) => ({ key: mappingKey(vipKey(iface, address), { protocol, port }), owners: [facts.key], uid: service.uid, iface, address, protocol, port, leaseSeconds }));
}

/** Facts about the ports of one Service. */
export interface PublishedPorts {
  readonly mappings: readonly Mapping[];
  /** Some address of it is on its way, so that its ports are not known yet. */
  readonly pending: boolean;
  readonly world: Pick<World, "mappings">;
  readonly config: UpnpPlanConfig;
}

/** Writes down where the ports of a Service are reached from outside, and what became of each; the addresses of the gateway that belong into its status. */
export function publish(service: Service, { mappings, pending, world, config }: PublishedPorts, writes: Pick<Writes, "external" | "event">): readonly IpAddress[] {
  const views = mappings.map((mapping): readonly [Mapping, MappingView | undefined] => [mapping, world.mappings.get(mapping.key)]);
  const translated = mappings.some(({ address }) => familyOf(address) === 4);
  for (const [mapping, view] of views) {
    const event = view === undefined ? undefined : eventOf(mapping, view, translated);
    if (event !== undefined) writes.event(service, event.type, event);
  }
  for (const { port } of mappings.length > 0 ? service.ports.filter((one) => !isMappable(one)) : []) {
    writes.event(service, "Warning", { reason: "PortNotOpened", message: `port ${port}/SCTP is not opened at the gateway: TCP and UDP only` });
  }
  const said = service.annotations[EXTERNAL] ?? null;
  const waiting = (config.upnp && asksUpnp(service) && pending) || views.some(([, view]) => view === undefined || view.status.kind === "asking");
  const external = waiting ? said : views.flatMap(([mapping, view]) => openAt(mapping, view)).join(",") || null;
  writes.external(service, external);
  return config.upnpStatus ? addressesIn(external ?? "") : [];
}

/** `[2001:db8::1]:80` */
function endpoint(address: IpAddress, port: number): string {
  return `${familyOf(address) === 6 ? `[${address}]` : address}:${port}`;
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

function openAt({ protocol }: Mapping, view: MappingView | undefined): readonly string[] {
  const address = view?.gateway?.externalAddress;
  return view?.status.kind !== "mapped" || address === undefined ? [] : [`${endpoint(address, view.status.externalPort)}/${protocol}`];
}

/** Of the annotation. IPv4 only: in IPv6 they are our own. */
function addressesIn(external: string): readonly IpAddress[] {
  return [...new Set(external.split(",").flatMap((entry) => parseIp(entry.split(":")[0] ?? "") ?? []))];
}

function eventOf({ address, port, protocol, iface }: Mapping, { status, gateway, reason }: MappingView, translated: boolean): Pick<EventDraft, "type" | "reason" | "message"> | undefined {
  const from = gateway === undefined ? "the gateway" : `gateway ${gateway.name} (${gateway.host})`;
  const what = `port ${port}/${protocol} for ${address}`;
  switch (status.kind) {
    case "mapped": {
      const outside = gateway?.externalAddress === undefined ? `port ${status.externalPort}/${protocol}` : `${endpoint(gateway.externalAddress, status.externalPort)}/${protocol}`;
      const other = status.externalPort === port ? "" : `; port ${port} is taken there`;
      return { type: "Normal", reason: "PortOpened", message: `${outside} leads to ${endpoint(address, port)}, opened at ${from}${other}` };
    }
    case "refused":
      return { type: "Warning", reason: "PortRefused", message: `${what} is refused by ${from}: ${status.code} ${status.text}` };
    case "noGateway": {
      const why = reason === undefined ? "" : ` (${reason})`;
      if (familyOf(address) === 4) return { type: "Warning", reason: "NoGateway", message: `${what} is not opened: no gateway that opens ports answers on ${iface}${why}` };
      // Once for all ports. Beside IPv4 it is how most networks are, and nobody can tell whether a firewall is in the way.
      const message = `the ports of ${address} are not opened: no gateway that opens ports for IPv6 answers on ${iface}${why}; they are reached where no firewall is in the way`;
      return { type: translated ? "Normal" : "Warning", reason: "NoGateway", message };
    }
    case "unreachable":
      return { type: "Warning", reason: "PortNotOpened", message: `${what} is not opened: ${from} does not answer as it should: ${status.reason}` };
    case "asking":
    case "removed":
      return undefined;
  }
}
