import type { BgpRoutePolicy } from "../lib/bgp-peer.js";
import type { Family, IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { DhcpLease, DhcpLossReason, DhcpPhase } from "../machine/dhcp-client-state.js";
import type { Dhcp6Phase } from "../machine/dhcp6-client-state.js";
import type { UpnpStatus } from "../machine/upnp-mapping-state.js";

declare const vipKeyBrand: unique symbol;
/** `<interface>/<address>`: a VIP is known by where it is, not by the Service that asked for it. */
export type VipKey = string & { readonly [vipKeyBrand]: true };

declare const serviceKeyBrand: unique symbol;
/** `<namespace>/<name>`. */
export type ServiceKey = string & { readonly [serviceKeyBrand]: true };

/** A Service with a Romana VIP, which is owned by itself: `romana/<namespace>/<name>`. */
export type RomanaKey = `romana/${string}`;

/** Services that share addresses and are owned together, by svc_election: `svc/<smallest member>`. */
export type GroupKey = `svc/${string}`;

/** What is owned as one, by one node. */
export type OwnershipKey = "services" | "control-plane" | RomanaKey | GroupKey;

export function groupKey(member: string): GroupKey {
  return `svc/${member}`;
}

/** One of many, shared out among the nodes. */
export function isShared(key: OwnershipKey): key is RomanaKey | GroupKey {
  return key !== "services" && key !== "control-plane";
}

/** What a process serves: the control plane, Services, or both. */
export type Part = "services" | "control-plane";

/** IFA_PROTO of the addresses that we make, so that a process that serves only the one never touches what another made for the other. */
export type Marks = Readonly<Record<Part, number>>;

export function partOf(ownership: OwnershipKey): Part {
  return ownership === "control-plane" ? "control-plane" : "services";
}

export function romanaKey(service: ServiceKey): RomanaKey {
  return `romana/${service}`;
}

export interface Port {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
}

/** What every mode is told about a thing that it should hold. */
export interface Want {
  readonly key: VipKey;
  /** The Services that asked for it, oldest first; empty for the control plane. */
  readonly owners: readonly ServiceKey[];
  readonly iface: string;
}

/** An address to hold on a link of this node and to announce there. */
export interface Vip extends Want {
  readonly address: IpAddress;
  readonly prefix: number;
  /** IPv4: `global` beside an address of the node with the same subnet, since Linux takes one scope for a subnet only; default `host`. */
  readonly scope?: "global" | undefined;
  readonly ports: readonly Port[];
  /** Whose fence this address stands behind. */
  readonly ownership: OwnershipKey;
  /** No node of ours has held this address before: somebody else may have it. */
  readonly fresh: boolean;
  /** Held by several nodes at once, and by routes that lead to them: for as long as it is wanted, whether or not this process lives, and the link is told nothing of it. */
  readonly anycast?: true | undefined;
  /** Monotonic ms at which it ends to be ours, whoever owns it: the end of a lease; undefined: never. */
  readonly until?: number | undefined;
}

declare const linkKeyBrand: unique symbol;
/** The name of a link that we make. */
export type LinkKey = string & { readonly [linkKeyBrand]: true };

/** The link of a control-plane VIP by DHCP, of which a process has one at the most. Services never have it. */
export const CONTROL_PLANE_LINK = "vip-cp" as LinkKey;

interface LinkBase {
  readonly key: LinkKey;
  /** The Services that asked for it, oldest first. */
  readonly owners: readonly ServiceKey[];
  /** The link below. */
  readonly parent: string;
}

/** An IEEE 802.1Q sub-interface that Services ask for by `kube-vip.io/serviceVLAN`. */
export interface VlanWant extends LinkBase {
  /** 1 to 4094. */
  readonly vlan: number;
}

/** A second MAC address on the link below, for an address by DHCP. Without owners it is for the control plane. */
export interface MacvlanWant extends LinkBase {
  readonly vlan?: undefined;
  readonly mac: MacAddress;
  /** As the sysctl of this name: 0 off, 1 strict, 2 loose. */
  readonly rpFilter: RpFilter;
}

export type RpFilter = 0 | 1 | 2;

/** A link that Services ask for. */
export type LinkWant = VlanWant | MacvlanWant;

declare const leaseKeyBrand: unique symbol;
/** What a lease is for: `dhcp4/<uid of a Service>`, or `dhcp4/link/<name>` for Services that name one link; `dhcp6/...` for one by DHCPv6. */
export type LeaseKey = string & { readonly [leaseKeyBrand]: true };

/** An address to get from a DHCP server and to keep. */
export interface LeaseWant {
  readonly key: LeaseKey;
  /** 4: by DHCPv4; 6: by DHCPv6. */
  readonly family: Family;
  /** The Services that asked for it, oldest first. */
  readonly owners: readonly ServiceKey[];
  /** The link that the address is for, and on which servers are asked. */
  readonly iface: string;
  readonly linkIndex: number;
  /** Of that link. With DHCPv4 the client identifier follows from it, so that the server knows the lease again on another node. */
  readonly mac: MacAddress;
  /** 16 octets, the same on every node: who a DHCPv6 server takes us for (RFC 6355). */
  readonly uuid: Uint8Array;
  /** Option 12 of DHCPv4, 39 of DHCPv6. */
  readonly hostname: string | undefined;
  /** The address of an earlier life. */
  readonly requestedAddress: IpAddress | undefined;
  /** Addresses that a node of ours has announced: whoever answers for one of these is no stranger. Undefined: any may be one. */
  readonly known: readonly IpAddress[] | undefined;
  /** Ask servers to broadcast their answers. */
  readonly broadcast: boolean;
}

/** What went wrong last with a lease. */
export type LeaseTrouble =
  | { readonly type: "lost"; readonly address: IpAddress; readonly reason: DhcpLossReason }
  | { readonly type: "refused"; readonly server: IpAddress; readonly text: string | undefined }
  | { readonly type: "declined"; readonly address: IpAddress; readonly server: IpAddress; readonly by: MacAddress | undefined };

/** What every lease has, whichever DHCP gave it. */
export type LeaseHeld = Pick<DhcpLease, "address" | "server" | "renewAt" | "rebindAt" | "expiresAt">;

/** How far a lease is. */
export interface LeaseSeen {
  readonly phase: DhcpPhase | Dhcp6Phase;
  readonly mac: MacAddress;
  /** The address in use. */
  readonly lease: LeaseHeld | undefined;
  /** Messages sent in this phase, none of which was answered so far. */
  readonly sends: number;
  /** Since when a server has been asked without success, monotonic ms; undefined while all is well. */
  readonly seekingSince: number | undefined;
  /** Undefined once there is a lease. */
  readonly trouble: LeaseTrouble | undefined;
}

/** Where one port of a VIP leads to: ready endpoints on this node. */
export interface DnatPort extends Port {
  readonly targets: readonly { readonly address: IpAddress; readonly port: number }[];
}

/** Traffic to a VIP that no other program forwards: led to endpoints on this node by destination NAT. */
export interface Dnat extends Want {
  readonly address: IpAddress;
  readonly ports: readonly DnatPort[];
}

declare const routeKeyBrand: unique symbol;
/** `192.0.2.10/32`: a prefix is announced once, whoever asked for it. */
export type RouteKey = string & { readonly [routeKeyBrand]: true };

/** A prefix to announce to BGP peers from this node. */
export interface Route {
  readonly key: RouteKey;
  /** The Services that asked for it, oldest first; empty for the control plane. */
  readonly owners: readonly ServiceKey[];
  readonly address: IpAddress;
  readonly length: number;
  readonly policy: BgpRoutePolicy;
  /** Names of the peers that get it; undefined: all. */
  readonly peers?: readonly string[] | undefined;
  /** Announced only while this is held; undefined: nobody has to own it. */
  readonly ownership?: OwnershipKey | undefined;
}

export function routeKey(address: IpAddress, length: number): RouteKey {
  return `${address}/${length}` as RouteKey;
}

declare const mappingKeyBrand: unique symbol;
/** `eth0/192.0.2.10 TCP/80`: a port of a VIP. */
export type MappingKey = string & { readonly [mappingKeyBrand]: true };

/** A port of a VIP that the gateway of its link should lead to it from the outside. */
export interface Mapping {
  readonly key: MappingKey;
  /** The Service that asked for it. */
  readonly owners: readonly ServiceKey[];
  /** Of that Service. */
  readonly uid: string;
  readonly iface: string;
  readonly address: IpAddress;
  readonly protocol: "TCP" | "UDP";
  readonly port: number;
  /** What is asked of the gateway; 0: for ever. */
  readonly leaseSeconds: number;
}

/** What became of a mapping. */
export interface MappingView {
  readonly status: UpnpStatus;
  /** Undefined where none answers. */
  readonly gateway: { readonly name: string; readonly host: IpAddress; readonly externalAddress: IpAddress | undefined } | undefined;
  /** Why the newest router that answered was not taken. */
  readonly reason: string | undefined;
}

export function mappingKey(vip: VipKey, { protocol, port }: Pick<Port, "protocol" | "port">): MappingKey {
  return `${vip} ${protocol}/${port}` as MappingKey;
}

/** The VIP whose port it is. */
export function vipOfMapping(key: MappingKey): VipKey {
  return key.slice(0, key.indexOf(" ")) as VipKey;
}

/** What each mode takes. A new mode is a line here, a file in modes/ and a line in modes/index.ts. */
export interface WantOf {
  readonly arp: Vip;
  readonly link: LinkWant;
  readonly dhcp: LeaseWant;
  readonly dnat: Dnat;
  readonly bgp: Route;
  readonly upnp: Mapping;
}

export type ModeName = keyof WantOf;

export function vipKey(iface: string, address: IpAddress): VipKey {
  return `${iface}/${address}` as VipKey;
}

/** The two parts of a key. Link names have no slash (dev_valid_name of the kernel). */
export function splitVipKey(key: VipKey): { readonly iface: string; readonly address: IpAddress } {
  const slash = key.indexOf("/");
  return { iface: key.slice(0, slash), address: key.slice(slash + 1) as IpAddress };
}

export function serviceKey(service: { readonly namespace: string; readonly name: string }): ServiceKey {
  return `${service.namespace}/${service.name}` as ServiceKey;
}
