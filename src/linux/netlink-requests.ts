import type { Log } from "../ports/log.js";
import { decodeAck, type Ack } from "../wire/netlink/ack.js";
import { encodeMessage, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, type NetlinkMessage } from "../wire/netlink/message.js";
import { DecodeError } from "../wire/reader.js";
import { KernelError } from "./errors.js";
import type { Native } from "./native.js";
import {
  EAGAIN,
  ECANCELED,
  EINTR,
  ENOBUFS,
  joinBytes,
  nextSequence,
  openNetlink,
  RECEIVE_BUFFER_SIZE,
  receiveNow,
  type NetlinkRequest,
} from "./netlink-socket.js";

/**
 * Messages in one write. All of them hold up whatever is queued behind them (512 addresses: 40 ms), so not too many. Nor too few: each write waits for a turn of
 * the event loop, which takes a tenth of a second where a thousand keys change hands.
 */
const BATCH = 512;
const WAITING_OCTETS = 8 * 1024 * 1024;

interface Entry {
  readonly request: NetlinkRequest;
  readonly signal: AbortSignal;
  readonly echoes: NetlinkMessage[];
  readonly resolve: (echoes: readonly NetlinkMessage[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** One write: the requests by sequence number, in their order, and their octets. */
interface Batch {
  readonly entries: Map<number, Entry>;
  readonly bytes: Uint8Array;
}

/**
 * Requests that change something. The kernel executes them inside write(2), where they wait for the rtnl lock, so the write runs on another thread;
 * when it is over all acknowledgements are queued on the socket and are read without waiting. One write at a time keeps the order.
 */
export class NetlinkRequests implements AsyncDisposable {
  readonly #native: Native;
  readonly #log: Log;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(RECEIVE_BUFFER_SIZE);
  readonly #queue = new Set<Entry>();
  /** One listener for all that is queued under a signal: a listener that is added to a signal is compared with every other one there. */
  readonly #listeners = new Map<AbortSignal, { readonly onAbort: () => void; queued: number }>();
  #seq = 0;
  #portId: number | undefined;
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(deps: { readonly native: Native; readonly log: Log }, fd: number) {
    this.#native = deps.native;
    this.#log = deps.log;
    this.#fd = fd;
  }

  static open(deps: { readonly native: Native; readonly log: Log }): NetlinkRequests {
    const fd = openNetlink(deps.native, { groups: 0, receiveBuffer: WAITING_OCTETS, receiveTimeoutSeconds: undefined });
    return new NetlinkRequests(deps, fd);
  }

  /**
   * Resolves when the kernel has acknowledged, with what it sent along (NLM_F_ECHO). Rejects with KernelError, or with `signal.reason` where the
   * request was not yet on its way; one that is, completes.
   */
  async request(request: NetlinkRequest, signal: AbortSignal): Promise<readonly NetlinkMessage[]> {
    signal.throwIfAborted();
    if (this.#closed !== undefined) throw new KernelError(request.tried, ECANCELED, "the socket is closed");
    return new Promise((resolve, reject) => {
      this.#enqueue({ request, signal, echoes: [], resolve, reject });
      this.#running ??= this.#run();
    });
  }

  #enqueue(entry: Entry): void {
    const { signal } = entry;
    this.#queue.add(entry);
    const listener = this.#listeners.get(signal);
    if (listener !== undefined) {
      listener.queued += 1;
      return;
    }
    const onAbort = (): void => {
      for (const other of [...this.#queue].filter((queued) => queued.signal === signal)) {
        this.#dequeue(other);
        other.reject(signal.reason);
      }
    };
    this.#listeners.set(signal, { onAbort, queued: 1 });
    signal.addEventListener("abort", onAbort, { once: true });
  }

  #dequeue(entry: Entry): void {
    const { signal } = entry;
    this.#queue.delete(entry);
    const listener = this.#listeners.get(signal);
    if (listener === undefined) return;
    listener.queued -= 1;
    if (listener.queued > 0) return;
    signal.removeEventListener("abort", listener.onAbort);
    this.#listeners.delete(signal);
  }

  /** The address that the kernel gave to this socket; events say who caused them by it. Known from the first answer on. */
  get portId(): number | undefined {
    return this.#portId;
  }

  /** Rejects what is queued, waits for what is on its way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    for (const entry of this.#queue) {
      this.#dequeue(entry);
      entry.reject(new KernelError(entry.request.tried, ECANCELED, "the socket was closed"));
    }
    await this.#running;
    this.#native.close(this.#fd);
  }

  async #run(): Promise<void> {
    // What else is asked for in this turn of the loop goes into the same write.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.size > 0) await this.#sendBatch(this.#takeBatch());
    this.#running = undefined;
  }

  #takeBatch(): Batch {
    const entries = new Map<number, Entry>();
    const messages: Uint8Array[] = [];
    for (const entry of this.#queue) {
      if (messages.length === BATCH) break;
      this.#dequeue(entry);
      const { type, flags, payload } = entry.request;
      try {
        const seq = nextSequence(this.#seq);
        messages.push(encodeMessage({ type, flags: flags | NLM_F_REQUEST | NLM_F_ACK, seq, portId: 0, payload: payload() }));
        entries.set(seq, entry);
        this.#seq = seq;
      } catch (error) {
        entry.reject(error);
      }
    }
    return { entries, bytes: joinBytes(messages) };
  }

  async #sendBatch({ entries: waiting, bytes }: Batch): Promise<void> {
    if (waiting.size === 0) return;
    const written = await this.#native.writeOffLoop(this.#fd, bytes);
    const lost = written < 0 ? { errno: -written, text: undefined } : this.#settle(waiting);
    // Every entry must end: an acknowledgement that did not come now never comes.
    for (const { request, reject } of waiting.values()) reject(new KernelError(request.tried, lost.errno, lost.text));
  }

  /** Reads all answers that are there; says why those that stay in `waiting` got none. */
  #settle(waiting: Map<number, Entry>): { readonly errno: number; readonly text: string } {
    while (waiting.size > 0) {
      try {
        const received = receiveNow(this.#native, this.#fd, this.#buffer);
        if ("messages" in received) {
          this.#portId ??= received.messages[0]?.portId;
          for (const message of received.messages) take(waiting, message);
        } else if (received.errno === EAGAIN) break;
        // ENOBUFS is said once; what was not lost still follows.
        else if (received.errno !== ENOBUFS && received.errno !== EINTR) return { errno: received.errno, text: "reading the answer" };
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        this.#log.warn("netlink answer not understood", { error: error.message });
      }
    }
    return { errno: ENOBUFS, text: "the acknowledgement was lost" };
  }
}

/** Gives one answer to the request with its sequence number; late answers of an earlier batch find none. */
function take(waiting: Map<number, Entry>, message: NetlinkMessage): void {
  const entry = waiting.get(message.seq);
  if (entry === undefined) return;
  if (message.type !== NLMSG_ERROR) {
    entry.echoes.push(message);
    return;
  }
  const ack: Ack = decodeAck(message);
  waiting.delete(message.seq);
  if (ack.errno === 0) entry.resolve(entry.echoes);
  else entry.reject(new KernelError(entry.request.tried, ack.errno, ack.text));
}
