import type { Log } from "../ports/log.js";
import type { NetlinkMessage } from "../wire/netlink/message.js";
import { messageOf } from "../lib/errors.js";
import { errnoName } from "./errors.js";
import { notPutBy } from "./event-filter.js";
import type { Native, Poll } from "./native.js";
import { EAGAIN, EINTR, ENOBUFS, openNetlink, RECEIVE_BUFFER_SIZE, receiveNow, type Received } from "./netlink-socket.js";

const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV6_IFADDR = 0x100;
const WAITING_OCTETS = 8 * 1024 * 1024;
/** Datagrams in one turn of the loop; the poll is level-triggered and comes back for the rest. */
const DATAGRAMS_PER_TURN = 256;

export interface EventListener {
  onMessage(message: NetlinkMessage): void;
  /** The kernel had to drop events. */
  onOverrun(): void;
}

export interface EventDeps {
  readonly native: Native;
  readonly log: Log;
  /** Octets of events that may wait in the kernel. Default: 8 MiB. */
  readonly receiveBuffer?: number;
}

/** Hears every change of links and addresses. What cannot be decoded, and what the listener throws, is logged and dropped. */
export class NetlinkEvents implements AsyncDisposable {
  readonly #deps: EventDeps;
  readonly #listener: EventListener;
  readonly #fd: number;
  readonly #poll: Poll;
  readonly #buffer = new Uint8Array(RECEIVE_BUFFER_SIZE);
  #open = true;
  #ignored: number | undefined;
  #closed: Promise<void> | undefined;

  private constructor(deps: EventDeps, listener: EventListener, fd: number) {
    this.#deps = deps;
    this.#listener = listener;
    this.#fd = fd;
    this.#poll = deps.native.poll(fd, () => this.#drain());
  }

  static open(deps: EventDeps, listener: EventListener): NetlinkEvents {
    const groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    const receiveBuffer = deps.receiveBuffer ?? WAITING_OCTETS;
    return new NetlinkEvents(deps, listener, openNetlink(deps.native, { groups, receiveBuffer, receiveTimeoutSeconds: undefined }));
  }

  /** From now on the kernel keeps back what `notPutBy` drops; what is queued already still comes, and all of it where the kernel refuses the filter. */
  ignorePutsBy(portId: number): void {
    if (this.#ignored === portId) return;
    this.#ignored = portId;
    this.#deps.native.attachFilter(this.#fd, notPutBy(portId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#poll.stop();
    this.#deps.native.close(this.#fd);
  }

  #drain(): void {
    for (let count = 0; count < DATAGRAMS_PER_TURN && this.#open; count += 1) {
      if (!this.#guard(() => this.#readOne())) return;
    }
  }

  /** False when there is nothing left to read. */
  #readOne(): boolean {
    const received: Received = receiveNow(this.#deps.native, this.#fd, this.#buffer);
    if ("messages" in received) {
      for (const message of received.messages) this.#guard(() => this.#tell(message));
      return true;
    }
    if (received.errno === ENOBUFS) {
      this.#listener.onOverrun();
      return true;
    }
    if (received.errno === EINTR) return true;
    if (received.errno !== EAGAIN) this.#deps.log.warn("netlink events cannot be read", { code: errnoName(received.errno) });
    return false;
  }

  #tell(message: NetlinkMessage): boolean {
    if (this.#open) this.#listener.onMessage(message);
    return true;
  }

  /** Runs `step`; a throw is logged, so that one bad message never stops the others. */
  #guard(step: () => boolean): boolean {
    try {
      return step();
    } catch (error) {
      this.#deps.log.warn("netlink event dropped", { error: messageOf(error) });
      return true;
    }
  }
}
