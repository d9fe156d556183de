import type { IpAddress } from "../lib/ip.js";

/** Takes a datagram: its octets, and who sent it. The octets are the receiver's to keep. */
export type OnDatagram = (bytes: Uint8Array, from: IpAddress) => void;

/** Sends searches from one address of this node, and hears their answers. */
export interface SsdpSearcher extends AsyncDisposable {
  /** To the group of SSDP on the link of the address, or to one host. */
  send(bytes: Uint8Array, to: IpAddress | "group", signal: AbortSignal): Promise<void>;
}

/** An address that this node holds on a link; its family is the one that is spoken. */
export interface SsdpPlace {
  readonly address: IpAddress;
  readonly iface: string;
}

/** Datagrams of SSDP (UPnP Device Architecture 2.0, 1 and annex A). */
export interface Ssdp {
  /** Opens a socket bound to the address. Rejects where the node has no such address. */
  searcher(at: SsdpPlace, received: OnDatagram, signal: AbortSignal): Promise<SsdpSearcher>;
  /** Hears what devices announce to the group on the link. Rejects where that is not possible. */
  listen(at: SsdpPlace, received: OnDatagram, signal: AbortSignal): Promise<AsyncDisposable>;
}
