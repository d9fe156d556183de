import type { Family, IpAddress } from "../lib/ip.js";

/** A datagram, and how it came. */
export interface UdpDatagram {
  /** A copy. */
  readonly bytes: Uint8Array;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** The link that it came in by. */
  readonly linkIndex: number;
  /** TTL or hop limit as it arrived. */
  readonly ttl: number;
}

export interface UdpReceiver extends AsyncDisposable {
  /** Hands on what has come already, now: for who is about to act on silence. */
  drain(): void;
}

/** Where datagrams go, and how. */
export interface UdpRoute {
  readonly to: IpAddress;
  readonly port: number;
  /** Undefined: as the routes say, when the sender is made. */
  readonly from: IpAddress | undefined;
  /** Sends by this link only. A link-local address needs it. */
  readonly iface: string | undefined;
  /** TTL or hop limit. */
  readonly ttl: number;
  /** The source port is one of these that is free; both ends belong to it. */
  readonly fromPorts: { readonly first: number; readonly last: number };
}

export interface UdpSender extends Disposable {
  /** Of the link that it sends by; undefined where it may be any. */
  readonly linkIndex: number | undefined;
  /** Throws KernelError; with code `ECONNREFUSED` where the other side has said that nobody listens there, also to an earlier datagram. */
  send(bytes: Uint8Array): void;
}

/** UDP with what `node:dgram` does not show: TTL, destination and link of what arrives. */
export interface Udp {
  /** Hears a port on all addresses of a family. Throws KernelError: `EADDRINUSE` where another program has the port. */
  receive(local: { readonly port: number; readonly family: Family }, onDatagram: (datagram: UdpDatagram) => void): UdpReceiver;
  /** A socket with a source port of its own. Throws KernelError. */
  connect(route: UdpRoute): UdpSender;
}
