import { ipToBytes, type IpAddress } from "../lib/ip.js";
import type { RouterLinks, RouterMessageIn, RouterPlace, RouterSocket } from "../ports/router-links.js";
import type { UdpDatagram } from "../ports/udp.js";
import { ALL_NODES } from "../wire/ndp.js";
import { ALL_ROUTERS, ND_ROUTER_ADVERT, ND_ROUTER_SOLICIT } from "../wire/ndp-router.js";
import { KernelError } from "./errors.js";
import { MessageReader, type MessageReaderDeps } from "./message-reader.js";
import type { Native } from "./native.js";
import { MSG_DONTWAIT } from "./netlink-socket.js";
import { AF_INET6, encodeSocketAddress } from "./socket-address.js";
import { int, orClose } from "./socket-steps.js";
import { IPPROTO_IPV6, IPV6_RECVHOPLIMIT, IPV6_RECVPKTINFO } from "./udp-control.js";

const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const IPPROTO_ICMPV6 = 58;
const ICMP6_FILTER = 1;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_ADD_MEMBERSHIP = 20;
const EBADF = 9;

/** RFC 4861 4.1, 4.2. */
const HOP_LIMIT = 255;
/** ICMPv6 sockets of this network namespace, one for each link. They need CAP_NET_RAW. */
export function createRouterLinks(deps: MessageReaderDeps): RouterLinks {
  return { open: (place, onMessage) => new IcmpSocket(deps, place, onMessage) };
}

class IcmpSocket implements RouterSocket {
  readonly #fd: number;
  readonly #reader: MessageReader;

  constructor(
    private readonly deps: MessageReaderDeps,
    private readonly place: RouterPlace,
    private readonly onMessage: (message: RouterMessageIn) => void,
  ) {
    this.#fd = openIcmp(deps.native, place);
    this.#reader = new MessageReader(deps, { fd: this.#fd, family: 6, called: { link: place.iface } }, (datagram) => this.#heard(datagram));
  }

  send(message: Uint8Array, to: IpAddress): void {
    const tried = `send ICMPv6 type ${message[0]} on ${this.place.iface}`;
    if (!this.#reader.open) throw new KernelError(tried, EBADF, "the socket is closed");
    const sent = this.deps.native.sendTo(this.#fd, message, { address: encodeSocketAddress({ address: to, port: 0 }), flags: MSG_DONTWAIT });
    if (sent < 0) throw new KernelError(tried, -sent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]();
  }

  #heard({ bytes, source, ttl, linkIndex }: UdpDatagram): void {
    // Between the making of the socket and its binding to the link it hears all of them.
    if (linkIndex === this.place.linkIndex) this.onMessage({ bytes, source, hopLimit: ttl });
  }
}

function openIcmp(native: Native, { iface, linkIndex, address }: RouterPlace): number {
  const tried = `hear routers on ${iface} as ${address}`;
  const fd = native.socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (fd < 0) throw new KernelError(tried, -fd);
  const ipv6 = (option: number, value: Uint8Array) => () => native.setsockopt(fd, IPPROTO_IPV6, option, value);
  orClose(native, fd, tried, [
    () => native.setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, onlyTypes([ND_ROUTER_SOLICIT, ND_ROUTER_ADVERT])),
    () => native.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${iface}\0`)),
    ipv6(IPV6_RECVHOPLIMIT, int(1)),
    ipv6(IPV6_RECVPKTINFO, int(1)),
    ipv6(IPV6_MULTICAST_HOPS, int(HOP_LIMIT)),
    ipv6(IPV6_MULTICAST_LOOP, int(0)),
    ipv6(IPV6_ADD_MEMBERSHIP, membership(ALL_NODES, linkIndex)),
    ipv6(IPV6_ADD_MEMBERSHIP, membership(ALL_ROUTERS, linkIndex)),
    // What is sent comes from this address, and it must be one that can be used.
    () => native.bind(fd, encodeSocketAddress({ address, port: 0 })),
  ]);
  return fd;
}

/** struct icmp6_filter: a bit for each type, set where it is blocked (RFC 3542 3.2). */
function onlyTypes(types: readonly number[]): Uint8Array {
  const words = new DataView(new ArrayBuffer(32));
  for (let at = 0; at < 8; at += 1) words.setUint32(at * 4, 0xffff_ffff, true);
  for (const type of types) words.setUint32((type >> 5) * 4, words.getUint32((type >> 5) * 4, true) & ~(1 << (type & 31)), true);
  return new Uint8Array(words.buffer);
}

/** struct ipv6_mreq. */
function membership(group: IpAddress, linkIndex: number): Uint8Array {
  const request = new Uint8Array(20);
  request.set(ipToBytes(group));
  new DataView(request.buffer).setInt32(16, linkIndex, true);
  return request;
}
