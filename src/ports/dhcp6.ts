import type { IpAddress } from "../lib/ip.js";

/** Where a DHCPv6 client is heard: a link-local address that is on the link. */
export interface Dhcp6Local {
  readonly iface: string;
  readonly address: IpAddress;
}

export interface Dhcp6Socket extends AsyncDisposable {
  /** To all servers and relays of the link (RFC 8415 7.1). Rejects with what the kernel says. */
  send(bytes: Uint8Array): Promise<void>;
}

/** UDP sockets of DHCPv6 clients (RFC 8415 7.2). */
export interface Dhcp6Sockets {
  /** `received` gets a copy of each datagram, and its sender. Rejects with what the kernel says: `EADDRNOTAVAIL` where the address is not there. */
  open(local: Dhcp6Local, received: (bytes: Uint8Array, from: IpAddress) => void): Promise<Dhcp6Socket>;
}
