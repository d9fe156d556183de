import { messageOf } from "../lib/errors.js";
import type { ArpConf, Link, Links } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";

/** The alias of the links that we make: by it a later life of this program, of whichever version, knows them. */
export const LINK_ALIAS = "vip: made for Services, removed with the last";

/**
 * A link answers ARP for the addresses of all links of its node, and asks from any of them, unless it is told otherwise: neighbours then see an address by
 * two MACs, that of the macvlan and that of the link below.
 */
const QUIET: ArpConf = { arpIgnore: 1, arpAnnounce: 2 };

export interface ParentDeps {
  readonly kernel: Pick<Links, "links" | "arpConf" | "setArpConf">;
  readonly log: Log;
  /** How the link below a macvlan answers ARP; undefined: not for addresses that are on the macvlan. */
  answers(parent: string, conf: ArpConf | undefined): void;
}

/** Whether the alias of a link is ours. */
export function isOurAlias(alias: string): boolean {
  return alias === LINK_ALIAS || beforeOf(alias) !== undefined;
}

/** What was set on the link below before we changed it, as the alias of a macvlan says; undefined where nothing was changed. */
export function beforeOf(alias: string): ArpConf | undefined {
  const [, ignore, announce] = /^; below: arp_ignore (\d), arp_announce (\d)$/.exec(alias.startsWith(LINK_ALIAS) ? alias.slice(LINK_ALIAS.length) : "") ?? [];
  return ignore === undefined || announce === undefined ? undefined : { arpIgnore: Number(ignore), arpAnnounce: Number(announce) };
}

function aliasWith({ arpIgnore, arpAnnounce }: ArpConf): string {
  return `${LINK_ALIAS}; below: arp_ignore ${arpIgnore}, arp_announce ${arpAnnounce}`;
}

/**
 * The links below macvlans: told to answer for their own addresses only, where that is ours to say (`manage`), and as they were once the last macvlan is
 * gone. How they were is in the alias of each macvlan, so that also a later life of this program knows.
 */
export class ParentArp {
  readonly #before = new Map<number, ArpConf>();
  /** What was said last of each link, by name. */
  readonly #told = new Map<string, string>();
  /** One look and change at a time: the last macvlan may go while another one comes. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly manage: boolean,
    private readonly deps: ParentDeps,
  ) {}

  /** For a macvlan that is about to be made on this link. */
  async aliasOn(parent: Link, links: readonly Link[], signal: AbortSignal): Promise<string> {
    if (!this.manage) return LINK_ALIAS;
    const sibling = macvlansOn(parent.index, links).flatMap(({ alias }) => beforeOf(alias) ?? [])[0];
    const known = sibling ?? this.#before.get(parent.index);
    if (known !== undefined) return aliasWith(known);
    const { own, all } = await this.deps.kernel.arpConf(parent.name, signal);
    // Another macvlan may have been made meanwhile, and have changed it.
    const meanwhile = this.#before.get(parent.index);
    if (meanwhile !== undefined) return aliasWith(meanwhile);
    if (isQuiet(larger(own, all))) return LINK_ALIAS;
    this.#before.set(parent.index, own);
    return aliasWith(own);
  }

  /** Whether a macvlan that is there has to be made anew, since nobody would know how its parent was. */
  async lacksRecord(macvlan: Link, parent: Link, signal: AbortSignal): Promise<boolean> {
    if (!this.manage || beforeOf(macvlan.alias) !== undefined) return false;
    const { own, all } = await this.deps.kernel.arpConf(parent.name, signal);
    return !isQuiet(larger(own, all));
  }

  /** A macvlan is on this link. */
  async quiet(parent: Link, signal: AbortSignal): Promise<void> {
    await this.#alone(async () => {
      const { kernel, log } = this.deps;
      if (!this.manage) return this.#look(parent, signal);
      const { own, all } = await kernel.arpConf(parent.name, signal);
      if (isQuiet(larger(own, all))) return;
      await kernel.setArpConf(parent.index, larger(own, QUIET), signal);
      log.info("link below answers ARP for its own addresses only", { link: parent.name, before: own });
    });
  }

  async #look(parent: Link, signal: AbortSignal): Promise<void> {
    try {
      const { own, all } = await this.deps.kernel.arpConf(parent.name, signal);
      const conf = larger(own, all);
      this.#tell(parent.name, isQuiet(conf) ? undefined : conf);
    } catch (error) {
      signal.throwIfAborted();
      // The address is served without it.
      this.deps.log.debug("not known how the link below answers ARP", { link: parent.name, error: messageOf(error) });
    }
  }

  #tell(parent: string, conf: ArpConf | undefined): void {
    const text = JSON.stringify(conf) ?? "";
    if ((this.#told.get(parent) ?? "") === text) return;
    this.#told.set(parent, text);
    this.deps.answers(parent, conf);
  }

  /** A macvlan of ours was removed. */
  async removed(macvlan: Link, signal: AbortSignal): Promise<void> {
    const { kernel, log } = this.deps;
    const before = beforeOf(macvlan.alias) ?? this.#before.get(macvlan.parentIndex ?? 0);
    await this.#alone(async () => {
      try {
        const restored = await restoreParent(kernel, { ...macvlan, alias: before === undefined ? macvlan.alias : aliasWith(before) }, signal);
        if (restored === undefined) return;
        this.#before.delete(restored.index);
        log.info("link below answers ARP as before", { link: restored.name });
      } catch (error) {
        log.warn("arp_ignore and arp_announce of the link below were not put back", { link: macvlan.name, before, error: messageOf(error) });
      }
    });
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined); // whoever asked hears of it
    await mine;
  }
}

/** Puts back how the link below a removed macvlan answered ARP, once no macvlan of ours is on it and unless somebody changed it since; that link, or undefined. */
export async function restoreParent(kernel: ParentDeps["kernel"], macvlan: Link, signal: AbortSignal): Promise<Link | undefined> {
  const before = beforeOf(macvlan.alias);
  if (before === undefined) return undefined;
  const links = await kernel.links(signal);
  const parent = links.find(({ index }) => index === macvlan.parentIndex);
  if (parent === undefined || macvlansOn(parent.index, links).length > 0) return undefined;
  const { own } = await kernel.arpConf(parent.name, signal);
  const ours = larger(before, QUIET);
  if (own.arpIgnore !== ours.arpIgnore || own.arpAnnounce !== ours.arpAnnounce) return undefined;
  await kernel.setArpConf(parent.index, before, signal);
  return parent;
}

function macvlansOn(index: number, links: readonly Link[]): readonly Link[] {
  return links.filter(({ kind, alias, parentIndex }) => kind === "macvlan" && parentIndex === index && isOurAlias(alias));
}

function isQuiet({ arpIgnore, arpAnnounce }: ArpConf): boolean {
  return arpIgnore >= QUIET.arpIgnore && arpAnnounce >= QUIET.arpAnnounce;
}

/** As the kernel takes the larger of what is set for a link and for all links. */
function larger(a: ArpConf, b: ArpConf): ArpConf {
  return { arpIgnore: Math.max(a.arpIgnore, b.arpIgnore), arpAnnounce: Math.max(a.arpAnnounce, b.arpAnnounce) };
}
