import type { Family, IpAddress } from "../lib/ip.js";
import type { OnDatagram } from "./ssdp.js";

/** Between which addresses a request goes. */
export interface PcpPath {
  /** One that this node holds: a server opens ports for the sender only. */
  readonly from: IpAddress;
  /** The server. */
  readonly to: IpAddress;
  /** The link between them; link-local addresses need it. */
  readonly iface: string;
}

/** Who hears of a request. */
export interface PcpListener {
  /** The octets are the receiver's to keep. */
  received(bytes: Uint8Array): void;
  /** The other side has said that nobody listens there, or the network that it cannot be reached. */
  failed(error: Error): void;
}

/** A socket to one server. */
export interface PcpSocket extends AsyncDisposable {
  send(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** Datagrams of PCP and NAT-PMP. */
export interface PcpSockets {
  /** Opens a socket with a port of its own, for which the kernel passes over what others send. Rejects where the node does not have the address. */
  connect(path: PcpPath, listener: PcpListener, signal: AbortSignal): Promise<PcpSocket>;
  /** Hears what servers announce to all hosts of a link. Rejects where that is not possible. */
  listen(at: { readonly iface: string; readonly family: Family }, received: OnDatagram, signal: AbortSignal): Promise<AsyncDisposable>;
}
