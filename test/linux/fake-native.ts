import type { Native } from "../../src/linux/native.js";
import { decodeMessages, encodeMessage, NLMSG_ERROR, type NetlinkMessage } from "../../src/wire/netlink/message.js";
import { Writer } from "../../src/wire/writer.js";

const EAGAIN = 11;

/** What a socket of the fake hears next: a datagram, or an errno that is told once. */
export type Incoming = Uint8Array | number;

/** Answers one written datagram. */
export type Answer = (messages: readonly NetlinkMessage[], fd: number) => readonly Incoming[];

/** System calls in memory: sockets are queues, and `answer` is the kernel. */
export class FakeNative implements Native {
  readonly writes: (readonly NetlinkMessage[])[] = [];
  readonly sent: Uint8Array[] = [];
  readonly #queues = new Map<number, Incoming[]>();
  readonly #polls = new Map<number, () => void>();
  #nextFd = 100;
  /** Awaited by every write: what holds the rtnl lock. */
  hold: (writes: number) => Promise<void> = async () => {};
  /** The errno with which writes fail; 0 = they do not. */
  writeErrno = 0;
  /** The errno with which packets are refused, one for each send. */
  readonly sendErrnos: number[] = [];
  receiveBufferForceErrno = 0;
  readonly options: (readonly [level: number, option: number, value: number])[] = [];

  constructor(public answer: Answer = acknowledgeAll) {}

  get openSockets(): number {
    return this.#queues.size;
  }

  get openPolls(): number {
    return this.#polls.size;
  }

  /** Puts something on the only socket that is polled, and wakes its poll. */
  arrive(...incoming: readonly Incoming[]): void {
    for (const [fd, wake] of this.#polls) {
      this.#queues.get(fd)?.push(...incoming);
      // Level-triggered, as uv_poll: again while something is left.
      for (let turns = 0; turns < 100 && this.#polls.has(fd) && (this.#queues.get(fd)?.length ?? 0) > 0; turns += 1) wake();
    }
  }

  socket(): number {
    this.#nextFd += 1;
    this.#queues.set(this.#nextFd, []);
    return this.#nextFd;
  }

  bind(): number {
    return 0;
  }

  connect(): number {
    return 0;
  }

  receiveMessage(): number {
    return -EAGAIN;
  }

  listen(): number {
    return 0;
  }

  accept(): number {
    return -EAGAIN;
  }

  sendTo(fd: number, bytes: Uint8Array): number {
    return this.send(fd, bytes);
  }

  send(_fd: number, bytes: Uint8Array): number {
    const errno = this.sendErrnos.shift();
    if (errno !== undefined) return -errno;
    this.sent.push(bytes.slice());
    return bytes.length;
  }

  recv(fd: number, buffer: Uint8Array): number {
    const next = this.#queues.get(fd)?.shift() ?? EAGAIN;
    if (typeof next === "number") return -next;
    buffer.set(next);
    return next.length;
  }

  setsockopt(_fd: number, level: number, option: number, value: Uint8Array): number {
    this.options.push([level, option, new DataView(value.buffer).getInt32(0, true)]);
    return level === 1 && option === 33 ? -this.receiveBufferForceErrno : 0;
  }

  getsockopt(): number {
    return 0;
  }

  attachFilter(): number {
    return 0;
  }

  async closeOffLoop(fd: number): Promise<void> {
    await Promise.resolve();
    this.close(fd);
  }

  close(fd: number): number {
    return this.#queues.delete(fd) ? 0 : -9;
  }

  poll(fd: number, onReadable: () => void): { stop(): Promise<void> } {
    this.#polls.set(fd, onReadable);
    return { stop: async () => void this.#polls.delete(fd) };
  }

  async writeOffLoop(fd: number, bytes: Uint8Array): Promise<number> {
    const messages = decodeMessages(bytes);
    this.writes.push(messages);
    await this.hold(this.writes.length);
    if (this.writeErrno !== 0) return -this.writeErrno;
    this.#queues.get(fd)?.push(...this.answer(messages, fd));
    return bytes.length;
  }

  async readOffLoop(fd: number, buffer: Uint8Array): Promise<number> {
    return this.recv(fd, buffer);
  }

  realtime(): number {
    return 0;
  }
}

/** An NLMSG_ERROR in answer to `message`; errno 0 = acknowledged. */
export function ack(message: NetlinkMessage, errno = 0): Uint8Array {
  const payload = new Writer(20)
    .u32le(-errno >>> 0)
    .u32le(16)
    .zeros(12)
    .finish();
  return encodeMessage({ type: NLMSG_ERROR, flags: 0x100, seq: message.seq, portId: 1, payload });
}

export function acknowledgeAll(messages: readonly NetlinkMessage[]): readonly Uint8Array[] {
  return messages.map((message) => ack(message));
}
