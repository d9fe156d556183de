import { messageOf } from "../lib/errors.js";
import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import { Drive } from "../machine/drive.js";
import { gatewayStep } from "../machine/upnp-gateway.js";
import { GATEWAY_TIMING, gatewayStart, type Candidate, type Gateway, type GatewayAction, type GatewayCheck, type GatewayEvent, type GatewayState } from "../machine/upnp-gateway-state.js";
import type { Http } from "../ports/http.js";
import type { Log } from "../ports/log.js";
import type { Ssdp, SsdpPlace, SsdpSearcher } from "../ports/ssdp.js";
import { DecodeError } from "../wire/reader.js";
import { decodeSsdp, encodeSearch, IGD_SEARCH_TARGETS, SSDP_GROUP, SSDP_GROUP_LINK_LOCAL, type SsdpMessage } from "../wire/ssdp.js";
import { sameHost } from "../wire/ssdp-description.js";
import type { IgdDeps } from "./upnp-igd.js";
import { RouterError, type Router, type RouterClient, type RouterDeps } from "./upnp-router.js";

/** What is needed to find gateways by UPnP. */
export interface IgdLinkDeps extends RouterDeps {
  readonly ssdp: Ssdp;
  readonly http: Http;
  /** Next hops of this node: of several gateways one of them is taken. */
  nextHops(): ReadonlySet<IpAddress>;
}

/** What is looked for: a router that translates, or one that only filters. */
export interface IgdKind {
  /** Throws RouterError. */
  describe(deps: IgdDeps, candidate: Candidate, signal: AbortSignal): Promise<Gateway>;
  /** Throws RouterError. */
  check(deps: IgdDeps, gateway: Gateway, signal: AbortSignal): Promise<GatewayCheck>;
  router(gateway: Gateway, http: Http): Router;
}

/**
 * Datagrams that are looked at in a second, of next hops and of all others, answers and announcements, each by themselves: whoever floods the link leaves the router heard. A
 * search has some ten answers, for a device answers for each target.
 */
const DATAGRAMS = 60;
const MAX_WAIT_SECONDS = 1;

/** The gateway of one link: searched for, checked, followed through its restarts. */
export class LinkGateway implements AsyncDisposable {
  readonly #drive: Drive<GatewayState, GatewayEvent, GatewayAction>;
  readonly #closing = new AbortController();
  readonly #log: Log;
  #searcher: SsdpSearcher | undefined;
  #listener: AsyncDisposable | undefined;
  #deaf = false;
  /** What is opened and closed, one after the other. */
  #sockets: Promise<void> = Promise.resolve();
  #second = 0;
  /** Datagrams of this second, by what they are counted with. */
  readonly #datagrams = new Map<string, number>();
  #searching = false;
  #gateway: Gateway | undefined;
  #router: Router | undefined;

  constructor(
    private readonly at: { readonly link: string; readonly family: Family; readonly kind: IgdKind },
    private readonly client: RouterClient,
    private readonly deps: IgdLinkDeps,
  ) {
    const { clock, random } = deps;
    this.#log = deps.log.with({ link: at.link });
    this.#drive = new Drive(
      {
        start: gatewayStart(clock.now()),
        step: (state, event: GatewayEvent, now) => gatewayStep(state, event, now, GATEWAY_TIMING),
        tick: (): GatewayEvent => ({ type: "tick", random: random.float() }),
        act: (action: GatewayAction) => this.#act(action),
        moved: (state: GatewayState) => this.#moved(state),
      },
      clock,
    );
  }

  /** Undefined where none answers. */
  get router(): Router | undefined {
    return this.#router;
  }

  /** Whether a search has ended, so that `router` says something also where it is undefined. */
  get searched(): boolean {
    return this.#drive.state.searched;
  }

  /** Why the first router that answered was not taken. */
  get reason(): string | undefined {
    return this.#drive.state.reason;
  }

  /** Begins the first search. */
  start(): void {
    this.#drive.send({ type: "tick", random: this.deps.random.float() });
  }

  /** A request to the gateway had no answer. */
  doubt(): void {
    this.#drive.send({ type: "doubt", random: this.deps.random.float() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#drive.stop();
    this.#closing.abort(new DOMException("closing", "AbortError"));
    await this.#inTurn(async () => {
      await this.#searcher?.[Symbol.asyncDispose]();
      await this.#listener?.[Symbol.asyncDispose]();
      this.#searcher = undefined;
      this.#listener = undefined;
    });
  }

  #act(action: GatewayAction): void {
    switch (action.type) {
      case "search":
        void this.#inTurn(async () => this.#search());
        return;
      case "describe":
        void this.#answer(action.id, async (signal) => ({ type: "described", gateway: await this.#described(action.candidate, signal) }));
        return;
      case "check":
        void this.#answer(action.id, async (signal) => {
          const { gateway } = this.#drive.state;
          if (gateway === undefined) throw new Error("no gateway");
          return { type: "checked", check: await this.at.kind.check(this.#igd(), gateway, signal) };
        });
        return;
      case "restarted":
        this.#log.info("gateway restarted, or has forgotten: mappings are asked for again", { gateway: this.#gateway?.name });
        this.client.restarted();
    }
  }

  async #described(candidate: Candidate, signal: AbortSignal): Promise<Gateway> {
    const gateway = await this.at.kind.describe(this.#igd(), candidate, signal);
    this.#log.info("gateway found", { gateway: gateway.name, location: gateway.location, service: gateway.service.serviceType, external: gateway.externalAddress });
    return gateway;
  }

  #igd(): IgdDeps {
    return { http: this.deps.http, from: this.client.source() };
  }

  async #answer(id: number, ask: (signal: AbortSignal) => Promise<{ readonly type: "described" | "checked" } & object>): Promise<void> {
    const random = this.deps.random.float();
    try {
      const answer = await ask(this.#closing.signal);
      this.#drive.send({ ...answer, id, random } as GatewayEvent);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      if (error instanceof RouterError) this.deps.refused(error.code);
      this.#log.warn("gateway not understood", { error: messageOf(error) });
      this.#drive.send({ type: "failed", id, reason: error instanceof Error ? error.message : String(error), random });
    }
  }

  #moved({ search, gateway }: GatewayState): void {
    if (gateway !== this.#gateway) this.#router = gateway && this.at.kind.router(gateway, this.deps.http);
    this.#gateway = gateway;
    const searching = search !== undefined;
    if (this.#searching && !searching) void this.#inTurn(async () => this.#endSearch());
    this.#searching = searching;
    this.client.changed();
  }

  async #endSearch(): Promise<void> {
    await this.#searcher?.[Symbol.asyncDispose]();
    this.#searcher = undefined;
  }

  /** Without its answers there is no gateway, and the next search comes by itself. */
  async #search(): Promise<void> {
    const { signal } = this.#closing;
    const address = this.client.source();
    if (address === undefined || signal.aborted) return;
    const place = { address, iface: this.at.link };
    const received = (bytes: Uint8Array, from: IpAddress): void => this.#received(bytes, from, "answers");
    try {
      if (this.#listener === undefined) await this.#listen(place);
      this.#searcher ??= await this.deps.ssdp.searcher(place, received, signal);
      const hosts: readonly (IpAddress | "group")[] = ["group", ...[...this.deps.nextHops()].filter((host) => familyOf(host) === this.at.family)];
      for (const target of IGD_SEARCH_TARGETS) {
        const bytes = encodeSearch({ target, host: this.at.family === 4 ? SSDP_GROUP : `[${SSDP_GROUP_LINK_LOCAL}]`, maxWaitSeconds: MAX_WAIT_SECONDS });
        // A next hop is asked by itself, too: multicast is what switches and firewalls lose.
        for (const host of hosts) await this.#searcher.send(bytes, host, signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#log.warn("gateway not searched for, tried again", { error: messageOf(error) });
    }
  }

  async #listen(place: SsdpPlace): Promise<void> {
    try {
      this.#listener = await this.deps.ssdp.listen(place, (bytes, from) => this.#received(bytes, from, "announcements"), this.#closing.signal);
      this.#deaf = false;
    } catch (error) {
      // The checks find a restart, too, only later.
      if (!this.#deaf && !this.#closing.signal.aborted) this.#log.warn("announcements of gateways are not heard", { error: messageOf(error) });
      this.#deaf = true;
    }
  }

  #received(bytes: Uint8Array, from: IpAddress, channel: "answers" | "announcements"): void {
    if (this.#closing.signal.aborted) return;
    const preferred = this.deps.nextHops().has(from);
    if (this.#isTooMany(`${channel} ${preferred}`)) {
      this.deps.refused("flood");
      return;
    }
    const message = this.#decoded(bytes);
    // What is sent to all hosts answers nobody.
    if (message === undefined || (message.kind === "answer") !== (channel === "answers")) return;
    if (message.location !== undefined && !this.#mayDescribe(message.location, from)) {
      this.deps.refused("foreignLocation");
      return;
    }
    this.#drive.send({ type: "heard", message, host: from, preferred, random: this.deps.random.float() });
  }

  #isTooMany(kind: string): boolean {
    const second = Math.floor(this.deps.clock.now() / 1000);
    if (second !== this.#second) this.#datagrams.clear();
    this.#second = second;
    const count = (this.#datagrams.get(kind) ?? 0) + 1;
    this.#datagrams.set(kind, count);
    return count > DATAGRAMS;
  }

  /** A router answers for itself. In IPv6 one that is known may announce itself from another of its addresses. */
  #mayDescribe(location: string, from: IpAddress): boolean {
    if (this.at.family === 4) return sameHost(location, `http://${from}/`);
    return sameHost(location, `http://[${from}]/`) || location === this.#gateway?.location;
  }

  #decoded(bytes: Uint8Array): SsdpMessage | undefined {
    // The searches of others are none of our business.
    if (bytes[0] === 0x4d && bytes[1] === 0x2d) return undefined;
    try {
      return decodeSsdp(bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.deps.refused("datagram");
      return undefined;
    }
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    this.#sockets = this.#sockets.then(work);
    await this.#sockets;
  }
}
