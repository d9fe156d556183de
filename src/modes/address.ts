import type { DownReason, Held, VipMode } from "../core/mode.js";
import { partOf, splitVipKey, vipKey, type Marks, type Part, type Vip, type VipKey } from "../core/model.js";
import { familyOf, hostPrefix } from "../lib/ip.js";
import type { Clock } from "../ports/clock.js";
import type { Addresses, Link } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";

export interface AddressConfig {
  readonly marks: Marks;
  /** What this process serves: leftovers of these only are its own. */
  readonly serves: ReadonlySet<Part>;
}

export interface AddressDeps {
  readonly kernel: Addresses;
  readonly clock: Clock;
  readonly log: Log;
  /** Every link as the kernel reports it now. */
  links(): Iterable<Link>;
}

/** Addresses that routes lead to. */
export interface AddressesOfRoutes extends VipMode<"arp"> {
  /** From now on whatever is held goes by the kernel's clock, at this monotonic ms at the latest. Rejects where the kernel refuses it. */
  endBy(validUntil: number, signal: AbortSignal): Promise<void>;
}

/** Ten years, ms: a finite lifetime is a part of how addresses of ours are known on kernels that keep no mark. */
const LIFETIME_MS = 10 * 365 * 86_400_000;

/**
 * Stands in for ARP mode where routes lead to addresses: the address is on a link, which may be `lo`, so that the kernel takes packets to it, and that is
 * all. It does not end with this process, since several nodes may have it at once: what a process that dies leaves behind harms nobody, as routers stop
 * sending when its sessions end, and the next life finds it by its mark. What is left for a restart on purpose has an end (`endBy`).
 */
export function createAddressMode(config: AddressConfig, deps: AddressDeps): AddressesOfRoutes {
  return new AddressMode(config, deps);
}

class AddressMode implements AddressesOfRoutes {
  readonly name = "arp";
  #endsBy: number | undefined;

  constructor(
    private readonly config: AddressConfig,
    private readonly deps: AddressDeps,
  ) {}

  /** IPv4: scope host keeps the address out of source selection. IPv6: the preferred lifetime of 0, which all of ours have, does. */
  async up({ key, iface, address, prefix, ownership }: Vip, signal: AbortSignal): Promise<void> {
    const linkIndex = this.#indexOf(iface);
    if (linkIndex === undefined) throw new Error(`hold ${address} on ${iface}: there is no such link`);
    const scope = familyOf(address) === 4 ? "host" : "global";
    const validUntil = this.#endsBy ?? this.deps.clock.now() + LIFETIME_MS;
    await this.deps.kernel.putAddress({ linkIndex, address, prefix, scope, mark: this.config.marks[partOf(ownership)], validUntil }, signal);
    this.deps.log.info("address put", { vip: key });
  }

  /** Whatever prefix an earlier life gave it: the kernel removes an address only by both. */
  async down(key: VipKey, _reason: DownReason, signal: AbortSignal): Promise<void> {
    const { iface, address } = splitVipKey(key);
    const linkIndex = this.#indexOf(iface);
    if (linkIndex === undefined) return;
    const ours = (await this.#ours(signal)).filter((one) => one.linkIndex === linkIndex && one.address === address).map(({ prefix }) => prefix);
    for (const prefix of new Set([hostPrefix(address), ...ours])) await this.deps.kernel.removeAddress({ linkIndex, address, prefix }, signal);
  }

  async held(signal: AbortSignal): Promise<readonly Held<"arp">[]> {
    const names = new Map([...this.deps.links()].map((link) => [link.index, link.name]));
    return (await this.#ours(signal)).flatMap(({ linkIndex, address, prefix }) => {
      const name = names.get(linkIndex);
      return name === undefined ? [] : [{ key: vipKey(name, address), describe: `${address}/${prefix} on ${name}` }];
    });
  }

  async endBy(validUntil: number, signal: AbortSignal): Promise<void> {
    this.#endsBy = validUntil;
    const ours = await this.#ours(signal);
    await Promise.all(ours.map(async (one) => this.deps.kernel.putAddress({ ...one, validUntil }, signal)));
  }

  /** What is not taken down stays in the kernel. */
  async [Symbol.asyncDispose](): Promise<void> {}

  async #ours(signal: AbortSignal): ReturnType<Addresses["addresses"]> {
    const marks = new Set([...this.config.serves].map((part) => this.config.marks[part]));
    return (await this.deps.kernel.addresses(signal)).filter(({ mark }) => marks.has(mark));
  }

  #indexOf(iface: string): number | undefined {
    return [...this.deps.links()].find(({ name }) => name === iface)?.index;
  }
}
