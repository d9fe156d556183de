import type { DownReason, Held, VipMode } from "../core/mode.js";
import { CONTROL_PLANE_LINK, type LinkKey, type LinkWant, type MacvlanWant, type Part } from "../core/model.js";
import type { Link, Links } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import { isOurAlias, LINK_ALIAS, ParentArp, type ParentDeps } from "./link-parent.js";

/** Two names of one number: the kernel's, and the one that comes first in the alphabet. */
const NOT_SUPPORTED: ReadonlySet<unknown> = new Set(["EOPNOTSUPP", "ENOTSUP"]);

export interface LinkConfig {
  /** What this process serves: a process that serves no Services leaves the links of one that does alone. */
  readonly serves: ReadonlySet<Part>;
  /** Tell links below macvlans to answer ARP for their own addresses only. */
  readonly manageParent: boolean;
}

export interface LinkDeps {
  readonly kernel: Links;
  readonly log: Log;
  /** How the link below a macvlan answers ARP; undefined: not for addresses that are on the macvlan. */
  readonly answers: ParentDeps["answers"];
}

/** Why there is no such link. */
export type LinkErrorCode = "missingParent" | "taken" | "no8021q" | "noMacvlan";

/** Message `add eth0.200 (VLAN 200 on eth0): the name is taken by VLAN 200 on eth1`. */
export class LinkError extends Error {
  constructor(
    readonly code: LinkErrorCode,
    want: LinkWant,
    reason: ErrorOptions & { readonly why: string },
  ) {
    super(`add ${want.key} (${want.vlan === undefined ? "macvlan" : `VLAN ${want.vlan}`} on ${want.parent}): ${reason.why}`, reason);
    this.name = "LinkError";
  }
}

/** Link mode: IEEE 802.1Q links that Services ask for, and macvlans for addresses by DHCP. What somebody else made is used where it fits, and never changed or removed. */
export function createLinkMode(config: LinkConfig, deps: LinkDeps): VipMode<"link"> {
  return new LinkMode(config, deps);
}

class LinkMode implements VipMode<"link"> {
  readonly name = "link";
  readonly #parents: ParentArp;
  #toldOfRouters = false;

  constructor(
    private readonly config: LinkConfig,
    private readonly deps: LinkDeps,
  ) {
    this.#parents = new ParentArp(config.manageParent, deps);
  }

  async up(want: LinkWant, signal: AbortSignal): Promise<void> {
    try {
      await this.#ensure(want, signal);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      // Another process made it between the look and the addition.
      await this.#ensure(want, signal);
    }
  }

  async down(key: LinkKey, reason: DownReason, signal: AbortSignal): Promise<void> {
    const link = (await this.deps.kernel.links(signal)).find(({ name }) => name === key);
    if (link === undefined || !isOurs(link)) return;
    if (await this.deps.kernel.removeLink(link.index, signal)) this.deps.log.info("link removed", { link: key, reason });
    if (link.kind === "macvlan") await this.#parents.removed(link, signal);
  }

  async held(signal: AbortSignal): Promise<readonly Held<"link">[]> {
    const links = await this.deps.kernel.links(signal);
    return links.filter((link) => isOurs(link) && this.config.serves.has(partOfLink(link))).map((link) => ({ key: link.name as LinkKey, describe: describe(link, links) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #ensure(want: LinkWant, signal: AbortSignal): Promise<void> {
    const links = await this.deps.kernel.links(signal);
    const parent = links.find(({ name }) => name === want.parent);
    if (parent === undefined) throw new LinkError("missingParent", want, { why: `there is no link ${want.parent}` });
    const there = links.find(({ name }) => name === want.key);
    if (there === undefined) await this.#add(want, { parent, links }, signal);
    else await this.#adopt(want, { there, parent, links }, signal);
    if (want.vlan === undefined) await this.#parents.quiet(parent, signal);
  }

  async #adopt(want: LinkWant, { there, parent, links }: { readonly there: Link; readonly parent: Link; readonly links: readonly Link[] }, signal: AbortSignal): Promise<void> {
    const anew = want.vlan === undefined && isOurs(there) && (await this.#parents.lacksRecord(there, parent, signal));
    if (fits(there, want) && there.parentIndex === parent.index && !anew) {
      // Of one that somebody else made, whether it is up and listens to routers is theirs to say.
      if (!isOurs(there)) return;
      if (want.vlan === undefined) this.#refuseRouters(want.key);
      if (!there.up) await this.deps.kernel.setLinkUp(there.index, signal);
      return;
    }
    if (!isOurs(there)) throw new LinkError("taken", want, { why: `the name is taken by ${describe(there, links)}` });
    // Links were renamed since we made it, or another MAC is wanted.
    await this.deps.kernel.removeLink(there.index, signal);
    await this.#add(want, { parent, links }, signal);
  }

  async #add(want: LinkWant, { parent, links }: { readonly parent: Link; readonly links: readonly Link[] }, signal: AbortSignal): Promise<void> {
    if (want.vlan === undefined) return this.#addMacvlan(want, { parent, links }, signal);
    const same = links.find(({ parentIndex, vlan }) => parentIndex === parent.index && vlan === want.vlan);
    // The kernel has each VLAN of a link once.
    if (same !== undefined) throw new LinkError("taken", want, { why: `that VLAN is there already as ${same.name}` });
    try {
      await this.deps.kernel.addVlan({ name: want.key, parentIndex: parent.index, vlan: want.vlan, alias: LINK_ALIAS }, signal);
    } catch (error) {
      throw isWithoutDriver(error, "8021q:") ? new LinkError("no8021q", want, { why: "the kernel has no 8021q: modprobe 8021q", cause: error }) : error;
    }
    this.deps.log.info("link added", { link: want.key, parent: want.parent, vlan: want.vlan });
  }

  async #addMacvlan(want: MacvlanWant, { parent, links }: { readonly parent: Link; readonly links: readonly Link[] }, signal: AbortSignal): Promise<void> {
    const { mac, rpFilter } = want;
    const alias = await this.#parents.aliasOn(parent, links, signal);
    try {
      await this.deps.kernel.addMacvlan({ name: want.key, parentIndex: parent.index, mac, alias, rpFilter }, signal);
    } catch (error) {
      if (isWithoutDriver(error, "macvlan:")) throw new LinkError("noMacvlan", want, { why: "the kernel has no macvlan: modprobe macvlan", cause: error });
      if (codeOf(error) === "EADDRINUSE" || codeOf(error) === "EBUSY") throw new LinkError("taken", want, { why: `another link on ${want.parent} has the MAC ${mac}`, cause: error });
      throw error;
    }
    this.deps.log.info("link added", { link: want.key, parent: want.parent, mac });
    this.#refuseRouters(want.key);
  }

  /** A router that advertises on the link would give the node one more address and one more default route for each Service. */
  #refuseRouters(link: LinkKey): void {
    if (this.deps.kernel.refuseRouters(link) || this.#toldOfRouters) return;
    this.#toldOfRouters = true;
    this.deps.log.warn("links for addresses by DHCP take addresses and routes from router advertisements: /proc/sys cannot be written, set net.ipv6.conf.default.accept_ra=0 on the node", { link });
  }
}

function partOfLink({ name }: Link): Part {
  return name === CONTROL_PLANE_LINK ? "control-plane" : "services";
}

/** The kind too: an alias is a text that anybody can write. */
function isOurs({ kind, alias }: Link): boolean {
  return (kind === "vlan" || kind === "macvlan") && isOurAlias(alias);
}

function fits({ kind, vlan, mac }: Link, want: LinkWant): boolean {
  return want.vlan === undefined ? kind === "macvlan" && mac === want.mac : vlan === want.vlan;
}

/** `VLAN 200 on eth0`, `a link of kind dummy`. */
function describe({ kind, vlan, mac, parentIndex }: Link, links: readonly Link[]): string {
  if (vlan === undefined && kind !== "macvlan") return `a link of kind ${kind ?? "unknown"}`;
  return `${vlan === undefined ? `macvlan ${mac ?? ""}` : `VLAN ${vlan}`} on ${links.find(({ index }) => index === parentIndex)?.name ?? "a link of another network namespace"}`;
}

function isWithoutDriver(error: unknown, speaks: string): boolean {
  // The driver refuses some parents (lo) with the same code, and then says so: `8021q: VLANs not supported on device`.
  return NOT_SUPPORTED.has(codeOf(error)) && !(error as Error).message.includes(speaks);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
