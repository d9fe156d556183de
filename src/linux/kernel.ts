import { familyOf, type Family } from "../lib/ip.js";
import { SharedLook } from "../lib/shared-look.js";
import type { Clock } from "../ports/clock.js";
import type { AddressId, AddressPut, ArpConf, FrameSocket, Kernel, KernelEvent, Link, LinkAddress, MacvlanPut, Route, VlanPut } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { decodeAddress, encodeAddressRemoval, IFA_F_DADFAILED, IFA_F_TENTATIVE, type AddressMessage } from "../wire/netlink/address.js";
import { decodeLink, encodeLinkDump } from "../wire/netlink/link.js";
import { MACVLAN_MODE_PRIVATE } from "../wire/netlink/link-change.js";
import {
  RTM_DELADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  type NetlinkMessage,
} from "../wire/netlink/message.js";
import { decodeRoute, encodeRouteDump } from "../wire/netlink/route.js";
import { refuseRouters } from "./accept-ra.js";
import { readArpConf, setArpConf } from "./arp-conf.js";
import { AddressMarks, type MarkMode } from "./address-marks.js";
import { AddressRecord } from "./address-record.js";
import { addressDump, getRequest, putRequest, type PutPlan } from "./address-requests.js";
import { KernelError } from "./errors.js";
import { eventFrom, linkAddressFrom, linkFrom, routesFrom, scopeNumber } from "./kernel-values.js";
import { addLink, removeLink, setLinkUp, type LinkPut } from "./link-requests.js";
import { createNative, type Native } from "./native.js";
import { dump } from "./netlink-dump.js";
import { NetlinkEvents } from "./netlink-events.js";
import { NetlinkRequests } from "./netlink-requests.js";
import { ECANCELED, type NetlinkRequest } from "./netlink-socket.js";
import { PacketSocket, type OnFrame, type PacketId } from "./packet-socket.js";
import { createRandom } from "./random.js";

const FAMILIES: readonly Family[] = [4, 6];
const RECORD_DIR = "/run/vip";
/** The address, its link, or (ENXIO) all of IPv6 on the link is not there. */
const ABSENT: readonly string[] = ["EADDRNOTAVAIL", "ENODEV", "ENXIO"];

export interface KernelDeps {
  readonly log: Log;
  /** For lifetimes. */
  readonly clock: Clock;
  /** Default: createNative(). */
  readonly native?: Native;
  /** Octets of events that may wait in the kernel before some are lost. Default: 8 MiB. */
  readonly eventBuffer?: number;
  /** How addresses are marked. Default: auto. */
  readonly markMode?: MarkMode;
  /** Folder of the record of our addresses, for kernels before Linux 5.18. Default: /run/vip. */
  readonly recordDir?: string;
  /** For the indices of new links. Default: createRandom(). */
  readonly random?: Random;
}

/** The kernel of this network namespace. Opens one netlink socket at once, others when they are needed. */
export function createKernel(deps: KernelDeps): Kernel {
  const native = deps.native ?? createNative();
  return new LinuxKernel({ native, ...deps }, NetlinkRequests.open({ native, log: deps.log }));
}

class LinuxKernel implements Kernel {
  readonly #native: Native;
  readonly #deps: KernelDeps;
  readonly #requests: NetlinkRequests;
  readonly #open = new Set<AsyncDisposable>();
  readonly #dumps = new Set<Promise<unknown>>();
  /** A hundred links that come or go at once are not a hundred lists of all links, and the kernel has nobody else in while it lists. */
  readonly #links = new SharedLook(async () => this.#dumpLinks());
  readonly #stop = new AbortController();
  readonly #marks: AddressMarks;
  #closed: Promise<void> | undefined;

  constructor(deps: KernelDeps & { readonly native: Native }, requests: NetlinkRequests) {
    this.#native = deps.native;
    this.#deps = deps;
    this.#requests = requests;
    this.#marks = new AddressMarks(deps.markMode ?? "auto", new AddressRecord({ log: deps.log, dir: deps.recordDir ?? RECORD_DIR }));
  }

  async links(signal: AbortSignal): Promise<readonly Link[]> {
    signal.throwIfAborted();
    const links = await this.#links.get();
    signal.throwIfAborted();
    return links;
  }

  async addVlan({ vlan, ...link }: VlanPut, signal: AbortSignal): Promise<void> {
    await this.#addLink({ ...link, kind: { kind: "vlan", vlan } }, signal);
  }

  async addMacvlan({ mac, rpFilter, ...link }: MacvlanPut, signal: AbortSignal): Promise<void> {
    const kind = { kind: "macvlan", mode: MACVLAN_MODE_PRIVATE, mac } as const;
    const beforeUp = (): boolean => refuseRouters(link.name);
    await this.#addLink({ ...link, kind, conf: { rpFilter, arpIgnore: 1, arpAnnounce: 2 }, beforeUp }, signal);
  }

  refuseRouters(name: string): boolean {
    return refuseRouters(name);
  }

  async setLinkUp(linkIndex: number, signal: AbortSignal): Promise<void> {
    await setLinkUp(this.#requests, linkIndex, signal);
  }

  async arpConf(name: string, signal: AbortSignal): Promise<{ readonly own: ArpConf; readonly all: ArpConf }> {
    signal.throwIfAborted();
    return { own: readArpConf(name), all: readArpConf("all") };
  }

  async setArpConf(linkIndex: number, conf: ArpConf, signal: AbortSignal): Promise<void> {
    await setArpConf(this.#requests, linkIndex, conf, signal);
  }

  async removeLink(linkIndex: number, signal: AbortSignal): Promise<boolean> {
    return removeLink(this.#requests, linkIndex, signal);
  }

  async addresses(signal: AbortSignal): Promise<readonly LinkAddress[]> {
    return this.#dumpFamilies(
      addressDump,
      (message) => [this.#linkAddress(decodeAddress(message.payload))],
      { answer: RTM_NEWADDR, familyOf: ({ address }) => familyOf(address), signal },
    );
  }

  async routes(signal: AbortSignal): Promise<readonly Route[]> {
    return this.#dumpFamilies(
      (family) => ({ type: RTM_GETROUTE, flags: 0, payload: () => encodeRouteDump(family), tried: `list IPv${family} routes` }),
      (message) => routesFrom(decodeRoute(message.payload)),
      { answer: RTM_NEWROUTE, familyOf: ({ family }) => family, signal },
    );
  }

  async putAddress(address: AddressPut, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    this.#marks.note(address);
    return this.#putInTime(address, true, signal);
  }

  async prolongAddress(address: AddressPut, signal: AbortSignal): Promise<number> {
    return this.#putInTime(address, false, signal);
  }

  async #putInTime(address: AddressPut, look: boolean, signal: AbortSignal): Promise<number> {
    const put = await this.#put({ address, allowance: 0, look }, signal);
    return put.late > 0 ? this.#shorten(address, put.late) : put.endsAt;
  }

  async removeAddress(id: AddressId, signal: AbortSignal): Promise<boolean> {
    const tried = `remove ${id.address}/${id.prefix} from link ${id.linkIndex}`;
    const payload = (): Uint8Array => {
      this.#marks.forget(id);
      return encodeAddressRemoval(id);
    };
    try {
      await this.#requests.request({ type: RTM_DELADDR, flags: 0, payload, tried }, signal);
      return true;
    } catch (error) {
      if (error instanceof KernelError && ABSENT.includes(error.code)) return false;
      throw error;
    } finally {
      this.#marks.flush();
    }
  }

  listen(listener: (event: KernelEvent) => void): AsyncDisposable {
    this.#throwIfClosed("listen");
    const { log, eventBuffer } = this.#deps;
    const deps = { native: this.#native, log, ...(eventBuffer === undefined ? {} : { receiveBuffer: eventBuffer }) };
    const events = NetlinkEvents.open(deps, {
      onMessage: (message) => {
        // Every prolonged lifetime comes back as an event: a thousand a second or more, and nobody wants them.
        const own = message.type === RTM_NEWADDR && message.portId !== 0 && message.portId === this.#requests.portId;
        if (own) events.ignorePutsBy(message.portId);
        const event = own ? undefined : eventFrom(message, (address) => this.#marks.markOf(address));
        if (event !== undefined) listener(event);
      },
      onOverrun: () => listener({ type: "overrun" }),
    });
    return this.#own(events);
  }

  openArp(linkIndex: number, onFrame: OnFrame | undefined): FrameSocket {
    return this.#openPacket({ linkIndex, kind: "arp" }, onFrame);
  }

  openNd(linkIndex: number, onFrame: OnFrame | undefined): FrameSocket {
    return this.#openPacket({ linkIndex, kind: "nd" }, onFrame);
  }

  openDhcp(linkIndex: number, onFrame: OnFrame | undefined): FrameSocket {
    return this.#openPacket({ linkIndex, kind: "dhcp" }, onFrame);
  }

  /** Closes what is open, also event listeners and packet sockets that were given out; waits for what is on its way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#stop.abort(new KernelError("use the kernel", ECANCELED, "it is closed"));
    const closing = [this.#requests, ...this.#open].map(async (resource) => resource[Symbol.asyncDispose]());
    await Promise.allSettled(this.#dumps);
    await Promise.all(closing);
  }

  async #addLink(link: LinkPut, signal: AbortSignal): Promise<void> {
    const { random = createRandom() } = this.#deps;
    const taken = new Set((await this.links(signal)).map(({ index }) => index));
    await addLink({ requests: this.#requests, random, taken }, link, signal);
  }

  /**
   * One write. The lifetime counts from when the kernel executes the request, which it
   * may do only after a wait: `late` is by how much the lifetime may end after `validUntil`, in the worst case.
   */
  async #put(plan: PutPlan, signal: AbortSignal): Promise<{ readonly endsAt: number; readonly late: number }> {
    const { clock } = this.#deps;
    const { validUntil } = plan.address;
    let encodedAt = 0;
    let seconds = 0;
    const request = putRequest(plan, () => {
      encodedAt = clock.now();
      seconds = Math.floor((validUntil - encodedAt - plan.allowance) / 1000);
      return { seconds, ...this.#marks.written(plan.address) };
    });
    const echoes = plan.look ? await this.#putAndSee(request, plan.address, signal) : await this.#requests.request(request, signal);
    if (echoes.some((echo) => this.#isOther(echo, plan.address))) {
      // REPLACE leaves what is wrong as it was. One batch, so the address is gone for microseconds only.
      await Promise.all([this.removeAddress(plan.address, signal), this.#requests.request(request, signal)]);
    }
    const late = seconds === Infinity ? 0 : clock.now() + seconds * 1000 - validUntil;
    return { endsAt: encodedAt + seconds * 1000, late };
  }

  /** Puts an address whose write was slow again, with a lifetime that allows for as slow a write; removes it where nothing is left of its time. */
  async #shorten(address: AddressPut, late: number): Promise<number> {
    // Not to be aborted: what is in the kernel now must not stay.
    const { signal } = new AbortController();
    let allowance = late;
    try {
      for (;;) {
        const put = await this.#put({ address, allowance, look: false }, signal);
        if (put.late <= 0) return put.endsAt;
        allowance += put.late;
      }
    } catch (error) {
      await this.removeAddress(address, signal);
      throw error;
    }
  }

  /** The answers have the address as it is now. The kernel echoes IPv4 only; for IPv6 the same batch asks. */
  async #putAndSee(request: NetlinkRequest, address: AddressPut, signal: AbortSignal): Promise<readonly NetlinkMessage[]> {
    if (familyOf(address.address) === 4) return this.#requests.request(request, signal);
    const [put, seen] = await Promise.allSettled([this.#requests.request(request, signal), this.#requests.request(getRequest(address), signal)]);
    if (put.status === "rejected") throw put.reason;
    // Without an answer it may be gone again already, which an event tells.
    return seen.status === "fulfilled" ? seen.value : [];
  }

  /**
   * Whether the kernel kept something that a put does not change: scope and label of an IPv4 address; that someone's duplicate address detection of an
   * IPv6 address is not over or failed, so that the kernel does not answer for it.
   */
  #isOther(echo: NetlinkMessage, wanted: AddressPut): boolean {
    if (echo.type !== RTM_NEWADDR) return false;
    const shown = decodeAddress(echo.payload);
    this.#marks.learn(wanted, shown);
    if (familyOf(wanted.address) === 6) return (shown.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) !== 0;
    const label = this.#marks.label(wanted);
    return shown.scope !== scopeNumber(wanted.scope) || (label !== undefined && shown.label !== label);
  }

  #linkAddress(message: AddressMessage): LinkAddress {
    return linkAddressFrom(message, this.#marks.markOf(message));
  }

  #throwIfClosed(tried: string): void {
    if (this.#closed !== undefined) throw new KernelError(tried, ECANCELED, "the kernel is closed");
  }

  #openPacket(id: PacketId, onFrame: OnFrame | undefined): FrameSocket {
    this.#throwIfClosed(`open an ${id.kind} socket on link ${id.linkIndex}`);
    const socket = PacketSocket.open({ native: this.#native, log: this.#deps.log }, id, onFrame);
    const owned = this.#own(socket);
    return { send: (frame) => socket.send(frame), [Symbol.asyncDispose]: async () => owned[Symbol.asyncDispose]() };
  }

  /** Disposed with the kernel, or before it by its user. */
  #own(resource: AsyncDisposable): AsyncDisposable {
    this.#open.add(resource);
    return {
      [Symbol.asyncDispose]: async () => {
        await resource[Symbol.asyncDispose]();
        this.#open.delete(resource);
      },
    };
  }

  async #dumpLinks(): Promise<readonly Link[]> {
    const request = { type: RTM_GETLINK, flags: 0, payload: encodeLinkDump, tried: "list links" };
    const messages = await this.#dump(request, RTM_NEWLINK, this.#stop.signal);
    return messages.flatMap((message) => linkFrom(decodeLink(message.payload)) ?? []);
  }

  async #dump(request: NetlinkRequest, answer: number, signal: AbortSignal): Promise<readonly NetlinkMessage[]> {
    this.#throwIfClosed(request.tried);
    const running = dump(this.#native, request, AbortSignal.any([signal, this.#stop.signal]));
    this.#dumps.add(running);
    try {
      return (await running).filter(({ type }) => type === answer);
    } finally {
      this.#dumps.delete(running);
    }
  }

  /** A kernel without IPv6 answers the IPv6 question with everything it has: what is of another family is left out. */
  async #dumpFamilies<T>(
    ask: (family: Family) => NetlinkRequest,
    decode: (message: NetlinkMessage) => readonly T[],
    { answer, familyOf: family, signal }: { answer: number; familyOf: (value: T) => Family; signal: AbortSignal },
  ): Promise<readonly T[]> {
    const lists = await Promise.all(
      FAMILIES.map(async (wanted) => {
        const messages = await this.#dump(ask(wanted), answer, signal);
        return messages.flatMap(decode).filter((value) => family(value) === wanted);
      }),
    );
    return lists.flat();
  }
}
