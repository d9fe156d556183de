import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { Udp, UdpRoute, UdpSender } from "../ports/udp.js";
import { KernelError } from "./errors.js";
import { MessageReader } from "./message-reader.js";
import type { Native } from "./native.js";
import { MSG_DONTWAIT } from "./netlink-socket.js";
import { AF_INET, AF_INET6, encodeSocketAddress } from "./socket-address.js";
import { int, orClose } from "./socket-steps.js";
import { IP_PKTINFO, IP_RECVTTL, IPPROTO_IP, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, IPV6_RECVPKTINFO } from "./udp-control.js";

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const SO_BINDTOIFINDEX = 62;
const IP_TOS = 1;
const IP_TTL = 2;
const IPV6_UNICAST_HOPS = 16;
const IPV6_V6ONLY = 26;
const IPV6_TCLASS = 67;
/** Class selector 6, network control: what keeps a network alive is dropped last. */
const TRAFFIC_CLASS = 0xc0;
const EBADF = 9;
const EADDRINUSE = 98;

/** How many source ports are tried. */
const PORTS_TRIED = 64;

export interface UdpDeps {
  readonly native: Native;
  readonly log: Log;
  readonly random: Random;
}

/** UDP sockets of this network namespace. */
export function createUdp(deps: UdpDeps): Udp {
  return {
    receive: (local, onDatagram) => new MessageReader(deps, { fd: openReceiver(deps.native, local), family: local.family, called: { ...local } }, onDatagram),
    connect: (route) => new Sender(deps, route),
  };
}

class Sender implements UdpSender {
  readonly linkIndex: number | undefined;
  readonly #fd: number;
  #open = true;

  constructor(
    private readonly deps: UdpDeps,
    private readonly route: UdpRoute,
  ) {
    const { fd, linkIndex } = openSender(deps, route);
    this.#fd = fd;
    this.linkIndex = linkIndex;
  }

  send(bytes: Uint8Array): void {
    const tried = `send to ${this.route.to}, UDP port ${this.route.port}`;
    if (!this.#open) throw new KernelError(tried, EBADF, "the socket is closed");
    const sent = this.deps.native.send(this.#fd, bytes, MSG_DONTWAIT);
    if (sent < 0) throw new KernelError(tried, -sent);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.deps.native.close(this.#fd);
  }
}

function openReceiver(native: Native, { port, family }: { readonly port: number; readonly family: Family }): number {
  const tried = `receive on UDP port ${port}, IPv${family}`;
  const fd = openSocket(native, family, tried);
  const on = int(1);
  const options: readonly (readonly [number, number])[] =
    family === 4
      ? [[IPPROTO_IP, IP_RECVTTL], [IPPROTO_IP, IP_PKTINFO]]
      : [[IPPROTO_IPV6, IPV6_V6ONLY], [IPPROTO_IPV6, IPV6_RECVHOPLIMIT], [IPPROTO_IPV6, IPV6_RECVPKTINFO]];
  orClose(native, fd, tried, [
    ...options.map(([level, option]) => () => native.setsockopt(fd, level, option, on)),
    () => native.bind(fd, encodeSocketAddress({ address: anyAddress(family), port })),
  ]);
  return fd;
}

function openSender({ native, random }: UdpDeps, route: UdpRoute): { readonly fd: number; readonly linkIndex: number | undefined } {
  const family = familyOf(route.to);
  const { iface, ttl, fromPorts } = route;
  const tried = `open a UDP socket to ${route.to}${iface === undefined ? "" : ` by ${iface}`}`;
  const fd = openSocket(native, family, tried);
  const level = family === 4 ? IPPROTO_IP : IPPROTO_IPV6;
  orClose(native, fd, tried, [
    () => (iface === undefined ? 0 : native.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${iface}\0`))),
    () => native.setsockopt(fd, level, family === 4 ? IP_TTL : IPV6_UNICAST_HOPS, int(ttl)),
    () => native.setsockopt(fd, level, family === 4 ? IP_TOS : IPV6_TCLASS, int(TRAFFIC_CLASS)),
    () => bindFree({ native, fd, address: route.from ?? anyAddress(family), ports: fromPorts }, random),
    () => native.connect(fd, encodeSocketAddress({ address: route.to, port: route.port })),
  ]);
  return { fd, linkIndex: iface === undefined ? undefined : boundLink(native, fd) };
}

interface Binding {
  readonly native: Native;
  readonly fd: number;
  readonly address: IpAddress;
  readonly ports: { readonly first: number; readonly last: number };
}

/** Binds to a port of the range that is free, from a random one on. Zero, or the negative errno. */
function bindFree({ native, fd, address, ports: { first, last } }: Binding, random: Random): number {
  const count = last - first + 1;
  const start = Math.floor(random.float() * count);
  let bound = -EADDRINUSE;
  for (let tries = 0; tries < Math.min(PORTS_TRIED, count) && bound === -EADDRINUSE; tries += 1) {
    bound = native.bind(fd, encodeSocketAddress({ address, port: first + ((start + tries) % count) }));
  }
  return bound;
}

/** SO_BINDTOIFINDEX, since Linux 5.1: the number of the link that SO_BINDTODEVICE named. */
function boundLink(native: Native, fd: number): number | undefined {
  const value = new Uint8Array(4);
  if (native.getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, value) < 0) return undefined;
  return new DataView(value.buffer).getInt32(0, true);
}

function openSocket(native: Native, family: Family, tried: string): number {
  const fd = native.socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new KernelError(tried, -fd);
  return fd;
}

function anyAddress(family: Family): IpAddress {
  return (family === 4 ? "0.0.0.0" : "::") as IpAddress;
}
