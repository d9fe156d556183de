import { messageOf } from "../lib/errors.js";
import { ipToBytes, type IpAddress } from "../lib/ip.js";
import type { Log } from "../ports/log.js";
import type { RouterLinks, RouterMessageIn, RouterPlace, RouterSocket } from "../ports/router-links.js";
import { ALL_NODES } from "../wire/ndp.js";
import { ALL_ROUTERS, ND_ROUTER_ADVERT, ND_ROUTER_SOLICIT } from "../wire/ndp-router.js";
import { errnoName, KernelError } from "./errors.js";
import type { MessageBuffers, Native, Poll } from "./native.js";
import { EAGAIN, EINTR, MSG_DONTWAIT } from "./netlink-socket.js";
import { AF_INET6, decodeSocketAddress, encodeSocketAddress } from "./socket-address.js";
import { int, orClose, outside } from "./socket-steps.js";
import { decodeArrival, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, IPV6_RECVPKTINFO } from "./udp-control.js";

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
/** Messages in one turn of the loop; the poll comes back for the rest. */
const PER_TURN = 64;
/** More than this of a message is cut off; the MTU of most links. */
const LONGEST = 1500;

export interface RouterLinksDeps {
  readonly native: Native;
  readonly log: Log;
}

/** ICMPv6 sockets of this network namespace, one for each link. They need CAP_NET_RAW. */
export function createRouterLinks(deps: RouterLinksDeps): RouterLinks {
  return { open: (place, onMessage) => new IcmpSocket(deps, place, onMessage) };
}

class IcmpSocket implements RouterSocket {
  readonly #fd: number;
  readonly #poll: Poll;
  readonly #buffers: MessageBuffers = { name: outside(28), data: outside(LONGEST), control: outside(256) };
  #open = true;
  #closed: Promise<void> | undefined;

  constructor(
    private readonly deps: RouterLinksDeps,
    private readonly place: RouterPlace,
    private readonly onMessage: (message: RouterMessageIn) => void,
  ) {
    this.#fd = openIcmp(deps.native, place);
    this.#poll = deps.native.poll(this.#fd, () => this.#drain());
  }

  send(message: Uint8Array, to: IpAddress): void {
    const tried = `send ICMPv6 type ${message[0]} on ${this.place.iface}`;
    if (!this.#open) throw new KernelError(tried, EBADF, "the socket is closed");
    const sent = this.deps.native.sendTo(this.#fd, message, { address: encodeSocketAddress({ address: to, port: 0 }), flags: MSG_DONTWAIT });
    if (sent < 0) throw new KernelError(tried, -sent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#poll.stop();
    this.deps.native.close(this.#fd);
  }

  #drain(): void {
    for (let count = 0; count < PER_TURN && this.#open; count += 1) {
      const lengths = this.deps.native.receiveMessage(this.#fd, this.#buffers, MSG_DONTWAIT);
      if (typeof lengths !== "number") this.#tell(lengths);
      else if (lengths === -EAGAIN) return;
      // ENETDOWN and the like are told once; the socket lives on.
      else if (lengths !== -EINTR) this.deps.log.debug("icmpv6 socket has an error", { link: this.place.iface, code: errnoName(-lengths) });
    }
  }

  #tell({ name, data, control }: { readonly name: number; readonly data: number; readonly control: number }): void {
    const from = decodeSocketAddress(this.#buffers.name.subarray(0, name));
    const arrival = decodeArrival(this.#buffers.control.subarray(0, control), 6);
    // Between the making of the socket and its binding to the link it hears all of them.
    if (from === undefined || arrival === undefined || arrival.linkIndex !== this.place.linkIndex) return;
    try {
      this.onMessage({ bytes: this.#buffers.data.slice(0, data), source: from.address, hopLimit: arrival.ttl });
    } catch (error) {
      this.deps.log.debug("router message dropped", { link: this.place.iface, from: from.address, error: messageOf(error) });
    }
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
