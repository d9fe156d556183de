import type { IpAddress } from "../../src/lib/ip.js";
import type { RouterLinks, RouterMessageIn, RouterPlace, RouterSocket } from "../../src/ports/router-links.js";
import { decodeRouterMessage, encodeRouterMessage, type RouterMessage } from "../../src/wire/ndp-router.js";

/** Router Discovery in memory: what was sent, and what arrives when the test says so. */
export class FakeRouterLinks implements RouterLinks {
  readonly sent: { readonly iface: string; readonly to: IpAddress; readonly message: RouterMessage }[] = [];
  /** Thrown by `open` as long as it is set. */
  openError: Error | undefined;
  /** Thrown by `send` as long as it is set. */
  sendError: Error | undefined;
  readonly #open = new Map<string, { readonly place: RouterPlace; readonly onMessage: (message: RouterMessageIn) => void }>();

  get places(): readonly RouterPlace[] {
    return [...this.#open.values()].map(({ place }) => place);
  }

  open(place: RouterPlace, onMessage: (message: RouterMessageIn) => void): RouterSocket {
    if (this.openError !== undefined) throw this.openError;
    if (this.#open.has(place.iface)) throw new Error(`a second socket on ${place.iface}`);
    const mine = { place, onMessage };
    this.#open.set(place.iface, mine);
    return {
      send: (message, to) => {
        if (this.sendError !== undefined) throw this.sendError;
        this.sent.push({ iface: place.iface, to, message: decodeRouterMessage({ bytes: message, source: place.address, hopLimit: 255 }) });
      },
      [Symbol.asyncDispose]: async () => {
        if (this.#open.get(place.iface) === mine) this.#open.delete(place.iface);
      },
    };
  }

  /** Somebody sends on this link. */
  arrive(iface: string, source: string, message: RouterMessage): void {
    this.#open.get(iface)?.onMessage({ bytes: encodeRouterMessage(message), source: source as IpAddress, hopLimit: 255 });
  }
}
