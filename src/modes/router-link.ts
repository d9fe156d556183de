import { assertNever, messageOf } from "../lib/errors.js";
import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import { Drive } from "../machine/drive.js";
import { routerDiscoveryStart, routerDiscoveryStep, type RouterDiscoveryAction, type RouterDiscoveryEvent, type RouterDiscoveryState } from "../machine/router-discovery.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { RouterLinks, RouterMessageIn, RouterSocket } from "../ports/router-links.js";
import { ALL_NODES } from "../wire/ndp.js";
import { ALL_ROUTERS, decodeRouterMessage, encodeRouterMessage, ND_ROUTER_ADVERT, ND_ROUTER_SOLICIT, type RouterMessage } from "../wire/ndp-router.js";
import { DecodeError } from "../wire/reader.js";
import type { BgpDiscoveryReport } from "./bgp-report.js";

/** A socket that cannot be opened is tried again, ms: soon while the address may be under duplicate address detection, which takes a second or two. */
const TENTATIVE_MS = 500;
const RETRY_MS = 10_000;
/** Another router that was heard within this is told of, ms; FRR advertises every 10 s. */
const RECENT_MS = 60_000;

/** A link as it is now. */
export interface LinkState {
  readonly index: number;
  /** Up, and with carrier. */
  readonly up: boolean;
  readonly mac: MacAddress | undefined;
  /** Those of this node on it. */
  readonly linkLocals: readonly IpAddress[];
}

export interface RouterLinkDeps {
  readonly routerLinks: RouterLinks;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** Undefined where there is no such link. */
  link(name: string): LinkState | undefined;
  /** The address of a router is another one. Never called from within a call from outside. */
  found(): void;
  /** A report has changed. */
  changed(): void;
}

type Input = RouterDiscoveryEvent extends infer E ? (E extends RouterDiscoveryEvent ? Omit<E, "random"> : never) : never;

/** Router Discovery on one link: the machine, its socket, and what the link is like. */
export class RouterLink implements AsyncDisposable {
  readonly #name: string;
  readonly #deps: RouterLinkDeps;
  readonly #drive: Drive<RouterDiscoveryState, RouterDiscoveryEvent, RouterDiscoveryAction>;
  #socket: { readonly index: number; readonly address: IpAddress; readonly socket: RouterSocket } | undefined;
  #index: number | undefined;
  #openProblem: string | undefined;
  #sendProblem: string | undefined;
  #retry: Timer | undefined;
  #soon: Timer | undefined;
  #told: IpAddress | undefined;
  #ended = false;
  #closing: Promise<void> = Promise.resolve();

  constructor(name: string, deps: RouterLinkDeps) {
    this.#name = name;
    this.#deps = { ...deps, log: deps.log.with({ link: name }) };
    this.#drive = new Drive<RouterDiscoveryState, RouterDiscoveryEvent, RouterDiscoveryAction>(
      {
        start: routerDiscoveryStart(deps.clock.now()),
        step: (state, event, now) => routerDiscoveryStep(state, event, now),
        tick: () => ({ type: "tick", random: deps.random.float() }),
        act: (action) => this.#act(action),
        moved: ({ chosen }) => this.#moved(chosen),
      },
      deps.clock,
    );
    this.refresh();
  }

  /** Of the router; undefined while none was heard. */
  get address(): IpAddress | undefined {
    return this.#drive.state.chosen;
  }

  /** Looks at the link anew. */
  refresh(): void {
    if (this.#ended) return;
    const link = this.#deps.link(this.#name);
    if (link !== undefined && this.#index !== undefined && link.index !== this.#index) this.#send({ type: "replaced" });
    this.#index = link?.index ?? this.#index;
    this.#open(link);
    this.#send({ type: "link", up: this.#socket !== undefined && link?.up === true });
  }

  session(up: boolean): void {
    this.#send({ type: "session", up });
  }

  report(): BgpDiscoveryReport {
    const { chosen, routers, since } = this.#drive.state;
    const router = routers.find(({ address }) => address === chosen);
    return { since, address: chosen, heardAt: router?.heardAt, problem: this.#problem() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    for (const timer of [this.#retry, this.#soon]) timer?.cancel();
    this.#drive.stop();
    this.#close();
    await this.#closing;
  }

  #problem(): string | undefined {
    const { chosen, chosenAt, routers } = this.#drive.state;
    const link = this.#deps.link(this.#name);
    if (link === undefined) return `there is no link ${this.#name}`;
    if (!link.up) return `${this.#name} is down, or has no carrier`;
    const mute = this.#openProblem ?? this.#sendProblem;
    if (mute !== undefined) return mute;
    if (chosen === undefined) return `no Router Advertisement heard on ${this.#name}`;
    // One that moved is no longer heard where it was.
    const since = Math.max(chosenAt, this.#deps.clock.now() - RECENT_MS);
    const others = routers.filter(({ address, heardAt }) => address !== chosen && heardAt > since);
    return others.length === 0 ? undefined : `other routers are heard on ${this.#name}, too (${others.map(({ address }) => address).join(", ")}): expected one, the peer is ${chosen}`;
  }

  /** The socket that fits the link as it is. */
  #open(link: LinkState | undefined): void {
    const [address] = link?.linkLocals ?? [];
    if (this.#socket !== undefined && this.#socket.index === link?.index && link.linkLocals.includes(this.#socket.address)) return;
    this.#close();
    this.#retry?.cancel();
    this.#openProblem = undefined;
    this.#sendProblem = undefined;
    if (link === undefined || !link.up) return;
    if (address === undefined) {
      this.#openProblem = `${this.#name} has no link-local address: expected IPv6 to be on there (sysctl disable_ipv6=0)`;
      return;
    }
    try {
      const place = { iface: this.#name, linkIndex: link.index, address };
      this.#socket = { index: link.index, address, socket: this.#deps.routerLinks.open(place, (message) => this.#heard(message)) };
    } catch (error) {
      this.#openProblem = messageOf(error);
      const tentative = error instanceof Error && "code" in error && error.code === "EADDRNOTAVAIL";
      this.#deps.log.debug("routers cannot be heard, tried again", { error: this.#openProblem });
      this.#retry = this.#deps.clock.after(tentative ? TENTATIVE_MS : RETRY_MS, () => this.refresh());
    }
  }

  #close(): void {
    const open = this.#socket?.socket;
    this.#socket = undefined;
    if (open === undefined) return;
    const before = this.#closing;
    this.#closing = (async () => {
      await Promise.all([before, open[Symbol.asyncDispose]()]);
    })();
  }

  #heard(packet: RouterMessageIn): void {
    const message = this.#decoded(packet);
    if (message === undefined) return;
    const here = this.#deps.link(this.#name)?.linkLocals.includes(packet.source) === true;
    if (message.type === ND_ROUTER_SOLICIT) {
      if (!here) this.#send({ type: "solicited" });
    } else if (here) this.#send({ type: "advertisedHere", lifetimeSeconds: message.lifetimeSeconds });
    else this.#send({ type: "advertised", by: { address: packet.source, mac: message.sourceMac } });
  }

  /** Undefined for what breaks a rule of RFC 4861: anybody on the link can send it, all the time. */
  #decoded(packet: RouterMessageIn): RouterMessage | undefined {
    try {
      return decodeRouterMessage(packet);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#deps.log.debug("router message dropped", { from: packet.source, error: error.message });
      return undefined;
    }
  }

  #act(action: RouterDiscoveryAction): void {
    const sourceMac = this.#deps.link(this.#name)?.mac;
    switch (action.type) {
      case "solicit":
        this.#transmit(encodeRouterMessage({ type: ND_ROUTER_SOLICIT, sourceMac }), ALL_ROUTERS);
        return;
      case "advertise":
        // A router lifetime of 0: nobody takes this node for a default router.
        this.#transmit(encodeRouterMessage({ type: ND_ROUTER_ADVERT, curHopLimit: 0, managed: false, other: false, lifetimeSeconds: 0, reachableMs: 0, retransMs: 0, sourceMac }), ALL_NODES);
        return;
      default:
        assertNever(action);
    }
  }

  #transmit(message: Uint8Array, to: IpAddress): void {
    const before = this.#sendProblem;
    try {
      this.#socket?.socket.send(message, to);
      this.#sendProblem = undefined;
    } catch (error) {
      this.#sendProblem = messageOf(error);
    }
    if (this.#sendProblem === before) return;
    if (this.#sendProblem !== undefined) this.#deps.log.warn("router discovery cannot send", { error: this.#sendProblem });
    this.#deps.changed();
  }

  #moved(chosen: IpAddress | undefined): void {
    if (chosen === this.#told) return;
    this.#deps.log.info("router of an unnumbered peer", { address: chosen ?? "none", before: this.#told ?? "none" });
    this.#told = chosen;
    // Whoever is told ends sessions, and it may be one of these that tells the machine now.
    this.#soon ??= this.#deps.clock.after(0, () => {
      this.#soon = undefined;
      this.#deps.found();
    });
  }

  #send(event: Input): void {
    this.#drive.send({ ...event, random: this.#deps.random.float() });
  }
}
