import type { BgpPeer } from "../lib/bgp-peer.js";
import type { BgpDiscoveryReport } from "./bgp-report.js";
import { RouterLink, type RouterLinkDeps } from "./router-link.js";

/** The addresses of unnumbered peers: on each of their links the router is found by its Router Advertisements. */
export class Unnumbered implements AsyncDisposable {
  readonly #deps: RouterLinkDeps;
  #links: ReadonlyMap<string, RouterLink> = new Map();
  #closing: Promise<void> = Promise.resolve();

  constructor(deps: RouterLinkDeps) {
    this.#deps = deps;
  }

  /** Looks for routers on the links of those of these peers that have no address, and on no others. */
  set(peers: readonly BgpPeer[]): void {
    const wanted = new Set(peers.flatMap(({ address, iface }) => (address === undefined && iface !== undefined ? [iface] : [])));
    for (const [name, link] of this.#links) if (!wanted.has(name)) this.#end(link);
    this.#links = new Map([...wanted].map((name) => [name, this.#links.get(name) ?? new RouterLink(name, this.#deps)]));
  }

  /** The peer as it is to be dialled; as it was where it has an address, or none is known. */
  resolved(peer: BgpPeer): BgpPeer {
    const address = peer.address ?? this.#of(peer)?.address;
    return address === peer.address ? peer : { ...peer, address };
  }

  /** Links may be up or down, or have other addresses. */
  linksChanged(): void {
    for (const link of this.#links.values()) link.refresh();
  }

  /** A session with a peer of this link is up, or none is. */
  session(iface: string, up: boolean): void {
    this.#links.get(iface)?.session(up);
  }

  /** Undefined for a peer that is not unnumbered. */
  report(asked: BgpPeer): BgpDiscoveryReport | undefined {
    return asked.address === undefined ? this.#of(asked)?.report() : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.set([]);
    await this.#closing;
  }

  #of({ iface }: BgpPeer): RouterLink | undefined {
    return iface === undefined ? undefined : this.#links.get(iface);
  }

  #end(link: RouterLink): void {
    const before = this.#closing;
    this.#closing = (async () => {
      await Promise.all([before, link[Symbol.asyncDispose]()]);
    })();
  }
}
