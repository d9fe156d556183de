import { messageOf } from "../lib/errors.js";
import type { Family } from "../lib/ip.js";
import type { Log } from "../ports/log.js";
import type { UdpDatagram } from "../ports/udp.js";
import { errnoName } from "./errors.js";
import type { MessageBuffers, Native, Poll } from "./native.js";
import { EAGAIN, EINTR, MSG_DONTWAIT } from "./netlink-socket.js";
import { decodeSocketAddress } from "./socket-address.js";
import { outside } from "./socket-steps.js";
import { decodeArrival } from "./udp-control.js";

/** Datagrams in one turn of the loop; the poll comes back for the rest. */
const PER_TURN = 64;
/** More than this of a datagram is cut off: what is heard here is short. */
const LONGEST = 1500;

export interface MessageReaderDeps {
  readonly native: Native;
  readonly log: Log;
}

/** A socket that tells TTL and destination with each datagram (IP_RECVTTL, IP_PKTINFO). */
export interface ReadSocket {
  readonly fd: number;
  readonly family: Family;
  /** What it is called in the log. */
  readonly called: Readonly<Record<string, string | number>>;
}

/** Reads the datagrams of a socket as they come. A listener that throws drops one datagram. Disposing closes the socket. */
export class MessageReader implements AsyncDisposable {
  readonly #poll: Poll;
  readonly #buffers: MessageBuffers = { name: outside(28), data: outside(LONGEST), control: outside(256) };
  #open = true;
  #closed: Promise<void> | undefined;

  constructor(
    private readonly deps: MessageReaderDeps,
    private readonly socket: ReadSocket,
    private readonly onDatagram: (datagram: UdpDatagram) => void,
  ) {
    this.#poll = deps.native.poll(socket.fd, () => this.drain());
  }

  get open(): boolean {
    return this.#open;
  }

  /** Hands on what has come already, now. */
  drain(): void {
    const { fd, called } = this.socket;
    for (let count = 0; count < PER_TURN; count += 1) {
      if (!this.#open) return;
      const lengths = this.deps.native.receiveMessage(fd, this.#buffers, MSG_DONTWAIT);
      if (typeof lengths !== "number") this.#tell(this.#datagram(lengths));
      else if (lengths === -EAGAIN) return;
      // ENETDOWN and the like are told once; the socket lives on.
      else if (lengths !== -EINTR) this.deps.log.debug("socket has an error", { ...called, code: errnoName(-lengths) });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#poll.stop();
    this.deps.native.close(this.socket.fd);
  }

  #datagram({ name, data, control }: { readonly name: number; readonly data: number; readonly control: number }): UdpDatagram | undefined {
    const from = decodeSocketAddress(this.#buffers.name.subarray(0, name));
    const arrival = decodeArrival(this.#buffers.control.subarray(0, control), this.socket.family);
    if (from === undefined || arrival === undefined) return undefined;
    return { ...arrival, source: from.address, bytes: this.#buffers.data.slice(0, data) };
  }

  #tell(datagram: UdpDatagram | undefined): void {
    if (datagram === undefined) return;
    try {
      this.onDatagram(datagram);
    } catch (error) {
      this.deps.log.warn("datagram dropped", { ...this.socket.called, from: datagram.source, error: messageOf(error) });
    }
  }
}
