import type { IpAddress } from "../lib/ip.js";

/** An ICMPv6 message that has come in by a link; the kernel has checked its checksum. */
export interface RouterMessageIn {
  /** A copy, from the ICMPv6 header on. */
  readonly bytes: Uint8Array;
  readonly source: IpAddress;
  /** As it arrived. */
  readonly hopLimit: number;
}

/** Where messages are heard, and what they are sent from. */
export interface RouterPlace {
  readonly iface: string;
  readonly linkIndex: number;
  /** A link-local address of this node on the link. */
  readonly address: IpAddress;
}

export interface RouterSocket extends AsyncDisposable {
  /** Sends an ICMPv6 message to a multicast group of the link, with hop limit 255; the kernel puts in the checksum. Throws KernelError. */
  send(message: Uint8Array, to: IpAddress): void;
}

/** Router Solicitations and Advertisements (RFC 4861) on links of this network namespace. */
export interface RouterLinks {
  /**
   * Hears those of a link, but not what the socket itself sends. Throws KernelError: `EADDRNOTAVAIL` where the
   * address cannot be used, or not yet (duplicate address detection), `ENODEV` without the link, `EPERM` without CAP_NET_RAW.
   */
  open(place: RouterPlace, onMessage: (message: RouterMessageIn) => void): RouterSocket;
}
