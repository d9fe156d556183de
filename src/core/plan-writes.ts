import type { IpAddress } from "../lib/ip.js";
import type { EventDraft, JsonPatchOperation, Service } from "../ports/kube.js";
import { EXTERNAL_IPS, EXTERNAL_IPS_REFUSED, externalIPsStep } from "./external-ips.js";
import { GRANTED, GRANTED_IN_USE } from "./plan-service.js";
import { serviceKey, type ServiceKey } from "./model.js";
import { clearStatus, type StatusDecision, type StatusPatch } from "./status.js";

/** Where its ports are reached from outside, as the gateway opened them: `198.51.100.1:80/TCP,198.51.100.1:53/UDP`. */
export const EXTERNAL = "vip.internal/external";

/** A change of a Service itself; refused where it is not the version that was looked at any more. */
export interface ServiceChange {
  readonly service: Service;
  readonly operations: readonly JsonPatchOperation[];
}

/** What is to be written to the API in the end: at most one patch of the status and one change for each Service. */
export class Writes {
  readonly statuses = new Map<ServiceKey, StatusPatch>();
  readonly changes = new Map<ServiceKey, ServiceChange>();
  readonly events = new Map<string, EventDraft>();

  /** The entries of a status that somebody else wrote, and that are left alone. */
  status(service: Service, decision: StatusDecision): readonly string[] {
    if (decision.type === "patch") {
      const before = this.statuses.get(serviceKey(service));
      const annotations = { ...before?.annotations, ...decision.patch.annotations };
      this.statuses.set(serviceKey(service), { ...decision.patch, annotations });
    }
    return decision.type === "foreign" ? decision.entries : [];
  }

  /** Takes back what we wrote about a Service that is none of ours any more. */
  clear(service: Service): void {
    this.status(service, clearStatus(service));
    this.clearRomana(service);
    this.forgetGrant(service);
    this.external(service, null);
  }

  /** Where its ports are reached from outside; null: nowhere. */
  external(service: Service, value: string | null): void {
    if ((service.annotations[EXTERNAL] ?? null) !== value) this.annotate(service, { [EXTERNAL]: value });
  }

  /** Takes back what only a Romana VIP needs. */
  clearRomana(service: Service): void {
    this.externalIPs(service, []);
    if (service.annotations[EXTERNAL_IPS_REFUSED] !== undefined) this.annotate(service, { [EXTERNAL_IPS_REFUSED]: null });
  }

  /** The address that the allocator gave goes back to the pool. */
  forgetGrant(service: Service): void {
    for (const name of [GRANTED, GRANTED_IN_USE]) if (service.annotations[name] !== undefined) this.annotate(service, { [name]: null });
  }

  /** The allocator's address for a Service whose owner may be another node. */
  grant(service: Service, addresses: readonly IpAddress[]): void {
    this.annotate(service, { [GRANTED]: addresses.join(","), ...(service.annotations[GRANTED_IN_USE] !== undefined && { [GRANTED_IN_USE]: null }) });
  }

  /** A stranger has it: the allocator, which may be another node, is to give another one. */
  refuseGrant(service: Service, address: IpAddress): void {
    this.annotate(service, { [GRANTED]: null, [GRANTED_IN_USE]: address });
  }

  /** Spares the next holder the try: until its answer came, packets would be refused, and UDP flows would stay so. */
  rememberRefusal(service: Service, why: string): void {
    if (service.annotations[EXTERNAL_IPS_REFUSED] === undefined) this.annotate(service, { [EXTERNAL_IPS_REFUSED]: why });
  }

  annotate(service: Service, annotations: Readonly<Record<string, string | null>>): void {
    const before = this.statuses.get(serviceKey(service));
    this.statuses.set(serviceKey(service), { service, ingress: before?.ingress, annotations: { ...before?.annotations, ...annotations } });
  }

  /** The next step towards `wanted` being exactly what is ours of spec.externalIPs. */
  externalIPs(service: Service, wanted: readonly IpAddress[]): void {
    if (wanted.length === 0 && service.annotations[EXTERNAL_IPS] === undefined) return;
    const step = externalIPsStep(service, wanted);
    if (step.type === "record") this.annotate(service, step.annotations);
    if (step.type === "change") this.changes.set(serviceKey(service), { service, operations: step.operations });
  }

  event(service: Service, type: EventDraft["type"], what: { readonly reason: string; readonly message: string }): void {
    this.events.set(`${service.uid} ${what.reason} ${what.message}`, { service, type, ...what });
  }
}
