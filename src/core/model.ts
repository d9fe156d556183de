import type { IpAddress } from "../lib/ip.js";

declare const vipKeyBrand: unique symbol;
/** `<interface>/<address>`: a VIP is known by where it is, not by the Service that asked for it. */
export type VipKey = string & { readonly [vipKeyBrand]: true };

declare const serviceKeyBrand: unique symbol;
/** `<namespace>/<name>`. */
export type ServiceKey = string & { readonly [serviceKeyBrand]: true };

/** What is owned as one, by one node (DESIGN: single keys). */
export type OwnershipKey = "services" | "control-plane";

/** IFA_PROTO of the addresses that we make, so that a process that serves only the one never touches what another made for the other. */
export type Marks = Readonly<Record<OwnershipKey, number>>;

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
  readonly ports: readonly Port[];
  /** Whose fence this address stands behind. */
  readonly ownership: OwnershipKey;
  /** No node of ours has held this address before: somebody else may have it. */
  readonly fresh: boolean;
}

/** What each mode takes. A new mode is a line here, a file in modes/ and a line in modes/index.ts. */
export interface WantOf {
  readonly arp: Vip;
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
