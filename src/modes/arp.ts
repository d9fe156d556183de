import type { DownReason, Fence, Held, VipMode } from "../core/mode.js";
import { splitVipKey, vipKey, type Vip, type VipKey } from "../core/model.js";
import { messageOf } from "../lib/errors.js";
import { hostPrefix } from "../lib/ip.js";
import { BROADCAST_MAC, type MacAddress } from "../lib/mac.js";
import type { AnnounceConfig } from "../machine/announce.js";
import type { Clock } from "../ports/clock.js";
import type { Addresses, AddressPut, FrameSocket, Link, Packets } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import { ARP_REPLY, ARP_REQUEST, encodeArp } from "../wire/arp.js";
import { Announcer } from "./announcer.js";
import { Lifetimes } from "./lifetimes.js";

export interface ArpConfig {
  readonly announce: AnnounceConfig;
  /** IFA_PROTO of every address that we make. */
  readonly mark: number;
}

export interface ArpDeps {
  readonly kernel: Addresses & Packets;
  readonly fence: Fence;
  readonly clock: Clock;
  readonly log: Log;
  /** Every link as the kernel reports it now. */
  links(): Iterable<Link>;
  /** Something that is held was found wrong: `up` should run again. */
  refresh(key: VipKey): void;
}

interface HeldVip {
  readonly vip: Vip;
  readonly linkIndex: number;
  readonly mac: MacAddress;
}

/** ARP mode (IPv4): the address on the link with a finite lifetime, gratuitous ARP on the LAN. The kernel answers the requests. */
export function createArpMode(config: ArpConfig, deps: ArpDeps): VipMode<"arp"> {
  return new ArpMode(config, deps);
}

class ArpMode implements VipMode<"arp"> {
  readonly name = "arp";
  readonly #held = new Map<VipKey, HeldVip>();
  readonly #sockets = new Map<number, FrameSocket>();
  readonly #closing = new AbortController();
  readonly #lifetimes: Lifetimes<VipKey>;
  readonly #announcer: Announcer<VipKey>;

  constructor(
    private readonly config: ArpConfig,
    private readonly deps: ArpDeps,
  ) {
    const { clock, fence } = deps;
    this.#announcer = new Announcer(config.announce, { clock, send: (key, step) => this.#announce(key, step) });
    this.#lifetimes = new Lifetimes({
      clock,
      fence,
      put: async (key, validUntil) => this.#prolong(key, validUntil),
      failed: (key, error) => {
        deps.log.warn("lifetime not renewed", { vip: key, error: messageOf(error) });
        deps.refresh(key);
      },
    });
  }

  async up(vip: Vip, signal: AbortSignal): Promise<void> {
    const link = this.#link(vip.iface);
    if (link === undefined) throw new Error(`hold ${vip.address} on ${vip.iface}: there is no such link`);
    if (link.mac === undefined) throw new Error(`hold ${vip.address} on ${vip.iface}: the link has no MAC address, expected an Ethernet link`);
    const held: HeldVip = { vip, linkIndex: link.index, mac: link.mac };
    const endsAt = await this.deps.kernel.putAddress(this.#address(held, this.deps.fence.kernelDeadline(vip.ownership)), signal);
    this.#held.set(vip.key, held);
    this.#lifetimes.keep(vip.key, vip.ownership, endsAt);
    this.#announcer.begin(vip.key);
  }

  async down(key: VipKey, _reason: DownReason, signal: AbortSignal): Promise<void> {
    const held = this.#held.get(key);
    this.#held.delete(key);
    this.#lifetimes.forget(key);
    this.#announcer.end(key);
    const { iface, address } = splitVipKey(key);
    const linkIndex = held?.linkIndex ?? this.#link(iface)?.index;
    if (linkIndex === undefined) return;
    const prefix = held?.vip.prefix ?? hostPrefix(address);
    await this.deps.kernel.removeAddress({ linkIndex, address, prefix }, signal);
  }

  async held(signal: AbortSignal): Promise<readonly Held[]> {
    const addresses = await this.deps.kernel.addresses(signal);
    const names = new Map([...this.deps.links()].map((link) => [link.index, link.name]));
    return addresses.flatMap(({ mark, linkIndex, address, prefix, validSeconds }) => {
      const name = names.get(linkIndex);
      if (mark !== this.config.mark || name === undefined) return [];
      return [{ key: vipKey(name, address), describe: `${address}/${prefix} on ${name}, ${validSeconds} s left` }];
    });
  }

  /** Leaves the addresses to their lifetimes; whoever wants them gone calls `down` before. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException("closing", "AbortError"));
    this.#announcer[Symbol.dispose]();
    await this.#lifetimes[Symbol.asyncDispose]();
    for (const socket of this.#sockets.values()) await socket[Symbol.asyncDispose]();
    this.#sockets.clear();
  }

  async #prolong(key: VipKey, validUntil: number): Promise<number> {
    const held = this.#held.get(key);
    if (held === undefined) throw new Error(`prolong ${key}: not held`);
    return this.deps.kernel.putAddress(this.#address(held, validUntil), this.#closing.signal);
  }

  /** Scope host keeps an IPv4 address out of source selection and is still answered for; preferred_lft 0 alone is ignored by the kernel. */
  #address({ vip, linkIndex }: HeldVip, validUntil: number): AddressPut {
    return { linkIndex, address: vip.address, prefix: vip.prefix, scope: "host", mark: this.config.mark, validUntil };
  }

  /**
   * Gratuitous ARP (RFC 5227 2.3). Linux takes a request as an update always, a reply only where its target is the sender; other hosts and
   * switches want the one or the other, so they alternate.
   */
  #announce(key: VipKey, step: number): void {
    const held = this.#held.get(key);
    if (held === undefined || this.deps.fence.heldUntil(held.vip.ownership) <= this.deps.clock.now()) return;
    const { mac, vip, linkIndex } = held;
    const request = step % 2 === 0;
    const frame = encodeArp({
      destination: BROADCAST_MAC,
      source: mac,
      operation: request ? ARP_REQUEST : ARP_REPLY,
      senderMac: mac,
      senderIp: vip.address,
      targetMac: request ? NO_MAC : mac,
      targetIp: vip.address,
    });
    try {
      this.#socket(linkIndex).send(frame);
      if (step === 0) this.deps.log.info("announced", { vip: vip.address, link: vip.iface, mac });
    } catch (error) {
      this.deps.log.warn("announcement not sent", { vip: vip.address, link: vip.iface, error: messageOf(error) });
    }
  }

  #socket(linkIndex: number): FrameSocket {
    const open = this.#sockets.get(linkIndex);
    if (open !== undefined) return open;
    const socket = this.deps.kernel.openArp(linkIndex, undefined);
    this.#sockets.set(linkIndex, socket);
    return socket;
  }

  #link(name: string): Link | undefined {
    for (const link of this.deps.links()) if (link.name === name) return link;
    return undefined;
  }
}

/** Target MAC of a gratuitous request: zeros (RFC 5227 2.3). */
const NO_MAC = "00:00:00:00:00:00" as MacAddress;
