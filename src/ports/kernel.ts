import type { Family, IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";

/** A network link as the kernel reports it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Undefined on links without a 48-bit hardware address (lo reports zeros and has none here). */
  readonly mac: MacAddress | undefined;
  /** IFF_UP: administratively up. */
  readonly up: boolean;
  /** IFF_LOWER_UP: the link below has carrier. */
  readonly carrier: boolean;
  readonly loopback: boolean;
  readonly mtu: number;
  /** `macvlan`, `veth`, `bridge` ... where the driver says. */
  readonly kind: string | undefined;
  /** IFLA_IFALIAS; empty where there is none. */
  readonly alias: string;
  /** The link below (VLAN, macvlan) or at the other end (veth); undefined where there is none in this network namespace. */
  readonly parentIndex: number | undefined;
  /** The id of an IEEE 802.1Q VLAN; undefined for links of other kinds, IEEE 802.1ad among them. */
  readonly vlan: number | undefined;
}

/** A VLAN sub-interface to be made. */
export interface VlanPut {
  readonly name: string;
  readonly parentIndex: number;
  /** 1 to 4094. */
  readonly vlan: number;
  readonly alias: string;
}

/** A macvlan to be made, in private mode: what one sends to all is no news for its siblings, of which there may be hundreds. */
export interface MacvlanPut {
  readonly name: string;
  readonly parentIndex: number;
  readonly mac: MacAddress;
  readonly alias: string;
  /** The sysctl of this name: 0 off, 1 strict, 2 loose. */
  readonly rpFilter: number;
}

/** Sysctls of these names of a link: for which addresses it answers ARP, and from which it asks. */
export interface ArpConf {
  readonly arpIgnore: number;
  readonly arpAnnounce: number;
}

export type AddressScope = "global" | "site" | "link" | "host" | "nowhere";

/** An address on a link. Lifetimes in whole seconds, Infinity = for ever. */
export interface LinkAddress {
  readonly linkIndex: number;
  readonly address: IpAddress;
  readonly prefix: number;
  readonly scope: AddressScope;
  /** IFA_PROTO: who made it; 0 where unknown. */
  readonly mark: number;
  readonly validSeconds: number;
  readonly preferredSeconds: number;
}

export interface AddressId {
  readonly linkIndex: number;
  readonly address: IpAddress;
  readonly prefix: number;
}

export interface AddressPut extends AddressId {
  readonly scope: AddressScope;
  readonly mark: number;
  /** Monotonic ms (Clock.now) by which the kernel's lifetime has to have ended; Infinity = for ever. */
  readonly validUntil: number;
}

export interface Route {
  readonly family: Family;
  readonly table: number;
  /** Undefined for the default route. */
  readonly destination: IpAddress | undefined;
  readonly prefix: number;
  readonly gateway: IpAddress | undefined;
  readonly linkIndex: number | undefined;
  readonly metric: number;
}

export interface Links {
  links(signal: AbortSignal): Promise<readonly Link[]>;
  /**
   * Adds an IEEE 802.1Q link, with its alias set, and sets it up; all of it or nothing. Code `EEXIST` where the name is taken or the parent has this
   * VLAN already, `EOPNOTSUPP` or its other name `ENOTSUP` where the kernel has no 8021q, `ENETDOWN` where the parent is down.
   */
  addVlan(vlan: VlanPut, signal: AbortSignal): Promise<void>;
  /**
   * Adds a macvlan with its alias, set up last, when it is as follows: no IPv6 address of its own (addr_gen_mode), ARP answered for its own addresses only
   * (arp_ignore 1, arp_announce 2), `rpFilter`, and routers refused where that can be. All of it or nothing. Code `EEXIST` where the name is taken,
   * `EADDRINUSE` where a sibling has this MAC, `EOPNOTSUPP` or its other name `ENOTSUP` where the kernel has no macvlan.
   */
  addMacvlan(macvlan: MacvlanPut, signal: AbortSignal): Promise<void>;
  /** Makes a link take no addresses and routes from router advertisements. False where they still count: /proc/sys cannot be written in a container. */
  refuseRouters(name: string): boolean;
  /** Sets a link administratively up. */
  setLinkUp(linkIndex: number, signal: AbortSignal): Promise<void>;
  /** What is set for a link, and for all links: the larger of the two counts. Rejects where there is no such link. */
  arpConf(name: string, signal: AbortSignal): Promise<{ readonly own: ArpConf; readonly all: ArpConf }>;
  setArpConf(linkIndex: number, conf: ArpConf, signal: AbortSignal): Promise<void>;
  /** Removes a link. False where it was not there. */
  removeLink(linkIndex: number, signal: AbortSignal): Promise<boolean>;
}

export interface Addresses {
  /** All addresses of the network namespace, of both families. */
  addresses(signal: AbortSignal): Promise<readonly LinkAddress[]>;
  /**
   * Adds the address or replaces its lifetimes, scope and mark (NLM_F_CREATE | NLM_F_REPLACE). The lifetime is worked out just before the write:
   * whole seconds until `validUntil`, rounded down; less than one is refused with code `ETIME`. Preferred lifetime is always 0 (never a source
   * address). Resolves with the monotonic ms at which the lifetime ends (Infinity = never).
   */
  putAddress(address: AddressPut, signal: AbortSignal): Promise<number>;
  /** The same for an address that was put before and has been as it was put since: only its lifetime is set, nothing is looked up. */
  prolongAddress(address: AddressPut, signal: AbortSignal): Promise<number>;
  /** Removes the address. False where it was not there (also when its link is gone). */
  removeAddress(address: AddressId, signal: AbortSignal): Promise<boolean>;
}

export interface Routes {
  routes(signal: AbortSignal): Promise<readonly Route[]>;
}

export type KernelEvent =
  | { readonly type: "link"; readonly link: Link; readonly gone: boolean }
  | { readonly type: "address"; readonly address: LinkAddress; readonly gone: boolean }
  /** Events were lost (ENOBUFS): dump everything again. */
  | { readonly type: "overrun" };

export interface KernelEvents {
  /** Calls `listener` for every link and address event from now on, but for IPv4 addresses that were put or prolonged here. */
  listen(listener: (event: KernelEvent) => void): AsyncDisposable;
}

export interface FrameSocket extends AsyncDisposable {
  /** Sends one whole Ethernet frame. Throws KernelError; a full queue (ENOBUFS) is one too. */
  send(frame: Uint8Array): void;
}

export interface Packets {
  /**
   * A raw socket on one link that sends whole Ethernet frames and, where `onFrame` is given, hears ARP (kernel filter); without it the kernel
   * delivers nothing. The frame given to `onFrame` is a copy.
   */
  openArp(linkIndex: number, onFrame: ((frame: Uint8Array) => void) | undefined): FrameSocket;
  /**
   * The same for Neighbor Solicitations and Advertisements (ICMPv6 135 and 136). While there is an `onFrame`, the link receives all multicast, so that
   * solicitations for addresses that this node does not have are heard too, as far as the switch sends them here.
   */
  openNd(linkIndex: number, onFrame: ((frame: Uint8Array) => void) | undefined): FrameSocket;
  /** The same for UDP over IPv4 to the port of DHCP clients (68). */
  openDhcp(linkIndex: number, onFrame: ((frame: Uint8Array) => void) | undefined): FrameSocket;
}

/**
 * The kernel of this network namespace. Calls made in the same turn of the loop go to the kernel in one batch, in the order in which they were
 * made; a write never blocks the loop, also while someone else holds the rtnl lock.
 */
export interface Kernel extends Links, Addresses, Routes, KernelEvents, Packets, AsyncDisposable {}

/** What the kernel refused. `errno` is the positive number, `code` its name where known (`EPERM`), message `add 192.0.2.10/32 to link 3: EPERM: text of the kernel`. */
export interface KernelErrorShape extends Error {
  readonly code: string;
  readonly errno: number;
}
