import type { IpAddress } from "../lib/ip.js";

/** One DNAT rule set: packets to (address, protocol, port) go to one of the targets, new connections in random turn. */
export interface NftPort {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
  readonly targets: readonly { readonly address: IpAddress; readonly port: number }[];
}

/** One VIP in the table, with everything that belongs to it. `key` is kept in the kernel, so that it can be read back. */
export interface NftVip {
  readonly key: string;
  readonly address: IpAddress;
  readonly ports: readonly NftPort[];
}

/** A table of nftables (family inet) of our own. Every write is one transaction: it takes effect as a whole, or not at all. */
export interface Nft {
  /** Makes the rules of this VIP exactly these, making the table where it is missing. Connections that are tracked already stay as they are. */
  putVip(vip: NftVip, signal: AbortSignal): Promise<void>;
  /** Removes the rules of a VIP, and the table with the last one. False where there was none. */
  removeVip(key: string, signal: AbortSignal): Promise<boolean>;
  /** The VIPs in the table, by key; empty where there is no table. */
  vips(signal: AbortSignal): Promise<readonly { readonly key: string; readonly describe: string }[]>;
}
