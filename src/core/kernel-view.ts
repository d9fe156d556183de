import type { Clock, Timer } from "../ports/clock.js";
import type { KernelEvent, Link, LinkAddress, Route } from "../ports/kernel.js";
import type { Marks } from "./model.js";
import type { Subnet, World } from "./world.js";

export interface KernelViewConfig {
  /** Our own VIPs are no subnets. */
  readonly marks: Marks;
  /** This process serves the control plane, too; otherwise its VIP is an address like those of the node. */
  readonly controlPlane: boolean;
  /** A link that is down or without carrier for so long is bad, ms. */
  readonly badAfterMs: number;
}

export interface KernelViewDeps {
  readonly clock: Clock;
  learn(part: Partial<World>): void;
  /** A link is there, or good, again: what is held on it has to be put and announced anew. */
  returned(link: string): void;
}

/** RT_TABLE_MAIN */
const MAIN_TABLE = 254;

/** The part of the world that the kernel tells: links, which of them are bad, subnets, the link of the default route. */
export class KernelView implements Disposable {
  #links: ReadonlyMap<string, Link> = new Map();
  #subnets: ReadonlyMap<string, readonly Subnet[]> = new Map();
  readonly #bad = new Set<string>();
  readonly #doubted = new Map<string, Timer>();

  constructor(
    private readonly config: KernelViewConfig,
    private readonly deps: KernelViewDeps,
  ) {}

  /** Everything anew, at the start and after events were lost. What is bad now has been so for longer than a blink. */
  dump(links: readonly Link[], addresses: readonly LinkAddress[], routes: readonly Route[]): void {
    this.#links = new Map(links.map((link) => [link.name, link]));
    this.#endDoubts();
    this.#bad.clear();
    for (const link of links) if (!isGood(link)) this.#bad.add(link.name);
    this.#subnets = new Map();
    for (const address of addresses) if (!this.#ours(address)) this.#address(address, false);
    const defaults = routes.filter((route) => route.destination === undefined && route.table === MAIN_TABLE);
    defaults.sort((a, b) => a.family - b.family || a.metric - b.metric);
    const defaultLink = links.find((link) => link.index === defaults[0]?.linkIndex)?.name;
    this.#tell({ defaultLink, gateways: new Set(routes.flatMap(({ gateway }) => gateway ?? [])) });
  }

  event(event: KernelEvent): void {
    if (event.type === "link") this.#link(event.link, event.gone);
    else if (event.type === "address") {
      const before = this.#subnets;
      // An address that somebody took and that was made ours again is no subnet any more.
      this.#address(event.address, event.gone || this.#ours(event.address));
      if (this.#subnets !== before) this.deps.learn({ subnets: this.#subnets });
    }
  }

  [Symbol.dispose](): void {
    this.#endDoubts();
  }

  #endDoubts(): void {
    for (const timer of this.#doubted.values()) timer.cancel();
    this.#doubted.clear();
  }

  #link(link: Link, gone: boolean): void {
    const before = [...this.#links.values()].find((other) => other.index === link.index);
    const sameName = this.#links.get(link.name);
    // A link may have been renamed: its index is what stays.
    const links = new Map([...this.#links].filter(([, other]) => other.index !== link.index));
    if (!gone) links.set(link.name, link);
    this.#links = links;
    if (before !== undefined && (gone || before.name !== link.name)) this.#forget(before.name, gone ? undefined : link.name);
    if (gone) this.#tell();
    else if (isGood(link)) this.#good(link.name, sameName?.index !== link.index);
    else this.#doubt(link.name);
  }

  #good(name: string, isNew: boolean): void {
    this.#doubted.get(name)?.cancel();
    const blinked = this.#doubted.delete(name);
    const wasBad = this.#bad.delete(name);
    this.#tell();
    if (wasBad || blinked || isNew) this.deps.returned(name);
  }

  #doubt(name: string): void {
    this.#tell();
    if (this.#bad.has(name) || this.#doubted.has(name)) return;
    const timer = this.deps.clock.after(this.config.badAfterMs, () => {
      this.#doubted.delete(name);
      this.#bad.add(name);
      this.#tell();
    });
    this.#doubted.set(name, timer);
  }

  /** The addresses of a renamed link stay on it, and the kernel does not tell them again. */
  #forget(name: string, renamed: string | undefined): void {
    this.#doubted.get(name)?.cancel();
    this.#doubted.delete(name);
    this.#bad.delete(name);
    const subnets = new Map(this.#subnets);
    const kept = subnets.get(name);
    subnets.delete(name);
    if (renamed !== undefined && kept !== undefined) subnets.set(renamed, kept);
    this.#subnets = subnets;
  }

  #ours({ mark }: LinkAddress): boolean {
    return Object.values(this.config.marks).includes(mark) && (this.config.controlPlane || mark !== this.config.marks["control-plane"]);
  }

  #address({ linkIndex, address, prefix, mark }: LinkAddress, gone: boolean): void {
    const link = [...this.#links.values()].find((candidate) => candidate.index === linkIndex);
    if (link === undefined || link.loopback) return;
    const known = this.#subnets.get(link.name) ?? [];
    const others = known.filter((subnet) => subnet.address !== address || subnet.prefix !== prefix);
    const there = others.length < known.length;
    if (there === !gone) return;
    const subnet: Subnet = { address, prefix, ...(mark === this.config.marks["control-plane"] && { controlPlane: true }) };
    this.#subnets = new Map([...this.#subnets, [link.name, gone ? others : [...others, subnet]]]);
  }

  #tell(part: Partial<World> = {}): void {
    this.deps.learn({ links: this.#links, badLinks: new Set(this.#bad), subnets: this.#subnets, ...part });
  }
}

function isGood(link: Link): boolean {
  return link.up && link.carrier;
}
