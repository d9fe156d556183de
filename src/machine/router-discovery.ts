import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { StepResult } from "./step.js";

/**
 * The router on a link, found by its Router Advertisements (RFC 4861 6.3), and ours sent to it: routers such as FRR find their unnumbered peers by these. The
 * first router that is heard is chosen. Another one takes its place
 * - at once, where it is the same router with another address: the same MAC address, or the chosen one has not been heard since the link came up;
 * - when the session with the chosen one is lost, where the other was heard after it and may be the same one (not all routers tell their MAC address);
 * - after `patienceMs` without a session with the chosen one, where the other was heard after it.
 * A session that is up is never given up for what another router advertises, which a MAC address tells from this one.
 */
export interface RouterDiscoveryConfig {
  /** RTR_SOLICITATION_INTERVAL of RFC 4861 10; doubled after the first three up to `solicitMostMs` (RFC 7559 2). */
  readonly solicitMs: number;
  readonly solicitMostMs: number;
  /** Time between our advertisements: from three quarters of it to all of it (RFC 4861 6.2.1). */
  readonly advertMs: number;
  /** MIN_DELAY_BETWEEN_RAS. The first three are so far apart. */
  readonly advertLeastMs: number;
  /** MAX_RA_DELAY_TIME: an answer comes within this. */
  readonly answerMs: number;
  readonly patienceMs: number;
  /** A chosen router that was silent for so long may come back with an address that it had before. */
  readonly silentMs: number;
}

/** The times of RFC 4861 10, but for advertisements every 10 s, as FRR sends its own. */
export const ROUTER_DISCOVERY: RouterDiscoveryConfig = {
  solicitMs: 4000,
  solicitMostMs: 60_000,
  advertMs: 10_000,
  advertLeastMs: 3000,
  answerMs: 500,
  patienceMs: 5000,
  silentMs: 30_000,
};

const INITIAL = 3;
/** Routers of a link that are remembered. */
const MOST_ROUTERS = 8;

/** A router that has advertised itself. */
export interface HeardRouter {
  readonly address: IpAddress;
  readonly mac: MacAddress | undefined;
  /** When it was heard last, monotonic ms. */
  readonly heardAt: number;
}

export interface RouterDiscoveryState {
  readonly up: boolean;
  /** Since when the link is as it is. */
  readonly since: number;
  /** The one heard last at the end. */
  readonly routers: readonly HeardRouter[];
  readonly chosen: IpAddress | undefined;
  readonly chosenAt: number;
  /** Is there a session with the chosen one? `since` when that, or the choice, changed. */
  readonly session: { readonly up: boolean; readonly since: number };
  readonly solicit: { readonly sent: number; readonly at: number };
  readonly advertise: { readonly sent: number; readonly at: number; readonly last: number };
  /** Somebody else advertises from this node's address until then. */
  readonly quietUntil: number;
}

/** `random` is uniform in [0, 1). */
export type RouterDiscoveryEvent =
  | { readonly type: "tick"; readonly random: number }
  /** The link can be used, or no longer. */
  | { readonly type: "link"; readonly up: boolean; readonly random: number }
  /** Another link has the name now: nothing that was known holds. */
  | { readonly type: "replaced"; readonly random: number }
  | { readonly type: "advertised"; readonly by: Pick<HeardRouter, "address" | "mac">; readonly random: number }
  /** A Router Advertisement came from this node's own address, by another program. */
  | { readonly type: "advertisedHere"; readonly lifetimeSeconds: number; readonly random: number }
  | { readonly type: "solicited"; readonly random: number }
  /** A session with the chosen router is up, or no longer. */
  | { readonly type: "session"; readonly up: boolean; readonly random: number };

export type RouterDiscoveryAction = { readonly type: "solicit" } | { readonly type: "advertise" };

/** The link is not up, and nothing is known. */
export function routerDiscoveryStart(now: number): RouterDiscoveryState {
  return {
    up: false,
    since: now,
    routers: [],
    chosen: undefined,
    chosenAt: now,
    session: { up: false, since: now },
    solicit: { sent: 0, at: Infinity },
    advertise: { sent: 0, at: Infinity, last: -Infinity },
    quietUntil: -Infinity,
  };
}

/** One event in, new state and what to send. */
export function routerDiscoveryStep(
  state: RouterDiscoveryState,
  event: RouterDiscoveryEvent,
  now: number,
  config: RouterDiscoveryConfig = ROUTER_DISCOVERY,
): StepResult<RouterDiscoveryState, RouterDiscoveryAction> {
  const moment: Moment = { now, random: event.random, config };
  return sent(rotated(heard(state, event, moment), moment), moment);
}

interface Moment {
  readonly now: number;
  readonly random: number;
  readonly config: RouterDiscoveryConfig;
}

function heard(state: RouterDiscoveryState, event: RouterDiscoveryEvent, moment: Moment): RouterDiscoveryState {
  const { now } = moment;
  switch (event.type) {
    case "tick":
      return state;
    case "link":
      return event.up === state.up ? state : { ...begun(state, now), up: event.up, since: now };
    case "replaced":
      return { ...routerDiscoveryStart(now), quietUntil: state.quietUntil };
    case "advertised":
      return state.up ? advertised(state, event.by, moment) : state;
    case "advertisedHere":
      return { ...state, quietUntil: Math.max(state.quietUntil, now + event.lifetimeSeconds * 1000) };
    case "solicited":
      return answering(state, moment);
    case "session":
      return event.up === state.session.up ? state : sessionMoved(state, event.up, now);
  }
}

/** Asks and tells from the start: after a link was down, neither side knows what the other has forgotten. */
function begun(state: RouterDiscoveryState, now: number): RouterDiscoveryState {
  return { ...state, solicit: { sent: 0, at: now }, advertise: { ...state.advertise, sent: 0, at: now } };
}

function advertised(state: RouterDiscoveryState, by: Pick<HeardRouter, "address" | "mac">, moment: Moment): RouterDiscoveryState {
  const { now } = moment;
  const known = state.routers.some(({ address }) => address === by.address);
  const others = state.routers.filter(({ address }) => address !== by.address);
  const routers = dropped([...others, { ...by, heardAt: now }], state.chosen);
  const next = { ...state, routers };
  // One that is new, or has begun anew, does not know us either, most likely.
  const told = known && state.session.up ? next : answering(next, moment);
  const moved = state.chosen !== undefined && by.address !== state.chosen && isMove(state, by, { known, moment });
  return state.chosen === undefined || moved ? chosen(told, by.address, now) : told;
}

/** A peer that is lost may be elsewhere: asked for at once, and followed at once to where it may have been heard. */
function sessionMoved(state: RouterDiscoveryState, up: boolean, now: number): RouterDiscoveryState {
  const next = { ...state, session: { up, since: now }, solicit: { sent: 0, at: now } };
  const last = state.routers.at(-1);
  const current = state.routers.find(({ address }) => address === state.chosen);
  const another = last?.mac !== undefined && current?.mac !== undefined && last.mac !== current.mac;
  return up || last === undefined || another || last.address === state.chosen ? next : chosen(next, last.address, now);
}

function isMove(state: RouterDiscoveryState, by: Pick<HeardRouter, "mac">, { known, moment: { now, config } }: { readonly known: boolean; readonly moment: Moment }): boolean {
  const current = state.routers.find(({ address }) => address === state.chosen);
  if (current === undefined || current.heardAt < state.since) return true;
  // Of two live addresses of one router the first stays.
  return by.mac !== undefined && by.mac === current.mac && (!known || now >= current.heardAt + config.silentMs);
}

/** Without the one that was heard longest ago, where there are too many. */
function dropped(routers: readonly HeardRouter[], keep: IpAddress | undefined): readonly HeardRouter[] {
  if (routers.length <= MOST_ROUTERS) return routers;
  const first = routers.findIndex(({ address }) => address !== keep);
  return routers.filter((_, at) => at !== first);
}

function chosen(state: RouterDiscoveryState, address: IpAddress, now: number): RouterDiscoveryState {
  return { ...state, chosen: address, chosenAt: now, session: { up: false, since: now } };
}

/** Without a session for long, the one that was heard last has its turn. */
function rotated(state: RouterDiscoveryState, { now, config }: Moment): RouterDiscoveryState {
  const last = state.routers.at(-1);
  if (last === undefined || now < rotateAt(state, config)) return state;
  return chosen(state, last.address, now);
}

function rotateAt({ up, session, chosen: current, routers }: RouterDiscoveryState, { patienceMs }: RouterDiscoveryConfig): number {
  const waits = up && !session.up && current !== undefined && routers.at(-1)?.address !== current;
  return waits ? session.since + patienceMs : Infinity;
}

/** RFC 4861 6.2.6: within half a second, and no two advertisements within three. */
function answering(state: RouterDiscoveryState, { now, random, config }: Moment): RouterDiscoveryState {
  const { advertise } = state;
  const at = Math.max(now + random * config.answerMs, advertise.last + config.advertLeastMs);
  return at < advertise.at ? { ...state, advertise: { ...advertise, at } } : state;
}

function sent(state: RouterDiscoveryState, { now, random, config }: Moment): StepResult<RouterDiscoveryState, RouterDiscoveryAction> {
  if (!state.up) return { state, actions: [], wakeAt: undefined };
  const actions: RouterDiscoveryAction[] = [];
  let { solicit, advertise } = state;
  if (asks(state) && now >= solicit.at) {
    actions.push({ type: "solicit" });
    const wait = Math.min(config.solicitMs * 2 ** Math.max(0, solicit.sent - INITIAL + 2), config.solicitMostMs);
    solicit = { sent: solicit.sent + 1, at: now + wait };
  }
  if (now >= advertise.at) {
    // Two routers with one address would contradict each other: hosts would lose their default router.
    if (now >= state.quietUntil) actions.push({ type: "advertise" });
    const most = advertise.sent + 1 < INITIAL ? config.advertLeastMs : config.advertMs * (0.75 + 0.25 * random);
    advertise = { sent: advertise.sent + 1, at: now + most, last: now };
  }
  const next = { ...state, solicit, advertise };
  return { state: next, actions, wakeAt: Math.min(asks(next) ? solicit.at : Infinity, advertise.at, rotateAt(next, config)) };
}

/** A session is an answer, too, but one from before the link came up says nothing of who is there now. */
function asks({ session, chosen: current, routers, since }: RouterDiscoveryState): boolean {
  return !session.up || !routers.some(({ address, heardAt }) => address === current && heardAt >= since);
}
