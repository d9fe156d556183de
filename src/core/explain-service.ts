import type { Service } from "../ports/kube.js";
import { since, type ExplainInput, type SinceReport } from "./explain-input.js";
import { observe } from "./explain-observe.js";
import { routeReport, type RouteReport } from "./explain-routes.js";
import type { ServiceView } from "./explain-view.js";
import { apiReport, kernelIndex, ownershipReport, vipReport, type ApiReport, type VipReport } from "./explain.js";
import { failureReport, type FailureReport } from "./explain-failure.js";
import { leaseReports } from "./explain-leases.js";
import { nearNames } from "./explain-near.js";
import { NO_LISTS, REASONS, RULES, type Asker, type RuleName } from "./explain-rules.js";
import { leaseSubject, routeSubject, serviceSubject, vipSubject } from "./history.js";
import { romanaKey, serviceKey, type OwnershipKey, type ServiceKey } from "./model.js";
import { askedOf, type SkipReason } from "./plan-service.js";
import { asksUpnp } from "./plan-upnp.js";

/** `here`: up on this node. `elsewhere`: another node holds it and the API says so. `pending`: on its way. `no`: not served. */
export type VerdictKind = "here" | "elsewhere" | "pending" | "no";

export interface Verdict {
  readonly kind: VerdictKind;
  /** `served here (node n1)`, `served by node n2`, `not served: <rule>: <what was seen>` */
  readonly text: string;
  /** Since when it is up here, or the other node holds it; null where it is not served, or not known. */
  readonly since: SinceReport | null;
  /** What is not well although it is served; empty where all is. */
  readonly but: string;
}

/** One rule that was looked at. */
export interface StepReport {
  readonly rule: RuleName;
  /** `passed`, `pending` (not yet), `refused` (said no). */
  readonly outcome: "passed" | "pending" | "refused";
  /** The value that was observed. */
  readonly observed: string;
  /** Why it refused; null where it did not. */
  readonly code: string | null;
  /** What the operator may do; null where there is nothing to do. */
  readonly next: string | null;
}

/** What happened to the Service or one of its addresses. */
export interface EventReport {
  readonly at: SinceReport;
  /** `service`, or the key of an address. */
  readonly what: string;
  readonly state: string;
  readonly detail: string;
}

export type ServiceReport =
  | { readonly type: "unknown"; readonly service: string; readonly node: string; readonly near: readonly string[]; readonly known: number }
  /** This process serves no Services at all. */
  | { readonly type: "notAsked"; readonly service: string; readonly node: string; readonly reason: string }
  | KnownReport;

export interface KnownReport {
  readonly type: "known";
  readonly service: string;
  readonly node: string;
  readonly verdict: Verdict;
  readonly steps: readonly StepReport[];
  readonly vips: readonly VipReport[];
  /** Announced by BGP. */
  readonly routes: readonly RouteReport[];
  readonly api: ApiReport;
  readonly lastFailure: FailureReport | null;
  /** Newest first. */
  readonly events: readonly EventReport[];
}

/** Why a Service is where it is, or is not served, for `vip why`. */
export function serviceReport(input: ExplainInput, key: ServiceKey): ServiceReport {
  const { world, config } = input;
  const head = { service: key, node: world.node };
  if (!config.services) return { type: "notAsked", ...head, reason: "this process serves no Services (svc_enable is false)" };
  const service = world.services?.get(key);
  if (service === undefined) {
    if (world.services === undefined) return waitingReport(input, key);
    return { type: "unknown", ...head, near: nearNames(key, [...world.services.keys()]), known: world.services.size };
  }
  const view = viewOf(input, key, service);
  const steps = chain(view, stepOf(view));
  return { type: "known", ...head, verdict: verdict(view, steps), steps, vips: view.vips, routes: view.routes, api: view.api, lastFailure: lastFailure(view), events: eventsOf(view) };
}

function viewOf(input: ExplainInput, key: ServiceKey, service: Service): ServiceView {
  const there = kernelIndex(input);
  const vips = [...input.plan.wants.arp.values()].filter(({ owners }) => owners.includes(key)).map((vip) => vipReport(input, vip, there));
  const routes = [...input.plan.wants.bgp.values()].filter(({ owners }) => owners.includes(key)).map((route) => routeReport(input, route));
  const leases = leaseReports(input).filter(({ services }) => services.includes(key));
  return { input, key, service, vips, routes, leases, skip: input.plan.skipped.get(key), ownership: ownershipReport(input, ownershipKeyOf(input, { key, service, held: [...vips, ...routes] })), api: apiReport(service) };
}

function ownershipKeyOf({ world, config }: ExplainInput, of: { readonly key: ServiceKey; readonly service: Service; readonly held: readonly { readonly ownership: OwnershipKey | null }[] }): OwnershipKey {
  const romana = romanaKey(of.key);
  const held = of.held.find(({ ownership }) => ownership !== null)?.ownership;
  if (held !== null && held !== undefined) return held;
  if (world.ownership.has(romana)) return romana;
  const asked = `${of.service.annotations["kube-vip.io/loadbalancerIPs"] ?? ""},${of.service.loadBalancerIP ?? ""}`.split(",").map((part) => part.trim());
  return config.controlPlane.some((address) => asked.includes(address)) ? "control-plane" : "services";
}

/** Every rule in order up to the one that said no. */
function chain(view: ServiceView, step: (rule: RuleName) => StepReport): readonly StepReport[] {
  const steps: StepReport[] = [];
  const refusing = view.skip === undefined ? undefined : REASONS[view.skip.code].rule;
  for (const rule of RULES) {
    // Ports of a gateway are of interest to who asked for them.
    if (rule === "gateway" && !asksUpnp(view.service)) continue;
    if (rule === "lease" && !asksDhcp(view)) continue;
    const next = step(rule);
    steps.push(next);
    // A Service with several addresses may be up by one and refused for another, or up without its traffic being led: then the rest is of interest too.
    if (next.outcome === "refused" && (view.vips.length === 0 || (rule !== refusing && rule !== "data plane"))) break;
  }
  return steps;
}

function asksDhcp({ service, input }: ServiceView): boolean {
  const asked = askedOf(service, input.config);
  return input.plan.skipped.get(serviceKey(service))?.code === "dhcpPending" || (asked.type === "entries" && asked.entries.some((entry) => "dhcp" in entry));
}

function stepOf(view: ServiceView): (rule: RuleName) => StepReport {
  const { skip, input, key, ownership } = view;
  const asker: Asker = { key, node: input.world.node, holder: ownership.holder, loadBalancerClass: input.config.loadBalancerClass };
  return (rule) => {
    if (skip !== undefined && REASONS[skip.code].rule === rule) return refused(rule, skip, asker);
    const seen = observe(rule, view);
    return { rule, outcome: seen.outcome, observed: seen.text, code: null, next: seen.next ?? null };
  };
}

function refused(rule: RuleName, { code, message }: SkipReason, asker: Asker): StepReport {
  return { rule, outcome: "refused", observed: message, code, next: REASONS[code].next(asker) };
}

function verdict(view: ServiceView, steps: readonly StepReport[]): Verdict {
  const { vips, ownership, api, skip, input } = view;
  const up = vips.filter(({ state }) => state === "up");
  const refusal = steps.find(({ outcome }) => outcome === "refused");
  if (input.config.bgp !== undefined) {
    const announced = announcedVerdict(view, refusal);
    if (announced !== undefined) return announced;
  } else if (up.length > 0) return { kind: "here", text: `served here (node ${input.world.node})`, since: up[0]?.since ?? null, but: butText(vips.length - up.length, vips.length, refusal) };
  if (skip?.code === "notOwner" && ownership.holder !== "" && !ownership.mine) {
    const { holder } = ownership;
    if (api.node === holder && api.ingress.length > 0) return { kind: "elsewhere", text: `served by node ${holder}`, since: ownership.since, but: "" };
    return { kind: "pending", text: `node ${holder} holds the ownership, but the API does not say yet that it is served there`, since: null, but: "" };
  }
  const blocking = refusal ?? steps.find(({ outcome }) => outcome === "pending");
  const what = blocking === undefined ? "no address is wanted" : `${blocking.rule}: ${blocking.observed}`;
  return refusal === undefined ? { kind: "pending", text: `not served yet: ${what}`, since: null, but: "" } : notServed(what);
}

/** BGP mode: other nodes may announce it as well. */
function announcedVerdict({ routes, input, skip, api }: ServiceView, refusal: StepReport | undefined): Verdict | undefined {
  const announced = routes.filter(({ peers }) => peers.length > 0);
  const peers = new Set(announced.flatMap((route) => route.peers));
  const text = `announced here (node ${input.world.node}) to ${peers.size} of ${input.peers?.length ?? 0} peers`;
  if (announced.length > 0) return { kind: "here", text, since: announced[0]?.since ?? null, but: butText(routes.length - announced.length, routes.length, refusal) };
  if ((skip?.code === "noLocalEndpoint" || skip?.code === "nodeStandsBack") && api.ingress.length > 0) return { kind: "elsewhere", text: `not announced here: ${skip.message}`, since: null, but: "" };
  return undefined;
}

function notServed(what: string): Verdict {
  return { kind: "no", text: `not served: ${what}`, since: null, but: "" };
}

function butText(missing: number, all: number, refusal: StepReport | undefined): string {
  if (missing > 0) return `${missing} of ${all} addresses ${missing === 1 ? "is" : "are"} not up`;
  return refusal === undefined ? "" : `${refusal.rule}: ${refusal.observed}`;
}

function lastFailure({ input, key, vips, leases }: ServiceView): FailureReport | null {
  const own = failureReport(input.history.past(serviceSubject(key)).failure, input.at);
  const all = [own, ...vips.map((vip) => vip.lastFailure), ...leases.map((lease) => lease.lastFailure)].filter((failure) => failure !== null);
  return all.toSorted((a, b) => a.last.seconds - b.last.seconds)[0] ?? null;
}

function eventsOf({ input, key, vips, routes, leases }: ServiceView): readonly EventReport[] {
  const subjects = [
    { what: "service", subject: serviceSubject(key) },
    ...leases.map((lease) => ({ what: "lease", subject: leaseSubject(lease.key) })),
    ...vips.map((vip) => ({ what: String(vip.key), subject: vipSubject(vip.key) })),
    ...routes.map((route) => ({ what: String(route.key), subject: routeSubject(route.key) })),
  ];
  const events = subjects.flatMap(({ what, subject }) => input.history.past(subject).transitions.map(({ at, state, detail }) => ({ moment: at, what, state, detail })));
  const sorted = events.toSorted((a, b) => b.moment.now - a.moment.now);
  return sorted.slice(0, 20).map(({ moment, ...rest }) => ({ at: since(moment, input.at), ...rest }));
}

/** The first list has not come yet: nothing is known of any Service. */
function waitingReport({ world }: ExplainInput, key: ServiceKey): KnownReport {
  const observed = "the first complete list of Services has not come yet";
  const step: StepReport = { rule: "lists", outcome: "refused", observed, code: null, next: NO_LISTS };
  return { type: "known", service: key, node: world.node, verdict: notServed(`lists: ${observed}`), steps: [step], vips: [], routes: [], api: { ingress: [], node: null }, lastFailure: null, events: [] };
}
