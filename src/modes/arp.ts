import { AddressInUse, type DownReason, type Fence, type Held, type ModeReport, type VipMode } from "../core/mode.js";
import { partOf, splitVipKey, vipKey, type Marks, type OwnershipKey, type Part, type Vip, type VipKey } from "../core/model.js";
import { messageOf } from "../lib/errors.js";
import { familyOf, hostPrefix, type IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import { Work } from "../lib/work.js";
import type { AnnounceConfig } from "../machine/announce.js";
import type { ProbeOutcome } from "../machine/probe.js";
import type { Clock } from "../ports/clock.js";
import type { AddressId, Addresses, AddressPut, Link, Packets } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import { Announcer } from "./announcer.js";
import { Lifetimes } from "./lifetimes.js";
import { Listeners } from "./listeners.js";
import type { Claim } from "./neighbour.js";
import { Probes } from "./probes.js";
import { isTooLate, Renewals } from "./renewals.js";

export interface ArpConfig {
  readonly announce: AnnounceConfig;
  readonly marks: Marks;
  /** What this process serves: leftovers of these only are its own. */
  readonly serves: ReadonlySet<Part>;
  /** Look for others before the first claim of an address, and listen for them afterwards. */
  readonly duplicateCheck: boolean;
}

export interface ArpDeps {
  readonly kernel: Addresses & Packets;
  readonly fence: Fence;
  readonly clock: Clock;
  readonly log: Log;
  /** Every link as the kernel reports it now. */
  links(): Iterable<Link>;
  /** Another process of ours has this address on this node by now: it is not ours to remove. Default: none has. */
  taken?(address: IpAddress): boolean;
  report(key: VipKey, what: ModeReport): void;
}

interface HeldVip {
  readonly vip: Vip;
  readonly linkIndex: number;
  /** Somebody else announced it: the address is off until the API has confirmed that it is ours. */
  doubted: boolean;
  defendedAt: number;
}

/** One defence in so long (RFC 5227 2.4 b: DEFEND_INTERVAL), ms. */
const DEFEND_INTERVAL_MS = 10_000;
/** An address that a host answered for is looked at again this soon once: it may be a node that is about to let go of it, ms. */
const LOOK_AGAIN_MS = 1000;
/** The least lifetime that the kernel can be given, ms. */
const SECOND_MS = 1000;

/** ARP mode: the address on the link with a finite lifetime, gratuitous ARP or unsolicited NA on the LAN. The kernel answers the requests. */
export function createArpMode(config: ArpConfig, deps: ArpDeps): VipMode<"arp"> {
  return new ArpMode(config, deps);
}

class ArpMode implements VipMode<"arp"> {
  readonly name = "arp";
  readonly #held = new Map<VipKey, HeldVip>();
  /** With which prefixes an earlier life left an address: the kernel removes one only by address and prefix. */
  readonly #leftovers = new Map<VipKey, readonly number[]>();
  /** Somebody else answered for them when this node was about to take them. */
  readonly #inUse = new Set<VipKey>();
  readonly #closing = new AbortController();
  readonly #lifetimes: Lifetimes<VipKey>;
  readonly #announcer: Announcer<VipKey>;
  readonly #listeners: Listeners;
  readonly #probes: Probes;
  readonly #renewals: Renewals;
  readonly #work = new Work((error) => {
    if (!this.#closing.signal.aborted) this.deps.log.warn("address in doubt not taken off", { error: messageOf(error) });
  });

  constructor(
    private readonly config: ArpConfig,
    private readonly deps: ArpDeps,
  ) {
    const { clock, fence, kernel } = deps;
    this.#listeners = new Listeners({ kernel, claimed: (linkIndex, claim) => this.#claimed(linkIndex, claim) });
    this.#probes = new Probes({ clock, ask: (linkIndex, address, mac) => this.#listeners.ask(linkIndex, address, mac) });
    this.#renewals = new Renewals(fence);
    this.#announcer = new Announcer(config.announce, { clock, send: (key, step) => this.#announce(key, step) });
    this.#lifetimes = new Lifetimes({
      clock,
      fence,
      put: async (key, validUntil) => this.#prolong(key, validUntil),
      failed: (key, error) => {
        deps.log.warn("lifetime not renewed", { vip: key, error: messageOf(error) });
        deps.report(key, { type: "refresh" });
      },
    });
  }

  async up(vip: Vip, signal: AbortSignal): Promise<void> {
    const link = this.#link(vip);
    const known = this.#held.get(vip.key);
    if (known?.doubted === true) return;
    // An heir may have it at any moment: what is not held by now is not taken up for the rest of the hand-over.
    if (known === undefined && this.#isLeaving(vip.ownership)) throw new Error(`hold ${vip.address} on ${vip.iface}: it is being handed over`);
    this.#listeners.keep(new Set([...this.deps.links()].map(({ index }) => index)));
    this.#listeners.listen(link.index, vip.address);
    if (vip.fresh && known === undefined && this.config.duplicateCheck) await this.#probe(vip, link, signal);
    const held: HeldVip = { vip, linkIndex: link.index, doubted: false, defendedAt: known?.defendedAt ?? -Infinity };
    const endsAt = await this.#put(held, signal);
    this.#held.set(vip.key, held);
    this.#lifetimes.keep(vip.key, vip.ownership, endsAt);
    // A lease that was renewed is no news for anybody on the link.
    if (known === undefined || known.vip.until === vip.until) this.#announcer.begin(vip.key);
    await this.#removeOthers(held, known, signal);
  }

  async down(key: VipKey, _reason: DownReason, signal: AbortSignal): Promise<void> {
    const held = this.#held.get(key);
    this.#held.delete(key);
    this.#inUse.delete(key);
    this.#announcer.end(key);
    const { iface, address } = splitVipKey(key);
    const linkIndex = held?.linkIndex ?? [...this.deps.links()].find(({ name }) => name === iface)?.index;
    if (linkIndex === undefined || this.deps.taken?.(address) === true) await this.#lifetimes.forget(key);
    else {
      const prefixes = new Set([held?.vip.prefix ?? hostPrefix(address), ...(this.#leftovers.get(key) ?? [])]);
      for (const prefix of prefixes) await this.#remove(key, { linkIndex, address, prefix }, signal);
    }
    this.#leftovers.delete(key);
  }

  async held(signal: AbortSignal): Promise<readonly Held<"arp">[]> {
    const addresses = await this.deps.kernel.addresses(signal);
    const names = new Map([...this.deps.links()].map((link) => [link.index, link.name]));
    const marks = new Set([...this.config.serves].map((part) => this.config.marks[part]));
    return addresses.flatMap(({ mark, linkIndex, address, prefix, validSeconds }) => {
      const name = names.get(linkIndex);
      if (!marks.has(mark) || name === undefined) return [];
      const key = vipKey(name, address);
      this.#leftovers.set(key, [...(this.#leftovers.get(key) ?? []), prefix]);
      return [{ key, describe: `${address}/${prefix} on ${name}, ${validSeconds} s left` }];
    });
  }

  /** Leaves the addresses to their lifetimes; whoever wants them gone calls `down` before. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException("closing", "AbortError"));
    this.#announcer[Symbol.dispose]();
    this.#probes[Symbol.dispose]();
    this.#renewals[Symbol.dispose]();
    await this.#lifetimes[Symbol.asyncDispose]();
    await this.#work.ended();
    await this.#listeners[Symbol.asyncDispose]();
  }

  async #probe(vip: Vip, link: EthernetLink, signal: AbortSignal): Promise<void> {
    const outcome: ProbeOutcome = await this.#probes.run({ linkIndex: link.index, address: vip.address, mac: link.mac }, signal);
    const again = this.#inUse.delete(vip.key);
    if (outcome.type !== "inUse") return;
    this.#inUse.add(vip.key);
    throw new AddressInUse(vip.address, vip.iface, outcome.mac, outcome.proxy, again ? undefined : LOOK_AGAIN_MS);
  }

  /** Where the fence leaves no whole second, the next renew is waited for: a thousand that fail and are tried again would only make that one later. */
  async #put(held: HeldVip, signal: AbortSignal): Promise<number> {
    const { kernel, fence, clock } = this.deps;
    const { ownership, until = Infinity } = held.vip;
    for (;;) {
      try {
        return await kernel.putAddress(this.#address(held, fence.kernelDeadline(ownership)), signal);
      } catch (error) {
        const now = clock.now();
        if (!isTooLate(error) || fence.heldUntil(ownership) <= now || until - now < SECOND_MS) throw error;
      }
      await this.#renewals.next(ownership, signal);
    }
  }

  /** The same address with another prefix, from before a change or from an earlier life. */
  async #removeOthers({ vip, linkIndex }: HeldVip, known: HeldVip | undefined, signal: AbortSignal): Promise<void> {
    const prefixes = new Set([...(known === undefined ? [] : [known.vip.prefix]), ...(this.#leftovers.get(vip.key) ?? [])]);
    this.#leftovers.delete(vip.key);
    prefixes.delete(vip.prefix);
    for (const prefix of prefixes) await this.deps.kernel.removeAddress({ linkIndex, address: vip.address, prefix }, signal);
  }

  async #prolong(key: VipKey, validUntil: number): Promise<number> {
    const held = this.#held.get(key);
    if (held === undefined) throw new Error(`prolong ${key}: not held`);
    const { until = Infinity } = held.vip;
    // It runs out with its lease, unless that is renewed yet.
    if (until - this.deps.clock.now() < SECOND_MS) return until;
    return this.deps.kernel.prolongAddress(this.#address(held, validUntil), this.#closing.signal);
  }

  /**
   * IPv4: scope host keeps an address out of source selection and is still answered for; preferred_lft 0 alone is ignored by the kernel. So does being
   * a secondary address of the node's subnet. IPv6: preferred_lft 0 is enough, and the kernel gives the scope.
   */
  #address({ vip, linkIndex }: HeldVip, validUntil: number): AddressPut {
    const scope = familyOf(vip.address) === 4 ? (vip.scope ?? "host") : "global";
    return { linkIndex, address: vip.address, prefix: vip.prefix, scope, mark: this.config.marks[partOf(vip.ownership)], validUntil: Math.min(validUntil, vip.until ?? Infinity) };
  }

  #announce(key: VipKey, step: number): void {
    const held = this.#held.get(key);
    if (held === undefined || held.doubted || !this.deps.fence.mayAnnounce(held.vip.ownership)) return;
    const { vip, linkIndex } = held;
    try {
      // The MAC is looked up each time: bonds and administrators change it.
      const { mac } = this.#link(vip);
      this.#listeners.announce(linkIndex, vip.address, mac, step);
      if (step === 0) this.deps.log.info("announced", { vip: vip.address, link: vip.iface, mac });
    } catch (error) {
      this.deps.log.warn("announcement not sent", { vip: vip.address, link: vip.iface, error: messageOf(error) });
    }
  }

  #claimed(linkIndex: number, claim: Claim): void {
    const link = [...this.deps.links()].find(({ index }) => index === linkIndex);
    if (link === undefined || claim.mac === link.mac) return;
    this.#probes.claimed(linkIndex, claim);
    const held = this.#held.get(vipKey(link.name, claim.address));
    if (held === undefined || held.doubted || claim.asking || !this.config.duplicateCheck) return;
    const { ownership } = held.vip;
    const leaving = this.#isLeaving(ownership);
    if (!leaving && this.deps.clock.now() < held.defendedAt + DEFEND_INTERVAL_MS) return;
    this.#work.add(leaving ? this.#letGo(held) : this.#doubt(held, claim.mac));
  }

  /** It is held still, and given up. */
  #isLeaving(ownership: OwnershipKey): boolean {
    return this.deps.fence.heldUntil(ownership) > this.deps.clock.now() && !this.deps.fence.mayAnnounce(ownership);
  }

  /** This node is handing over and hears the heir: it lets go without waiting for the API to say so. */
  async #letGo(held: HeldVip): Promise<void> {
    held.doubted = true;
    await this.#takeOff(held);
  }

  /**
   * Another host announces an address that is held here: either a stranger, or the new owner after this machine stood still without knowing. The
   * address goes off until the API has confirmed that it is ours; then it is defended (RFC 5227 2.4 b).
   */
  async #doubt(held: HeldVip, mac: MacAddress): Promise<void> {
    const { key, ownership } = held.vip;
    held.doubted = true;
    const off = this.#takeOff(held);
    const ours = await this.deps.fence.confirm(ownership);
    await off;
    if (!ours || this.#held.get(key) !== held) return;
    held.doubted = false;
    held.defendedAt = this.deps.clock.now();
    this.deps.report(key, { type: "conflict", mac });
    this.deps.report(key, { type: "refresh" });
  }

  async #takeOff({ vip, linkIndex }: HeldVip): Promise<void> {
    this.deps.report(vip.key, { type: "suspended" });
    this.#announcer.end(vip.key);
    await this.#remove(vip.key, { linkIndex, address: vip.address, prefix: vip.prefix }, this.#closing.signal);
  }

  async #remove(key: VipKey, id: AddressId, signal: AbortSignal): Promise<void> {
    const running = this.#lifetimes.forget(key);
    await this.deps.kernel.removeAddress(id, signal);
    if (running === undefined) return;
    // A lifetime that was being set may have been set after the removal.
    await running;
    await this.deps.kernel.removeAddress(id, signal);
  }

  #link({ iface, address }: { readonly iface: string; readonly address: IpAddress }): EthernetLink {
    const link = [...this.deps.links()].find(({ name }) => name === iface);
    if (link === undefined) throw new Error(`hold ${address} on ${iface}: there is no such link`);
    if (link.mac === undefined) throw new Error(`hold ${address} on ${iface}: the link has no MAC address, expected an Ethernet link`);
    return { index: link.index, mac: link.mac };
  }
}

interface EthernetLink {
  readonly index: number;
  readonly mac: MacAddress;
}
