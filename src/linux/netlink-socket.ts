import { decodeMessages, type NetlinkMessage } from "../wire/netlink/message.js";
import { KernelError } from "./errors.js";
import type { Native } from "./native.js";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x8_0000;
const NETLINK_ROUTE = 0;

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVTIMEO = 20;
const SO_RCVBUFFORCE = 33;

const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

export const MSG_DONTWAIT = 0x40;
/** The kernel builds no datagram above 64 KB, whatever the size of the buffer. */
export const RECEIVE_BUFFER_SIZE = 128 * 1024;

export const EINTR = 4;
export const EAGAIN = 11;
export const ETIME = 62;
export const ENETDOWN = 100;
export const ENOBUFS = 105;
export const ETIMEDOUT = 110;
export const ECANCELED = 125;

/** A request without what the socket adds: sequence number, NLM_F_REQUEST and NLM_F_ACK. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags: number;
  /** Called just before the write. A throw rejects this request only. */
  readonly payload: () => Uint8Array;
  /** NETLINK_*; rtnetlink where it is not given. Dumps only. */
  readonly protocol?: number;
  /** For the message of an error: what is tried and on what. */
  readonly tried: string;
}

export interface NetlinkSocketOptions {
  /** Bits of the multicast groups to hear; 0 = none. */
  readonly groups: number;
  /** Octets that may wait in the kernel, or undefined for the default of the machine. */
  readonly receiveBuffer: number | undefined;
  /** NETLINK_*; rtnetlink where it is not given. */
  readonly protocol?: number | undefined;
  /** After this a blocking read ends with EAGAIN; undefined = never. */
  readonly receiveTimeoutSeconds: number | undefined;
}

/** Opens a netlink socket with extended acknowledgements and strict checks. It is in blocking mode: a write must wait for the rtnl lock. */
export function openNetlink(native: Native, options: NetlinkSocketOptions): number {
  const fd = native.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, options.protocol ?? NETLINK_ROUTE);
  if (fd < 0) throw new KernelError("open a netlink socket", -fd);
  // Older kernels lack some of these; then errors have no text and dumps are not checked, which is no reason to stop.
  for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) native.setsockopt(fd, SOL_NETLINK, option, int32(1));
  if (options.receiveBuffer !== undefined) setReceiveBuffer(native, fd, options.receiveBuffer);
  if (options.receiveTimeoutSeconds !== undefined) native.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval(options.receiveTimeoutSeconds));
  const bound = native.bind(fd, netlinkAddress(options.groups));
  if (bound < 0) {
    native.close(fd);
    throw new KernelError("bind a netlink socket", -bound);
  }
  return fd;
}

/** Lets so many octets wait to be read. */
export function setReceiveBuffer(native: Native, fd: number, size: number): void {
  // FORCE needs CAP_NET_ADMIN in the first user namespace; without it the limit net.core.rmem_max holds.
  if (native.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(size)) < 0) native.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, int32(size));
}

// sockaddr_nl: family, two octets pad, port id (0 = the kernel picks one), groups
function netlinkAddress(groups: number): Uint8Array {
  const address = new DataView(new ArrayBuffer(12));
  address.setUint16(0, AF_NETLINK, true);
  address.setUint32(8, groups, true);
  return new Uint8Array(address.buffer);
}

function timeval(seconds: number): Uint8Array {
  const value = new DataView(new ArrayBuffer(16));
  value.setBigInt64(0, BigInt(seconds), true);
  return new Uint8Array(value.buffer);
}

function int32(value: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setInt32(0, value, true);
  return new Uint8Array(bytes.buffer);
}

/** What one read gave: messages, the errno of the socket, or an error of the decoder. */
export type Received = { readonly messages: readonly NetlinkMessage[] } | { readonly errno: number };

/** Takes one datagram off the socket without waiting. Throws DecodeError. */
export function receiveNow(native: Native, fd: number, buffer: Uint8Array): Received {
  return received(native.recv(fd, buffer, MSG_DONTWAIT), buffer);
}

/** Waits for one datagram on another thread. Kernel work of a dump is done in here, rtnl lock included. Throws DecodeError. */
export async function receiveOffLoop(native: Native, fd: number, buffer: Uint8Array): Promise<Received> {
  return received(await native.readOffLoop(fd, buffer), buffer);
}

function received(length: number, buffer: Uint8Array): Received {
  if (length < 0) return { errno: -length };
  return { messages: decodeMessages(buffer.subarray(0, length)) };
}

/** Joins encoded messages to one datagram. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Sequence numbers 1 to 2^32-1, then again from 1; 0 is the kernel's own. */
export function nextSequence(seq: number): number {
  return seq >= 0xffff_ffff ? 1 : seq + 1;
}

