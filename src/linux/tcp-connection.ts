import type { Socket } from "node:net";

import { messageOf } from "../lib/errors.js";
import { parseIp } from "../lib/ip.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { TcpConnection, TcpEnd, TcpEvents } from "../ports/net.js";
import { zoned } from "./datagrams.js";

/** What was sent last must have been delivered by then, ms. */
const LINGER_MS = 2000;

/** The end of a connection as Node tells of it; undefined where there is none. A link-local address comes with its link. */
export function tcpEnd(address: string | undefined, port: number | undefined): (TcpEnd & { readonly iface: string | undefined }) | undefined {
  const [text = "", iface] = (address ?? "").split("%");
  const parsed = parseIp(text);
  return parsed === undefined || port === undefined ? undefined : { address: parsed, port, iface };
}

/** One connection over a descriptor of its own, from dial to end. */
export class Connection implements TcpConnection {
  readonly remote: TcpEnd;
  /** Settled once the descriptor is closed. */
  readonly gone: Promise<void>;
  readonly #socket: Socket;
  readonly #events: TcpEvents;
  readonly #clock: Clock;
  #local: TcpEnd | undefined;
  #over = false;
  #unsent = 0;
  #flushed: (() => void) | undefined;
  #linger: Timer | undefined;

  constructor(socket: Socket, remote: TcpEnd, { events, clock }: { readonly events: TcpEvents; readonly clock: Clock }) {
    this.remote = remote;
    this.#socket = socket;
    this.#events = events;
    this.#clock = clock;
    this.gone = new Promise((resolve) => {
      socket.once("close", () => {
        this.#linger?.cancel();
        this.#end("closed");
        resolve();
      });
    });
    socket.on("data", (octets: Uint8Array) => {
      if (!this.#over) events.data(octets);
    });
    socket.on("end", () => this.#end("the peer closed the connection"));
    socket.on("error", (error: NodeJS.ErrnoException) => this.#end(error.code ?? messageOf(error)));
  }

  get local(): TcpEnd | undefined {
    return this.#local;
  }

  /** Takes a connection that stands. */
  established(): void {
    const end = tcpEnd(this.#socket.localAddress, this.#socket.localPort);
    this.#local = end === undefined ? undefined : { address: end.address, port: end.port };
  }

  /** `iface`: what the socket is bound to. Without it libuv would take another link of this node for a link-local address, and the kernel refuse that. */
  dial(iface: string | undefined): void {
    const { address, port } = this.remote;
    this.#socket.once("connect", () => {
      this.established();
      if (!this.#over) this.#events.connected();
    });
    this.#socket.connect({ host: zoned(address, iface), port });
  }

  send(octets: Uint8Array): void {
    if (this.#over) return;
    this.#unsent += 1;
    // What goes wrong comes as "error", too.
    this.#socket.write(octets, () => this.#sent());
  }

  flush(done: () => void): void {
    this.#flushed = done;
    if (this.#unsent > 0) return;
    this.#unsent += 1;
    queueMicrotask(() => this.#sent());
  }

  close(graceful: boolean): void {
    this.#over = true;
    if (!graceful || this.#socket.connecting || this.#socket.destroyed) {
      if (this.#socket.connecting) this.#socket.destroy();
      else this.#socket.resetAndDestroy();
      return;
    }
    if (this.#linger !== undefined) return;
    this.#linger = this.#clock.after(LINGER_MS, () => this.#socket.destroy());
    // Input that nobody reads would make the kernel send a reset, which destroys what is on its way.
    this.#socket.resume();
    this.#socket.end();
  }

  /** Ends at once, unless it is being closed gracefully. */
  abandon(): void {
    if (!this.#over) this.close(false);
  }

  #sent(): void {
    this.#unsent -= 1;
    if (this.#unsent > 0 || this.#over) return;
    const done = this.#flushed;
    this.#flushed = undefined;
    done?.();
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    const { address, port } = this.remote;
    this.#events.closed(`${this.#local === undefined ? "connect to" : "connection to"} ${address} port ${port}: ${reason}`);
  }
}
