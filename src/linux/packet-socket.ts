import { messageOf } from "../lib/errors.js";
import type { FrameSocket } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../wire/ethernet.js";
import { errnoName, KernelError } from "./errors.js";
import type { Native, Poll } from "./native.js";
import { EAGAIN, EINTR, ENETDOWN, MSG_DONTWAIT, setReceiveBuffer } from "./netlink-socket.js";
import { ARP_CLAIMS, DHCP_ANSWERS, FRAME_SIZE, ND_CLAIMS } from "./packet-filter.js";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_ALLMULTI = 2;
const EBADF = 9;

/** Frames in one turn of the loop; the poll comes back for the rest. */
const FRAMES_PER_TURN = 256;
/** A frame counts for nearly 1 KiB: room for all announcements of an heir to a thousand addresses. Without it, the kernel has room for some 250. */
const WAITING_OCTETS = 4 * 1024 * 1024;

/** What a socket hears: ARP, Neighbor Solicitations and Advertisements, or what is sent to DHCP clients. */
export type FrameKind = "arp" | "nd" | "dhcp";

interface Hearing {
  readonly etherType: number;
  readonly filter: Uint8Array;
  /** ARP comes by broadcast. Of IPv6 multicast the hardware lets through only the groups of our own addresses. */
  readonly allMulticast: boolean;
}

const HEARING: Readonly<Record<FrameKind, Hearing>> = {
  arp: { etherType: ETHERTYPE_ARP, filter: ARP_CLAIMS, allMulticast: false },
  nd: { etherType: ETHERTYPE_IPV6, filter: ND_CLAIMS, allMulticast: true },
  dhcp: { etherType: ETHERTYPE_IPV4, filter: DHCP_ANSWERS, allMulticast: false },
};

export type OnFrame = (frame: Uint8Array) => void;

export interface PacketDeps {
  readonly native: Native;
  readonly log: Log;
}

/** Which socket: on which link, for what. */
export interface PacketId {
  readonly linkIndex: number;
  readonly kind: FrameKind;
}

/** A raw socket on one link that sends whole frames and, where it has a listener, hears one kind of them. */
export class PacketSocket implements FrameSocket {
  readonly #deps: PacketDeps;
  readonly #id: PacketId;
  readonly #fd: number;
  readonly #poll: Poll | undefined;
  #open = true;
  #closed: Promise<void> | undefined;

  private constructor(deps: PacketDeps, bound: PacketId & { readonly fd: number }, onFrame: OnFrame | undefined) {
    this.#deps = deps;
    this.#id = bound;
    this.#fd = bound.fd;
    if (onFrame === undefined) return;
    const buffer = new Uint8Array(FRAME_SIZE);
    this.#poll = deps.native.poll(bound.fd, () => this.#drain(buffer, onFrame));
  }

  /** Without `onFrame` the kernel delivers nothing. Throws KernelError. */
  static open(deps: PacketDeps, id: PacketId, onFrame: OnFrame | undefined): PacketSocket {
    return new PacketSocket(deps, { ...id, fd: openPacket(deps.native, id, onFrame !== undefined) }, onFrame);
  }

  send(frame: Uint8Array): void {
    const tried = `send ${frame.length} octets on link ${this.#id.linkIndex}`;
    if (!this.#open) throw new KernelError(tried, EBADF, "the socket is closed");
    let sent = this.#deps.native.send(this.#fd, frame, MSG_DONTWAIT);
    // A link that went down leaves this on the socket, to be told once, also when the link is long up again.
    if (sent === -ENETDOWN) sent = this.#deps.native.send(this.#fd, frame, MSG_DONTWAIT);
    if (sent < 0) throw new KernelError(tried, -sent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#poll?.stop();
    await this.#deps.native.closeOffLoop(this.#fd);
  }

  #drain(buffer: Uint8Array, onFrame: OnFrame): void {
    for (let count = 0; count < FRAMES_PER_TURN && this.#open; count += 1) {
      const length = this.#deps.native.recv(this.#fd, buffer, MSG_DONTWAIT);
      if (length === -EAGAIN) return;
      if (length >= 0) this.#tell(buffer.slice(0, length), onFrame);
      // ENETDOWN and the like are told once; the socket lives on and hears again when the link is up.
      else if (length !== -EINTR) this.#deps.log.debug("packet socket has an error", { ...this.#fields(), code: errnoName(-length) });
    }
  }

  #tell(frame: Uint8Array, onFrame: OnFrame): void {
    try {
      onFrame(frame);
    } catch (error) {
      this.#deps.log.warn("frame dropped", { ...this.#fields(), error: messageOf(error) });
    }
  }

  #fields(): { readonly link: number; readonly kind: FrameKind } {
    return { link: this.#id.linkIndex, kind: this.#id.kind };
  }
}

function openPacket(native: Native, { linkIndex, kind }: PacketId, hear: boolean): number {
  const tried = `open an ${kind} socket on link ${linkIndex}`;
  const hearing = HEARING[kind];
  // Protocol 0: nothing is heard before the filter is on and the link is chosen.
  const fd = native.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new KernelError(tried, -fd);
  const failed =
    (hear ? prepareToHear(native, fd, hearing) : 0) ||
    native.bind(fd, packetAddress(linkIndex, hear ? hearing.etherType : 0)) ||
    (hear && hearing.allMulticast ? native.setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, allMulticast(linkIndex)) : 0);
  if (failed < 0) {
    native.close(fd);
    throw new KernelError(tried, -failed);
  }
  return fd;
}

function prepareToHear(native: Native, fd: number, { filter }: Hearing): number {
  // Since Linux 4.20; spares the kernel a copy of each frame that we send. The filter drops them too.
  native.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, Uint8Array.of(1, 0, 0, 0));
  setReceiveBuffer(native, fd, WAITING_OCTETS);
  return native.attachFilter(fd, filter);
}

// packet_mreq: link index, type, length of an address, room for the address. The kernel forgets it with the socket.
function allMulticast(linkIndex: number): Uint8Array {
  const request = new DataView(new ArrayBuffer(16));
  request.setInt32(0, linkIndex, true);
  request.setUint16(4, PACKET_MR_ALLMULTI, true);
  return new Uint8Array(request.buffer);
}

// sockaddr_ll: family, protocol in network order, link index, and nothing else for bind
function packetAddress(linkIndex: number, protocol: number): Uint8Array {
  const address = new DataView(new ArrayBuffer(20));
  address.setUint16(0, AF_PACKET, true);
  address.setUint16(2, protocol);
  address.setInt32(4, linkIndex, true);
  return new Uint8Array(address.buffer);
}
