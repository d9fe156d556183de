import type { BgpPeer } from "../lib/bgp-peer.js";
import { assertNever } from "../lib/errors.js";
import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import type { BgpSessionConfig, Negotiated, RouteMap } from "../machine/bgp-session-config.js";
import { sentCount } from "../machine/bgp-session-out.js";
import { ReceivedPrefixes } from "../machine/bgp-session-received.js";
import { bgpSessionStart, bgpStateName, establishedOf, type BgpSessionAction, type BgpSessionEvent, type BgpSessionState, type Cease, type ConnectionId } from "../machine/bgp-session-state.js";
import { bgpSessionStep } from "../machine/bgp-session.js";
import { Drive } from "../machine/drive.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Accepted, Net, TcpConnection, TcpEvents } from "../ports/net.js";
import type { Random } from "../ports/random.js";
import { isUpdate, MAX_EXTENDED_MESSAGE } from "../wire/bgp/message.js";
import { splitStream } from "../wire/bgp/stream.js";
import { chooseNextHop } from "./bgp-next-hop.js";
import type { BgpPeerCounters, BgpPeerReport, BgpSentRoute, NodeAddress } from "./bgp-report.js";
import type { Leaving, Rib } from "./bgp-rib.js";
import { dialTarget, isInternal, peerProblem, sessionConfig } from "./bgp-session-options.js";
import type { RouteKey } from "../core/model.js";

export interface PeeringDeps {
  readonly net: Net;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  nodeAddresses(): readonly NodeAddress[];
  /** What there is to announce now; undefined: not yet known in full, and this peer has to wait for it. */
  rib(peer: BgpPeer): Rib | undefined;
  /** Routes of this peer that are about to be withdrawn. */
  leaving(peer: BgpPeer): Leaving;
  changed(): void;
}

/** What is told of a peer from before. */
export type PeeringPast = Pick<BgpPeerReport, "counters" | "lastEnd">;

/** Routes of a peer that are remembered for counting. */
const RECEIVED_LIMIT = 10_000;
const FAMILIES: readonly Family[] = [4, 6];

type SessionInput = BgpSessionEvent extends infer E ? (E extends BgpSessionEvent ? Omit<E, "random"> : never) : never;

/** The session with one peer: the machine, its connections, and what is counted. */
export class Peering {
  #peer: BgpPeer;
  readonly #deps: PeeringDeps;
  readonly #past: PeeringPast | undefined;
  readonly #drive: Drive<BgpSessionState, BgpSessionEvent, BgpSessionAction>;
  readonly #connections = new Map<ConnectionId, TcpConnection>();
  #config: BgpSessionConfig | undefined;
  #problem: string | undefined;
  #hopProblems: readonly string[] = [];
  #tooLarge = 0;
  #received = new ReceivedPrefixes(RECEIVED_LIMIT);
  #counters: BgpPeerCounters;
  #name: BgpPeerReport["state"] = "Idle";
  #since: number;
  #incoming = 0;
  #told: string | undefined;

  /** `past`: of the session that this one follows, where it is still the same peer. */
  constructor(peer: BgpPeer, deps: PeeringDeps, past?: PeeringPast) {
    this.#peer = peer;
    this.#past = past;
    this.#counters = past?.counters ?? { updatesSent: 0, updatesReceived: 0, established: 0, flaps: 0 };
    this.#deps = { ...deps, log: deps.log.with({ peer: peer.name }) };
    this.#since = deps.clock.now();
    this.#drive = new Drive<BgpSessionState, BgpSessionEvent, BgpSessionAction>(
      {
        start: bgpSessionStart(),
        step: (state, event, now) => bgpSessionStep(state, event, now, this.#session()),
        tick: () => ({ type: "tick", random: deps.random.float() }),
        act: (action) => this.#act(action),
        moved: (state) => this.#moved(state),
      },
      deps.clock,
    );
  }

  get peer(): BgpPeer {
    return this.#peer;
  }

  get established(): boolean {
    return this.#name === "Established";
  }

  /** The session can end in a way that leaves the peer with the routes (RFC 4724); BFD would tell it that they lead nowhere. */
  get keepsRoutes(): boolean {
    return this.#peer.bfd === undefined && establishedOf(this.#drive.state)?.negotiated?.gracefulRestart !== undefined;
  }

  /** Everything that the peer is to have is with the kernel. */
  get flushed(): boolean {
    const up = establishedOf(this.#drive.state);
    return up === undefined || (up.flushSince === undefined && up.out.queue.length === 0);
  }

  /** Begins, or says in `problem` why it cannot; again is fine. `restarting`: see BgpSessionState. */
  start(restarting: boolean): void {
    if (this.#config !== undefined) return;
    const routerId = this.#peer.routerId ?? this.#deps.nodeAddresses().find(({ address }) => familyOf(address) === 4)?.address;
    const before = this.#problem;
    this.#problem = peerProblem(this.#peer) ?? (routerId === undefined ? "no router ID: this node has no IPv4 address, expected a router ID in the configuration" : undefined);
    if (this.#problem !== undefined || routerId === undefined) {
      if (this.#problem !== before) this.#deps.log.warn("no session yet", { problem: this.#problem });
      return;
    }
    this.#config = sessionConfig(this.#peer, routerId);
    this.#send({ type: "start", restarting });
  }

  /** The same session with other things to say about routes. */
  revise(peer: BgpPeer): void {
    this.#peer = peer;
    this.announce();
  }

  /** The peer has dialled. */
  accept(accepted: Accepted): void {
    if (this.#config === undefined) return;
    this.#incoming += 1;
    const id = `in-${this.#incoming}`;
    this.#connections.set(id, accepted.take(this.#events(id)));
    this.#send({ type: "accepted", id });
  }

  bfdDown(): void {
    this.#send({ type: "bfdDown" });
  }

  /** Tells the peer what has changed in the routes, in next hops, or in the policy. */
  announce(): void {
    const up = establishedOf(this.#drive.state);
    const rib = this.#deps.rib(this.#peer);
    if (up?.negotiated === undefined || rib === undefined) return;
    const { negotiated } = up;
    const local = this.#connections.get(up.id)?.local?.address;
    const problems: string[] = [];
    const maps = negotiated.families.map((family): readonly [Family, RouteMap] => [family, this.#routes({ family, local, negotiated, rib, problems })]);
    for (const family of FAMILIES) {
      if (rib.count(family) > 0 && !negotiated.families.includes(family)) problems.push(`the peer takes no IPv${family} routes`);
    }
    if (problems.join() !== this.#hopProblems.join()) {
      for (const problem of problems) this.#deps.log.warn("routes not announced", { problem });
      this.#hopProblems = problems;
      this.#deps.changed();
    }
    const before = this.#drive.state.routes;
    if (maps.length === before.size && maps.every(([family, map]) => before.get(family) === map)) return;
    this.#send({ type: "routes", routes: new Map(maps) });
  }

  /** Ends the session; nothing follows. */
  stop(cease: Cease | "abandon"): void {
    if (this.#config !== undefined) this.#send(cease === "abandon" ? { type: "abandon" } : { type: "stop", ...cease });
    this.#drive.stop();
  }

  report(): Omit<BgpPeerReport, "bfd" | "rival" | "discovery"> {
    const { state } = this.#drive;
    const up = establishedOf(state);
    const connection = up === undefined ? undefined : this.#connections.get(up.id);
    const { password, ...peer } = this.#peer;
    const tooLarge = this.#tooLarge === 0 ? [] : [`${this.#tooLarge} routes have attributes that do not fit into a message`];
    const problems = [...(this.#problem === undefined ? [] : [this.#problem]), ...this.#hopProblems, ...tooLarge];
    return {
      peer: { ...peer, hasPassword: password !== undefined },
      state: this.#name,
      since: this.#since,
      lastEnd: state.lastEnd ?? this.#past?.lastEnd,
      negotiated: up?.negotiated,
      local: connection?.local,
      remote: connection?.remote,
      sent: { 4: up === undefined ? 0 : sentCount(up.out, 4), 6: up === undefined ? 0 : sentCount(up.out, 6) },
      received: this.#received.count(4) + this.#received.count(6) + this.#received.beyond,
      counters: this.#counters,
      problem: problems.length === 0 ? undefined : problems.join("; "),
    };
  }

  routes(): readonly BgpSentRoute[] {
    const families = establishedOf(this.#drive.state)?.out.families;
    return FAMILIES.flatMap((family) => [...(families?.get(family)?.has ?? [])].map(([key, { attributes }]) => ({ key: key as RouteKey, family, attributes })));
  }

  #routes({ family, local, negotiated, rib, problems }: RoutesInput): RouteMap {
    const { name, localAs, policy } = this.#peer;
    const { extendedNextHop, internal } = negotiated;
    const hop = chooseNextHop(family, {
      peer: this.#peer,
      local,
      extendedNextHop,
      addresses: this.#deps.nodeAddresses(),
      isVip: (address) => rib.isVip(address),
    });
    if (hop !== undefined) return rib.announced({ peer: name, localAs, internal, policy, family, hop, leaving: this.#deps.leaving(this.#peer) });
    if (rib.count(family) > 0) problems.push(`no IPv${family} next hop: this node has no usable IPv${family} address`);
    return NO_ROUTES;
  }

  #session(): BgpSessionConfig {
    if (this.#config === undefined) throw new Error(`peer ${this.#peer.name} was not started`);
    return this.#config;
  }

  #send(event: SessionInput): void {
    this.#drive.send({ ...event, random: this.#deps.random.float() });
  }

  #events(id: ConnectionId): TcpEvents {
    return {
      connected: () => this.#send({ type: "connected", id }),
      data: (octets) => this.#send({ type: "data", id, octets }),
      closed: (reason) => {
        this.#connections.delete(id);
        this.#send({ type: "closed", id, reason });
      },
    };
  }

  #act(action: BgpSessionAction): void {
    switch (action.type) {
      case "dial":
        this.#dial(action.id);
        return;
      case "send":
        this.#count({ updatesSent: splitStream(new Uint8Array(), action.octets, MAX_EXTENDED_MESSAGE).messages.filter((message) => isUpdate(message)).length });
        this.#connections.get(action.id)?.send(action.octets);
        return;
      case "flush":
        this.#connections.get(action.id)?.flush(() => this.#send({ type: "writable", id: action.id }));
        return;
      case "close":
        this.#connections.get(action.id)?.close(action.graceful);
        this.#connections.delete(action.id);
        return;
      case "established":
        this.#established(action.negotiated);
        return;
      case "ended":
        this.#ended(action.end);
        return;
      case "received":
        this.#count({ updatesReceived: 1 });
        this.#received.apply(action.changes);
        for (const { what, approach } of action.faults) this.#deps.log.debug("fault in an update", { what, approach });
        return;
      case "tooLarge":
        this.#tooLarge = action.count;
        this.#deps.log.warn("routes not announced", { problem: "their attributes do not fit into a message", family: action.family, count: action.count });
        return;
      default:
        assertNever(action);
    }
  }

  #dial(id: ConnectionId): void {
    const { address } = this.#peer;
    if (address === undefined) return;
    this.#connections.set(id, this.#deps.net.dial(dialTarget(this.#peer, address), this.#events(id)));
  }

  #established(negotiated: Negotiated): void {
    this.#count({ established: 1 });
    this.#received = new ReceivedPrefixes(RECEIVED_LIMIT);
    this.#tooLarge = 0;
    this.#told = undefined;
    const { peerAs, peerRouterId, holdMs } = negotiated;
    this.#deps.log.info("session up", { peerAs, peerRouterId, holdMs, internal: isInternal({ localAs: this.#peer.localAs, peerAs }) });
    this.announce();
  }

  #ended({ wasEstablished, by, reason }: NonNullable<BgpSessionState["lastEnd"]>): void {
    if (wasEstablished) {
      this.#count({ flaps: 1 });
      this.#received = new ReceivedPrefixes(RECEIVED_LIMIT);
      this.#hopProblems = [];
      this.#deps.log.warn("session ended", { by, reason });
    } else if (reason !== this.#told) {
      // A peer that stays away is told of once, and not with each dial.
      this.#deps.log.warn("no session", { by, reason });
    }
    this.#told = reason;
    this.#deps.changed();
  }

  #moved(state: BgpSessionState): void {
    const name = bgpStateName(state);
    if (name === this.#name) return;
    this.#name = name;
    this.#since = this.#deps.clock.now();
    this.#deps.changed();
  }

  #count(more: Partial<BgpPeerCounters>): void {
    const { updatesSent, updatesReceived, established, flaps } = this.#counters;
    this.#counters = {
      updatesSent: updatesSent + (more.updatesSent ?? 0),
      updatesReceived: updatesReceived + (more.updatesReceived ?? 0),
      established: established + (more.established ?? 0),
      flaps: flaps + (more.flaps ?? 0),
    };
  }
}

const NO_ROUTES: RouteMap = new Map();

interface RoutesInput {
  readonly family: Family;
  readonly local: IpAddress | undefined;
  readonly negotiated: Negotiated;
  readonly rib: Rib;
  /** What is found to be wrong is added. */
  readonly problems: string[];
}
