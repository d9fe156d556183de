import { familyOf, type IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import type { AddressId, AddressPut, ArpConf, FrameSocket, Kernel, KernelEvent, Link, LinkAddress, MacvlanPut, Route, VlanPut } from "../../src/ports/kernel.js";
import type { Clock } from "../../src/ports/clock.js";

/** Which packet socket a frame went out of or comes in by. */
export type FrameKind = "arp" | "nd" | "dhcp";

interface Stored {
  readonly put: AddressPut;
  readonly endsAt: number;
}

/** A kernel in memory: links, addresses whose lifetimes end, and every frame that was sent. */
export class FakeKernel implements Kernel {
  readonly #stored = new Map<string, Stored>();
  #lastIndex = 0;
  readonly #listeners = new Set<(event: KernelEvent) => void>();
  readonly #hearing = new Set<{ readonly linkIndex: number; readonly kind: FrameKind; readonly onFrame: (frame: Uint8Array) => void }>();
  readonly frames: { readonly linkIndex: number; readonly kind: FrameKind; readonly at: number; readonly bytes: Uint8Array }[] = [];
  readonly linkList: Link[] = [fakeLink(1, "lo"), fakeLink(2, "eth0")];
  routeList: Route[] = [];
  /** Puts so far. */
  puts = 0;
  openSockets = 0;
  /** What the next puts wait for before they take effect, as for the rtnl lock. */
  gate: Promise<void> | undefined;
  /** Thrown by the next puts while set. */
  refuse: Error | undefined;
  /** Runs before a VLAN is added; a throw is what the kernel refuses it with. */
  beforeVlan: (vlan: VlanPut) => void = () => {};
  /** The same for macvlans, by name. */
  beforeMacvlan: (name: string) => void = () => {};

  constructor(private readonly clock: Clock) {}

  async links(): Promise<readonly Link[]> {
    return this.linkList;
  }

  async addVlan(put: VlanPut, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    this.beforeVlan(put);
    const taken = this.linkList.some(({ name, parentIndex, vlan }) => name === put.name || (parentIndex === put.parentIndex && vlan === put.vlan));
    if (taken) throw Object.assign(new Error(`add ${put.name}: EEXIST`), { code: "EEXIST" });
    this.addLink({ ...put, kind: "vlan" });
  }

  async addMacvlan({ rpFilter: _rpFilter, ...put }: MacvlanPut, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    this.beforeMacvlan(put.name);
    const refused = this.linkList.some(({ name }) => name === put.name) ? "EEXIST" : this.linkList.some(({ parentIndex, mac }) => parentIndex === put.parentIndex && mac === put.mac) ? "EADDRINUSE" : undefined;
    if (refused !== undefined) throw Object.assign(new Error(`add ${put.name}: ${refused}`), { code: refused });
    this.addLink({ ...put, kind: "macvlan" });
  }

  /** Links that were told to take nothing from routers. */
  readonly deafToRouters = new Set<string>();
  /** Whether /proc/sys may be written. */
  mayRefuseRouters = true;

  refuseRouters(name: string): boolean {
    if (this.mayRefuseRouters) this.deafToRouters.add(name);
    return this.mayRefuseRouters;
  }

  /** Somebody adds a link; it gets an index that no link had before. */
  addLink(part: Partial<Link> & Pick<Link, "name">): Link {
    this.#lastIndex = Math.max(this.#lastIndex, ...this.linkList.map(({ index }) => index)) + 1;
    const link = { ...fakeLink(this.#lastIndex, part.name), ...part };
    this.linkList.push(link);
    this.#emit({ type: "link", link, gone: false });
    return link;
  }

  /** Sysctls of links by index; of all links at 0. */
  readonly arpConfs = new Map<number, ArpConf>();

  async arpConf(name: string): Promise<{ readonly own: ArpConf; readonly all: ArpConf }> {
    const link = this.linkList.find((one) => one.name === name);
    if (link === undefined) throw Object.assign(new Error(`read ${name}: ENOENT`), { code: "ENOENT" });
    const none = { arpIgnore: 0, arpAnnounce: 0 };
    return { own: this.arpConfs.get(link.index) ?? none, all: this.arpConfs.get(0) ?? none };
  }

  async setArpConf(linkIndex: number, conf: ArpConf): Promise<void> {
    this.arpConfs.set(linkIndex, conf);
  }

  async setLinkUp(linkIndex: number, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    const at = this.linkList.findIndex(({ index }) => index === linkIndex);
    const found = this.linkList[at];
    if (found === undefined) throw Object.assign(new Error(`set link ${linkIndex} up: ENODEV`), { code: "ENODEV" });
    const link = { ...found, up: true };
    this.linkList[at] = link;
    this.#emit({ type: "link", link, gone: false });
  }

  async removeLink(linkIndex: number, signal: AbortSignal): Promise<boolean> {
    await Promise.resolve();
    signal.throwIfAborted();
    const at = this.linkList.findIndex(({ index }) => index === linkIndex);
    const [link] = at === -1 ? [] : this.linkList.splice(at, 1);
    if (link === undefined) return false;
    // The kernel takes what stands on a link away with it.
    for (const { put } of this.#live().values()) if (put.linkIndex === linkIndex) this.#drop(put);
    this.#emit({ type: "link", link, gone: true });
    return true;
  }

  async routes(): Promise<readonly Route[]> {
    return this.routeList;
  }

  async addresses(): Promise<readonly LinkAddress[]> {
    return [...this.#live().values()].map((stored) => this.#report(stored));
  }

  async putAddress(put: AddressPut, signal: AbortSignal): Promise<number> {
    await (this.gate ?? Promise.resolve());
    signal.throwIfAborted();
    this.puts += 1;
    if (this.refuse !== undefined) throw this.refuse;
    const seconds = Math.floor((put.validUntil - this.clock.now()) / 1000);
    if (seconds < 1) throw Object.assign(new Error(`add ${put.address}/${put.prefix}: ETIME`), { code: "ETIME" });
    const stored = { put, endsAt: this.clock.now() + seconds * 1000 };
    this.#stored.set(keyOf(put), stored);
    if (familyOf(put.address) === 6) this.#emit({ type: "address", address: this.#report(stored), gone: false });
    return stored.endsAt;
  }

  async prolongAddress(put: AddressPut, signal: AbortSignal): Promise<number> {
    return this.putAddress(put, signal);
  }

  async removeAddress(id: AddressId, signal: AbortSignal): Promise<boolean> {
    await Promise.resolve();
    signal.throwIfAborted();
    return this.#drop(id);
  }

  /** Somebody else removes it. */
  steal(address: string): void {
    for (const { put } of this.#live().values()) if (put.address === address) this.#drop(put);
  }

  /** `192.0.2.10/32 dev eth0 scope host`, sorted: what `ip addr` would show now. */
  shown(): readonly string[] {
    return [...this.#live().values()]
      .map(({ put }) => `${put.address}/${put.prefix} dev ${this.linkList.find((l) => l.index === put.linkIndex)?.name} scope ${put.scope}`)
      .sort();
  }

  listen(listener: (event: KernelEvent) => void): AsyncDisposable {
    this.#listeners.add(listener);
    return { [Symbol.asyncDispose]: async () => void this.#listeners.delete(listener) };
  }

  openArp(linkIndex: number, onFrame?: (frame: Uint8Array) => void): FrameSocket {
    return this.#openPacket(linkIndex, "arp", onFrame);
  }

  openNd(linkIndex: number, onFrame?: (frame: Uint8Array) => void): FrameSocket {
    return this.#openPacket(linkIndex, "nd", onFrame);
  }

  openDhcp(linkIndex: number, onFrame?: (frame: Uint8Array) => void): FrameSocket {
    return this.#openPacket(linkIndex, "dhcp", onFrame);
  }

  /** A frame arrives on the link, for every open socket of this kind that hears. Says how many heard it. */
  deliver(linkIndex: number, kind: FrameKind, frame: Uint8Array): number {
    const hearing = [...this.#hearing].filter((one) => one.linkIndex === linkIndex && one.kind === kind);
    for (const { onFrame } of hearing) onFrame(frame.slice());
    return hearing.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #openPacket(linkIndex: number, kind: FrameKind, onFrame: ((frame: Uint8Array) => void) | undefined): FrameSocket {
    this.openSockets += 1;
    let open = true;
    const hearer = onFrame === undefined ? undefined : { linkIndex, kind, onFrame };
    if (hearer !== undefined) this.#hearing.add(hearer);
    return {
      send: (bytes) => void this.frames.push({ linkIndex, kind, at: this.clock.now(), bytes }),
      [Symbol.asyncDispose]: async () => {
        if (hearer !== undefined) this.#hearing.delete(hearer);
        if (open) this.openSockets -= 1;
        open = false;
      },
    };
  }

  #live(): ReadonlyMap<string, Stored> {
    for (const [key, stored] of this.#stored) if (stored.endsAt <= this.clock.now()) this.#stored.delete(key);
    return this.#stored;
  }

  #drop(id: AddressId): boolean {
    const stored = this.#live().get(keyOf(id));
    if (stored === undefined) return false;
    this.#stored.delete(keyOf(id));
    this.#emit({ type: "address", address: this.#report(stored), gone: true });
    return true;
  }

  #report({ put, endsAt }: Stored): LinkAddress {
    const validSeconds = Math.ceil((endsAt - this.clock.now()) / 1000);
    return { ...put, validSeconds, preferredSeconds: 0 };
  }

  #emit(event: KernelEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

export function fakeLink(index: number, name: string): Link {
  const loopback = name === "lo";
  const mac = loopback ? undefined : (`02:00:00:00:00:${String(index).padStart(2, "0")}` as MacAddress);
  return { index, name, mac, up: true, carrier: true, loopback, mtu: 1500, kind: undefined, alias: "", parentIndex: undefined, vlan: undefined };
}

function keyOf({ linkIndex, address, prefix }: { linkIndex: number; address: IpAddress; prefix: number }): string {
  return `${linkIndex} ${address}/${prefix}`;
}
