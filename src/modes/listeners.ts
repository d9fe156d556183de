import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { FrameSocket, Packets } from "../ports/kernel.js";
import type { Claim } from "./neighbour.js";
import { protocolFor } from "./neighbour.js";

export interface ListenersDeps {
  readonly kernel: Packets;
  /** Somebody claims something on this link. */
  claimed(linkIndex: number, claim: Claim): void;
}

/** One socket for each link and family, opened when it is first needed; sends, and hears who claims what. */
export class Listeners implements AsyncDisposable {
  readonly #sockets = new Map<string, { readonly linkIndex: number; readonly socket: FrameSocket }>();
  /** Each takes the kernel a while, for which nobody has to wait. */
  readonly #closing = new Set<Promise<void>>();

  constructor(private readonly deps: ListenersDeps) {}

  /** Listens on this link from now on, if it does not yet. */
  listen(linkIndex: number, address: IpAddress): void {
    this.#socket(linkIndex, address);
  }

  announce(linkIndex: number, address: IpAddress, mac: MacAddress, step: number): void {
    this.#socket(linkIndex, address).send(protocolFor(address).announcement(address, mac, step));
  }

  ask(linkIndex: number, address: IpAddress, mac: MacAddress): void {
    this.#socket(linkIndex, address).send(protocolFor(address).question(address, mac));
  }

  /** Closes the sockets of links that are not there any more. */
  keep(linkIndexes: ReadonlySet<number>): void {
    for (const [key, { linkIndex, socket }] of this.#sockets) {
      if (linkIndexes.has(linkIndex)) continue;
      this.#sockets.delete(key);
      const closing = this.#close(socket).finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.keep(new Set());
    await Promise.all(this.#closing);
  }

  async #close(socket: FrameSocket): Promise<void> {
    await socket[Symbol.asyncDispose]();
  }

  #socket(linkIndex: number, address: IpAddress): FrameSocket {
    const protocol = protocolFor(address);
    const key = `${linkIndex} ${protocol.impossible}`;
    const open = this.#sockets.get(key);
    if (open !== undefined) return open.socket;
    const socket = protocol.open(this.deps.kernel, linkIndex, (frame) => {
      const claim = protocol.claim(frame);
      if (claim !== undefined) this.deps.claimed(linkIndex, claim);
    });
    this.#sockets.set(key, { linkIndex, socket });
    return socket;
  }
}
