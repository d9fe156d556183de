import { familyOf, ipToBytes, type Family, type IpAddress } from "../lib/ip.js";
import type { TcpEnd, TcpOptions } from "../ports/net.js";
import { KernelError } from "./errors.js";
import type { Native } from "./native.js";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BINDTODEVICE = 25;

const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_MD5SIG = 14;
const TCP_USER_TIMEOUT = 18;

/** RFC 4594 3.1: CS6, the class of routing protocols. */
const NETWORK_CONTROL = 0xc0;
const MAX_MD5_OCTETS = 80;
const ENOENT = 2;

interface IpLevel {
  readonly domain: number;
  readonly level: number;
  readonly ttl: number;
  readonly leastTtl: number;
  readonly trafficClass: number;
}

/** Option numbers of the two families; linux/in.h and linux/in6.h. */
const LEVELS: Readonly<Record<Family, IpLevel>> = {
  4: { domain: AF_INET, level: 0, ttl: 2, leastTtl: 21, trafficClass: 1 },
  6: { domain: AF_INET6, level: 41, ttl: 16, leastTtl: 73, trafficClass: 67 },
};
const IPV6_V6ONLY = 26;

/** A system call on one socket: throws KernelError with what was tried. */
type Check = (result: number, tried: string) => void;

/** Opens a socket and prepares it; whatever is thrown, it is closed again. */
export function openTcp(native: Native, family: Family, prepare: (fd: number, check: Check) => void): number {
  const fd = native.socket(LEVELS[family].domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new KernelError(`open an IPv${family} TCP socket`, -fd);
  try {
    prepare(fd, checked);
    return fd;
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

function checked(result: number, tried: string): void {
  if (result < 0) throw new KernelError(tried, -result);
}

/** What a connection is to be like; the key apart, which a listening socket hands down. Throws KernelError. */
export function applyOptions(native: Native, fd: number, options: TcpOptions & { readonly family: Family }): void {
  const { level, ttl, leastTtl, trafficClass } = LEVELS[options.family];
  checked(native.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, int32(1)), "set TCP_NODELAY");
  checked(native.setsockopt(fd, level, trafficClass, int32(NETWORK_CONTROL)), "set the traffic class");
  if (options.userTimeoutMs > 0) checked(native.setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, int32(options.userTimeoutMs)), "set TCP_USER_TIMEOUT");
  if (options.ttl !== undefined) checked(native.setsockopt(fd, level, ttl, int32(options.ttl)), `set TTL ${options.ttl}`);
  if (options.leastTtl !== undefined) checked(native.setsockopt(fd, level, leastTtl, int32(options.leastTtl)), `take TTL ${options.leastTtl} and more only`);
}

/** The key for segments from and to `address`; undefined: none any more. Throws KernelError, and RangeError for a key that is too long. */
export function setMd5Key(native: Native, fd: number, key: { readonly address: IpAddress; readonly password: string | undefined }): void {
  const result = native.setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, md5Signature(key));
  if (key.password === undefined && result === -ENOENT) return;
  checked(result, `set the TCP MD5 key for ${key.address}`);
}

//   0                    128     129         130          132       136
//  ┌────────────────────┬───────┬───────────┬────────────┬─────────┬──────────────┐
//  │  sockaddr_storage  │ flags │ prefixlen │ key length │ ifindex │ key, 80 wide │   struct tcp_md5sig
//  └────────────────────┴───────┴───────────┴────────────┴─────────┴──────────────┘

function md5Signature({ address, password }: { readonly address: IpAddress; readonly password: string | undefined }): Uint8Array {
  const key = new TextEncoder().encode(password ?? "");
  if (key.length > MAX_MD5_OCTETS) throw new RangeError(`the password for ${address} has ${key.length} octets, expected at most ${MAX_MD5_OCTETS} (TCP MD5)`);
  const bytes = new Uint8Array(216);
  bytes.set(socketAddress({ address, port: 0 }));
  new DataView(bytes.buffer).setUint16(130, key.length, true);
  bytes.set(key, 136);
  return bytes;
}

/** All packets take this link. Throws KernelError. */
export function bindToLink(native: Native, fd: number, iface: string): void {
  checked(native.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${iface}\0`)), `use link ${iface}`);
}

/** A listening socket takes what its own family sends, and may follow another process on its port at once. Throws KernelError. */
export function prepareToListen(native: Native, fd: number, family: Family): void {
  const { level, ttl } = LEVELS[family];
  checked(native.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, int32(1)), "set SO_REUSEADDR");
  if (family === 6) checked(native.setsockopt(fd, level, IPV6_V6ONLY, int32(1)), "set IPV6_V6ONLY");
  // A peer with GTSM takes no SYN-ACK with less (RFC 5082 3).
  checked(native.setsockopt(fd, level, ttl, int32(255)), "set TTL 255");
}

/** struct sockaddr_in or sockaddr_in6. The link of a link-local address is that of the socket. */
export function socketAddress({ address, port }: TcpEnd): Uint8Array {
  const family = familyOf(address);
  const bytes = new Uint8Array(family === 4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, LEVELS[family].domain, true);
  view.setUint16(2, port);
  bytes.set(ipToBytes(address), family === 4 ? 4 : 8);
  return bytes;
}

function int32(value: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setInt32(0, value, true);
  return new Uint8Array(bytes.buffer);
}
