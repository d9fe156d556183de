import type { StepResult } from "./step.js";
import type {
  MapRequest,
  UpnpGateway,
  UpnpMappingAction,
  UpnpMappingConfig,
  UpnpMappingEvent,
  UpnpMappingState,
  UpnpRequest,
  UpnpStatus,
} from "./upnp-mapping-state.js";

/*
 * One port of one VIP at a router: asked for, refreshed when half of its time is over, asked for again after the router was restarted, removed when it is
 * not wanted any more. What the router speaks (UPnP, NAT-PMP, PCP, pinholes) is the caller's business: it turns `map` and `unmap` into requests, with a time
 * limit of its own, and brings each one's answer. One request at a time.
 *
 * Who takes a VIP over finds a mapping that the holder before asked for, perhaps one that it is just removing. So the first answer is confirmed by asking once
 * more, and what is not wanted any more is looked for at the router also where nothing has been asked yet. A request that is under way is waited for before its
 * mapping is removed: it may still be carried out.
 *
 * A refusal is no failure: the router has answered, and is asked again only now and then. A failure (no answer, nothing understandable) is tried
 * again soon, and a mapping counts as one until the time is over that the router last gave it.
 */

type Answer = Extract<UpnpMappingEvent, { readonly id: number }>;
type MappedAnswer = Extract<Answer, { readonly type: "mapped" }>;
type RefusedAnswer = Extract<Answer, { readonly type: "refused" }>;

const REMOVED = { status: { kind: "removed" }, nextAt: Infinity } as const;

interface Moment {
  readonly now: number;
  readonly random: number;
  readonly config: UpnpMappingConfig;
}

/** One event in, new state and the requests to send or to drop. */
export function upnpMappingStep(
  state: UpnpMappingState,
  event: UpnpMappingEvent,
  now: number,
  config: UpnpMappingConfig,
): StepResult<UpnpMappingState, UpnpMappingAction> {
  const moment: Moment = { now, random: event.random, config };
  const absorbed = withoutExpired(absorb(state, event, moment), now);
  const next = withRequest(absorbed, moment);
  const actions: UpnpMappingAction[] = [];
  const before = state.request;
  if (before !== undefined && absorbed.request === undefined && !isAnswer(event, before)) actions.push({ type: "cancel", id: before.id });
  if (next.request !== undefined && next.request !== absorbed.request) actions.push(next.request);
  return { state: next, actions, wakeAt: wakeAt(next) };
}

function absorb(state: UpnpMappingState, event: UpnpMappingEvent, moment: Moment): UpnpMappingState {
  switch (event.type) {
    case "tick":
      return state;
    case "gateway":
      return changed(state, event.gateway, moment);
    case "restarted":
      return restarted(state, moment);
    case "down":
      return unwanted(state, event.searching, moment.now);
    case "mapped":
    case "unmapped":
    case "refused":
    case "failed":
      if (state.request === undefined || !isAnswer(event, state.request)) return state;
      return answered({ ...state, request: undefined }, state.request, { ...moment, event });
  }
}

function isAnswer(event: UpnpMappingEvent, request: UpnpRequest): boolean {
  return "id" in event && event.id === request.id;
}

/** Another router knows nothing of us; what the one before has ends with its lease. */
function changed(state: UpnpMappingState, gateway: UpnpGateway | undefined, { now, config }: Moment): UpnpMappingState {
  if (!state.wanted) return foundLate(state, gateway, { now, config });
  if (gateway?.id === state.gateway?.id) return { ...state, gateway };
  const next = { ...state, gateway, request: undefined, held: undefined, permanent: false, elsewhere: false, failures: 0 };
  return gateway === undefined ? { ...next, status: { kind: "noGateway" }, nextAt: Infinity } : { ...next, status: { kind: "asking" }, nextAt: now };
}

/** The first one that is found may have what the holder before asked for. */
function foundLate(state: UpnpMappingState, gateway: UpnpGateway | undefined, { now, config }: Pick<Moment, "now" | "config">): UpnpMappingState {
  if (state.status.kind === "removed") return state;
  if (gateway !== undefined && state.gateway === undefined) return { ...state, gateway, held: { externalPort: config.externalPort, sure: false }, nextAt: now };
  return gateway !== undefined && gateway.id === state.gateway?.id ? state : { ...state, gateway, request: undefined, held: undefined, ...REMOVED };
}

/** A request that was under way is lost. A port that was given elsewhere is asked for again: whoever knows it should find it there. */
function restarted(state: UpnpMappingState, { now, random, config }: Moment): UpnpMappingState {
  if (state.gateway === undefined || state.status.kind === "removed") return state;
  return { ...state, request: undefined, elsewhere: false, failures: 0, nextAt: now + config.timing.restartSpreadMs * random };
}

function unwanted(state: UpnpMappingState, searching: boolean, now: number): UpnpMappingState {
  if (!state.wanted) return state;
  const next: UpnpMappingState = { ...state, wanted: false, failures: 0 };
  if (state.gateway === undefined) return searching ? { ...next, status: { kind: "asking" } } : { ...next, ...REMOVED };
  if (state.request !== undefined) return next;
  return state.held === undefined ? { ...next, ...REMOVED } : { ...next, nextAt: now };
}

function answered(state: UpnpMappingState, request: UpnpRequest, moment: Moment & { readonly event: Answer }): UpnpMappingState {
  const { event } = moment;
  if (request.type === "unmap") {
    // A refusal is the end, too: no such entry says that it is gone, and the others would be said again.
    const over = event.type !== "failed" || state.failures + 1 >= moment.config.timing.removeTries;
    if (over) return { ...state, held: undefined, ...REMOVED };
    return { ...state, failures: state.failures + 1, nextAt: retryAt(state, moment) };
  }
  const next = asked(state, request, moment);
  return state.wanted ? next : { ...next, status: state.status, failures: 0, nextAt: moment.now };
}

function asked(state: UpnpMappingState, request: MapRequest, moment: Moment & { readonly event: Answer }): UpnpMappingState {
  const { event } = moment;
  switch (event.type) {
    case "mapped":
      return mapped(state, request, { ...moment, event });
    case "refused":
      return refused(state, request, { ...moment, event });
    case "failed": {
      const status: UpnpStatus = state.status.kind === "mapped" ? state.status : same(state.status, { kind: "unreachable", reason: event.reason });
      return { ...state, status, failures: state.failures + 1, nextAt: retryAt(state, moment) };
    }
    case "unmapped":
      return { ...state, nextAt: retryAt(state, moment) };
  }
}

function mapped(state: UpnpMappingState, request: MapRequest, moment: Moment & { readonly event: MappedAnswer }): UpnpMappingState {
  const { event, now, random, config } = moment;
  const leaseMs = 1000 * (event.leaseSeconds ?? request.leaseSeconds);
  // Half of the lease, less up to a tenth, so that those that were made together do not stay together.
  const { timing } = config;
  const halfMs = leaseMs === 0 ? timing.permanentMs : Math.max(timing.refreshLeastMs, (leaseMs / 2) * (1 - random / 10));
  const refreshMs = state.held?.sure === true ? halfMs : Math.min(halfMs, timing.confirmMs * (1 - random / 10));
  const until = leaseMs === 0 ? Infinity : request.startedAt + leaseMs;
  const nextAt = Math.max(request.startedAt + refreshMs, now);
  const { externalPort } = event;
  return { ...state, status: { kind: "mapped", externalPort, until }, held: { externalPort, sure: true }, failures: 0, nextAt };
}

function refused(state: UpnpMappingState, request: MapRequest, moment: Moment & { readonly event: RefusedAnswer }): UpnpMappingState {
  const { event, now, random, config } = moment;
  if (event.refusal === "permanentOnly" && !state.permanent) return { ...state, permanent: true, nextAt: now };
  const conflict = event.refusal === "conflict";
  const canChoose = config.anyPort && state.gateway?.choosesPort === true && !request.anyPort;
  if (conflict && canChoose) return { ...state, elsewhere: true, held: undefined, nextAt: now };
  // What is refused is not there, even if an earlier answer gave it: the router has lost it, and somebody else has it.
  const status = same(state.status, { kind: "refused", conflict, code: event.code, text: event.text });
  const waitMs = event.againSeconds === undefined ? config.timing.refusedMs * (1 - random / 10) : event.againSeconds * 1000;
  return { ...state, status, held: undefined, elsewhere: false, failures: 0, nextAt: now + waitMs };
}

function withoutExpired(state: UpnpMappingState, now: number): UpnpMappingState {
  if (state.status.kind !== "mapped" || now < state.status.until) return state;
  return { ...state, status: { kind: "asking" } };
}

/** The request that is due, where none is under way. */
function withRequest(state: UpnpMappingState, { now, config }: Moment): UpnpMappingState {
  if (state.request !== undefined || state.gateway === undefined || now < state.nextAt) return state;
  const { nextId: id, held } = state;
  if (!state.wanted) {
    if (held === undefined) return { ...state, ...REMOVED };
    return { ...state, nextId: id + 1, request: { type: "unmap", id, ...held } };
  }
  // One that was given elsewhere is asked for by its own port, or else each refresh would take one more.
  const anyPort = state.elsewhere && held === undefined;
  const externalPort = held?.externalPort ?? config.externalPort;
  const leaseSeconds = state.permanent ? 0 : config.leaseSeconds;
  const request: MapRequest = { type: "map", id, startedAt: now, externalPort, leaseSeconds, anyPort };
  return { ...state, nextId: id + 1, request, held: anyPort ? undefined : (held ?? { externalPort, sure: false }) };
}

function retryAt({ failures }: UpnpMappingState, { now, random, config: { timing } }: Moment): number {
  return now + Math.min(timing.retryFirstMs * 2 ** Math.min(failures, 30), timing.retryMostMs) * (1 - random / 2);
}

/** While a request is under way its answer is waited for, and only the end of a mapping needs the clock. */
function wakeAt({ status, request, nextAt }: UpnpMappingState): number | undefined {
  const at = Math.min(request === undefined ? nextAt : Infinity, status.kind === "mapped" ? status.until : Infinity);
  return at === Infinity ? undefined : at;
}

function same(before: UpnpStatus, next: UpnpStatus): UpnpStatus {
  return JSON.stringify(before) === JSON.stringify(next) ? before : next;
}
