import { messageOf } from "../lib/errors.js";
import type { FrameSocket } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import { ETHERTYPE_ARP } from "../wire/ethernet.js";
import { errnoName, KernelError } from "./errors.js";
import type { Native, Poll } from "./native.js";
import { EAGAIN, EINTR, ENETDOWN, MSG_DONTWAIT } from "./netlink-socket.js";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x8_0000;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const EBADF = 9;

/** More than any ARP frame; a longer one is cut, and what is read of it is all that ARP has. */
const FRAME_SIZE = 2048;
/** Frames in one turn of the loop; the poll comes back for the rest. */
const FRAMES_PER_TURN = 256;

// Classic BPF: {u16 code, u8 jump if true, u8 jump if false, u32 operand}
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
/** Load from here: not the frame but what the kernel knows about it, first the packet type. */
const ANCILLARY_PACKET_TYPE = 0xffff_f000 + 4;
/** For another host; frames of a VLAN that this link does not have are marked so too, and their ARP is not ours. */
const PACKET_OTHERHOST = 3;
const PACKET_OUTGOING = 4;

/** Only ARP, and nothing that is not for this link or that this link sent itself. */
const ARP_ONLY = encodeFilter([
  [LOAD_BYTE, 0, 0, ANCILLARY_PACKET_TYPE],
  [JUMP_EQUAL, 4, 0, PACKET_OTHERHOST],
  [JUMP_EQUAL, 3, 0, PACKET_OUTGOING],
  [LOAD_HALF, 0, 0, 12],
  [JUMP_EQUAL, 0, 1, ETHERTYPE_ARP],
  [RETURN, 0, 0, FRAME_SIZE],
  [RETURN, 0, 0, 0],
]);

export type OnFrame = (frame: Uint8Array) => void;

export interface PacketDeps {
  readonly native: Native;
  readonly log: Log;
}

/** A raw socket on one link that sends whole frames and, where it has a listener, hears ARP. */
export class PacketSocket implements FrameSocket {
  readonly #deps: PacketDeps;
  readonly #linkIndex: number;
  readonly #fd: number;
  readonly #poll: Poll | undefined;
  #open = true;
  #closed: Promise<void> | undefined;

  private constructor(deps: PacketDeps, bound: { readonly fd: number; readonly linkIndex: number }, onFrame: OnFrame | undefined) {
    this.#deps = deps;
    this.#linkIndex = bound.linkIndex;
    this.#fd = bound.fd;
    if (onFrame === undefined) return;
    const buffer = new Uint8Array(FRAME_SIZE);
    this.#poll = deps.native.poll(bound.fd, () => this.#drain(buffer, onFrame));
  }

  /** Without `onFrame` the kernel delivers nothing. Throws KernelError. */
  static openArp(deps: PacketDeps, linkIndex: number, onFrame: OnFrame | undefined): PacketSocket {
    return new PacketSocket(deps, { fd: openPacket(deps.native, linkIndex, onFrame !== undefined), linkIndex }, onFrame);
  }

  send(frame: Uint8Array): void {
    const tried = `send ${frame.length} octets on link ${this.#linkIndex}`;
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
    this.#deps.native.close(this.#fd);
  }

  #drain(buffer: Uint8Array, onFrame: OnFrame): void {
    for (let count = 0; count < FRAMES_PER_TURN && this.#open; count += 1) {
      const length = this.#deps.native.recv(this.#fd, buffer, MSG_DONTWAIT);
      if (length === -EAGAIN) return;
      if (length >= 0) this.#tell(buffer.slice(0, length), onFrame);
      // ENETDOWN and the like are told once; the socket lives on and hears again when the link is up.
      else if (length !== -EINTR) this.#deps.log.debug("arp socket has an error", { link: this.#linkIndex, code: errnoName(-length) });
    }
  }

  #tell(frame: Uint8Array, onFrame: OnFrame): void {
    try {
      onFrame(frame);
    } catch (error) {
      this.#deps.log.warn("arp frame dropped", { link: this.#linkIndex, error: messageOf(error) });
    }
  }
}

function openPacket(native: Native, linkIndex: number, hear: boolean): number {
  const tried = `open an arp socket on link ${linkIndex}`;
  // Protocol 0: nothing is heard before the filter is on and the link is chosen.
  const fd = native.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new KernelError(tried, -fd);
  const failed = (hear ? hearArpOnly(native, fd) : 0) || native.bind(fd, packetAddress(linkIndex, hear ? ETHERTYPE_ARP : 0));
  if (failed < 0) {
    native.close(fd);
    throw new KernelError(tried, -failed);
  }
  return fd;
}

function hearArpOnly(native: Native, fd: number): number {
  // Since Linux 4.20; spares the kernel a copy of each frame that we send. The filter drops them too.
  native.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, Uint8Array.of(1, 0, 0, 0));
  return native.attachFilter(fd, ARP_ONLY);
}

// sockaddr_ll: family, protocol in network order, link index, and nothing else for bind
function packetAddress(linkIndex: number, protocol: number): Uint8Array {
  const address = new DataView(new ArrayBuffer(20));
  address.setUint16(0, AF_PACKET, true);
  address.setUint16(2, protocol);
  address.setInt32(4, linkIndex, true);
  return new Uint8Array(address.buffer);
}

function encodeFilter(instructions: readonly (readonly [code: number, ifTrue: number, ifFalse: number, operand: number])[]): Uint8Array {
  const program = new DataView(new ArrayBuffer(instructions.length * 8));
  instructions.forEach(([code, ifTrue, ifFalse, operand], index) => {
    program.setUint16(index * 8, code, true);
    program.setUint8(index * 8 + 2, ifTrue);
    program.setUint8(index * 8 + 3, ifFalse);
    program.setUint32(index * 8 + 4, operand, true);
  });
  return new Uint8Array(program.buffer);
}
