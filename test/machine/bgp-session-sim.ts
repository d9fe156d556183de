import type { Family, IpAddress } from "../../src/lib/ip.js";
import { prefixText } from "../../src/wire/bgp/prefix.js";
import type { BgpSessionConfig, RouteMap } from "../../src/machine/bgp-session-config.js";
import { bgpSessionStep } from "../../src/machine/bgp-session.js";
import { bgpSessionStart, establishedOf, type BgpSessionAction, type BgpSessionEvent, type BgpSessionState } from "../../src/machine/bgp-session-state.js";

type Input = BgpSessionEvent extends infer E ? (E extends BgpSessionEvent ? Omit<E, "random"> : never) : never;

/** One TCP connection: what each end calls it, and which of them still has it. */
interface Wire {
  readonly names: Map<Speaker, string>;
  readonly open: Set<Speaker>;
  /** When the last octets arrive at each end: nothing overtakes. */
  readonly arrival: Map<Speaker, number>;
}

/** Something that happens later; of two at the same time the first that was put down. */
interface Due {
  readonly at: number;
  readonly run: () => void;
}

/** What goes wrong, as a chance for each occasion. */
export interface Faults {
  readonly refusedDial: number;
  readonly lostDial: number;
  /** For each send: the connection is reset. */
  readonly reset: number;
}

/** One machine with what its peer has told it. */
export class Speaker {
  state: BgpSessionState = bgpSessionStart();
  routes: RouteMap = new Map();
  /** Text of each prefix of the peer. */
  readonly heard = new Set<string>();
  readonly ends: string[] = [];
  timer = 0;

  constructor(
    readonly name: string,
    readonly config: BgpSessionConfig,
  ) {}
}

/** Two speakers, a network with delays between them, and time. The same seed gives the same run. */
export class Simulation {
  now = 0;
  faults: Faults = { refusedDial: 0, lostDial: 0, reset: 0 };
  collisions = 0;
  readonly speakers: readonly [Speaker, Speaker];
  #wires: Wire[] = [];
  #agenda: Due[] = [];
  #random: number;

  constructor(configs: readonly [BgpSessionConfig, BgpSessionConfig], seed: number) {
    this.#random = seed;
    this.speakers = [new Speaker("a", configs[0]), new Speaker("b", configs[1])];
  }

  /** Uniform in [0, 1), of this run (mulberry32). */
  float(): number {
    this.#random = (this.#random + 0x6d2b79f5) >>> 0;
    let t = this.#random;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  send(speaker: Speaker, event: Input): void {
    const { state, actions, wakeAt } = bgpSessionStep(speaker.state, { ...event, random: this.float() }, this.now, speaker.config);
    speaker.state = state;
    speaker.timer += 1;
    const { timer } = speaker;
    if (wakeAt !== undefined) this.at(wakeAt, () => (speaker.timer === timer ? this.send(speaker, { type: "tick" }) : undefined));
    for (const action of actions) this.#act(speaker, action);
  }

  /** New routes, which the peer is to have if the session is up, or when it is. */
  announce(speaker: Speaker, routes: RouteMap): void {
    speaker.routes = routes;
    if (establishedOf(speaker.state) !== undefined) this.send(speaker, { type: "routes", routes: wanted(routes) });
  }

  at(at: number, run: () => void): void {
    this.#agenda.push({ at: Math.max(at, this.now), run });
  }

  /** Runs until that time, or until it holds. */
  run(until: number, holds: () => boolean = () => false): void {
    for (;;) {
      if (holds()) return;
      const next = this.#agenda.reduce<Due | undefined>((first, one) => (first === undefined || one.at < first.at ? one : first), undefined);
      if (next === undefined || next.at > until) break;
      this.#agenda = this.#agenda.filter((one) => one !== next);
      this.now = next.at;
      next.run();
    }
    this.now = until;
  }

  /** Both have a session, it is the same connection, and each has heard exactly what the other announces. */
  agreed(): boolean {
    const [a, b] = this.speakers;
    const ids = [establishedOf(a.state)?.id, establishedOf(b.state)?.id];
    const same = this.#wires.some(({ names }) => ids[0] !== undefined && names.get(a) === ids[0] && names.get(b) === ids[1]);
    return same && knows(a, b) && knows(b, a);
  }

  #other(speaker: Speaker): Speaker {
    return speaker === this.speakers[0] ? this.speakers[1] : this.speakers[0];
  }

  #delay(): number {
    return 1 + this.float() * 20;
  }

  #act(speaker: Speaker, action: BgpSessionAction): void {
    switch (action.type) {
      case "dial":
        return this.#dial(speaker, action.id);
      case "send":
        return this.#deliver(speaker, action.id, action.octets);
      case "flush":
        return this.at(this.now + this.#delay(), () => this.send(speaker, { type: "writable", id: action.id }));
      case "close":
        return this.#close(speaker, action);
      case "established":
        speaker.heard.clear();
        return this.at(this.now, () => (establishedOf(speaker.state)?.id === action.id ? this.send(speaker, { type: "routes", routes: wanted(speaker.routes) }) : undefined));
      case "ended":
        speaker.heard.clear();
        return void speaker.ends.push(`${this.now} ${action.end.reason}`);
      case "received":
        for (const { announced, withdrawn } of action.changes) {
          for (const prefix of withdrawn) speaker.heard.delete(prefixText(prefix));
          for (const prefix of announced) speaker.heard.add(prefixText(prefix));
        }
        return undefined;
      case "tooLarge":
        return undefined;
      default:
        throw new Error("no such action");
    }
  }

  #dial(speaker: Speaker, id: string): void {
    const peer = this.#other(speaker);
    if (this.float() < this.faults.lostDial) return;
    if (this.float() < this.faults.refusedDial) return this.at(this.now + this.#delay(), () => this.send(speaker, { type: "closed", id, reason: "ECONNREFUSED" }));
    const name = `in-${this.#wires.length}`;
    const wire: Wire = { names: new Map([[speaker, id], [peer, name]]), open: new Set([speaker, peer]), arrival: new Map() };
    this.#wires.push(wire);
    // First of all that arrives at either end.
    this.#arrive(wire, peer, () => this.send(peer, { type: "accepted", id: name }));
    this.#arrive(wire, speaker, () => this.send(speaker, { type: "connected", id }));
  }

  #wireOf(speaker: Speaker, id: string): Wire | undefined {
    return this.#wires.findLast(({ names }) => names.get(speaker) === id);
  }

  /** In order, in two pieces, and late. */
  #deliver(speaker: Speaker, id: string, octets: Uint8Array): void {
    const wire = this.#wireOf(speaker, id);
    if (wire === undefined) return;
    if (octets[18] === 3 && octets[19] === 6 && octets[20] === 7) this.collisions += 1;
    if (this.float() < this.faults.reset) return this.#reset(wire);
    const cut = Math.floor(this.float() * octets.length);
    for (const part of [octets.slice(0, cut), octets.slice(cut)]) this.#arrive(wire, this.#other(speaker), (peer, name) => this.send(peer, { type: "data", id: name, octets: part }));
  }

  #arrive(wire: Wire, peer: Speaker, run: (peer: Speaker, id: string) => void): void {
    const at = Math.max(this.now + this.#delay(), wire.arrival.get(peer) ?? 0);
    wire.arrival.set(peer, at);
    this.at(at, () => (wire.open.has(peer) ? run(peer, wire.names.get(peer) ?? "") : undefined));
  }

  #close(speaker: Speaker, { id, graceful }: { readonly id: string; readonly graceful: boolean }): void {
    const wire = this.#wireOf(speaker, id);
    if (wire === undefined) return;
    wire.open.delete(speaker);
    const hangUp = (peer: Speaker, name: string): void => {
      wire.open.delete(peer);
      this.send(peer, { type: "closed", id: name, reason: graceful ? "end" : "ECONNRESET" });
    };
    this.#arrive(wire, this.#other(speaker), hangUp);
  }

  #reset(wire: Wire): void {
    for (const speaker of wire.open) {
      const id = wire.names.get(speaker) ?? "";
      wire.open.delete(speaker);
      this.at(this.now + this.#delay(), () => this.send(speaker, { type: "closed", id, reason: "ECONNRESET" }));
    }
  }
}

function wanted(routes: RouteMap): ReadonlyMap<Family, RouteMap> {
  return new Map([[4, routes]]);
}

function knows(listener: Speaker, teller: Speaker): boolean {
  return listener.heard.size === teller.routes.size && [...teller.routes.keys()].every((key) => listener.heard.has(key));
}

/** Speaker `n` (1 or 2) of two with different AS numbers. */
export function speakerConfig(n: 1 | 2, base: BgpSessionConfig): BgpSessionConfig {
  return { ...base, localAs: 64_500 + n, peerAs: 64_500 + (3 - n), routerId: `10.0.0.${n}` as IpAddress };
}
