import { hostPrefix, type IpAddress } from "../lib/ip.js";
import type { EventDraft, Service } from "../ports/kube.js";
import { serviceKey, vipKey, type OwnershipKey, type Port, type ServiceKey, type Vip, type VipKey } from "./model.js";
import { askedAddresses, TELLING, type ServicePlanConfig, type SkipReason } from "./plan-service.js";
import { announceStatus, clearStatus, recordedAddresses, type StatusDecision, type StatusPatch } from "./status.js";
import type { World } from "./world.js";

export interface PlanConfig extends ServicePlanConfig {
  /** Serve Services of type LoadBalancer. */
  readonly services: boolean;
  /** Addresses of the control-plane VIP; empty where there is none. */
  readonly controlPlane: readonly IpAddress[];
  readonly controlPlanePort: number;
  /** Link for the VIPs; undefined: the link of the default route. */
  readonly iface: string | undefined;
}

/** What this node should do, and for every Service that it does not serve, why not. */
export interface Plan {
  /** Ownership that this node should seek and keep. */
  readonly campaigns: ReadonlySet<OwnershipKey>;
  readonly wants: { readonly arp: ReadonlyMap<VipKey, Vip> };
  readonly statuses: ReadonlyMap<ServiceKey, StatusPatch>;
  /** Facts to tell about Services, by what makes each of them one fact. */
  readonly events: ReadonlyMap<string, EventDraft>;
  readonly skipped: ReadonlyMap<ServiceKey, SkipReason>;
  /** False while something is not known yet, so that what an earlier life left must not be judged. */
  readonly settled: boolean;
}

/** Pure: the same world gives the same plan. */
export function plan(world: World, config: PlanConfig): Plan {
  const draft = new Draft(world, config);
  draft.controlPlane();
  const services = [...(world.services?.values() ?? [])];
  services.sort((a, b) => a.createdAt - b.createdAt || (serviceKey(a) < serviceKey(b) ? -1 : 1));
  for (const service of services) draft.service(service);
  return draft.finish();
}

class Draft {
  readonly #wants = new Map<VipKey, Vip>();
  readonly #statuses = new Map<ServiceKey, StatusPatch>();
  readonly #events = new Map<string, EventDraft>();
  readonly #skipped = new Map<ServiceKey, SkipReason>();
  readonly #iface: string | undefined;

  constructor(
    private readonly world: World,
    private readonly config: PlanConfig,
  ) {
    this.#iface = config.iface ?? world.defaultLink;
  }

  controlPlane(): void {
    if (!this.#held("control-plane") || !this.#linkKnown()) return;
    for (const address of this.config.controlPlane) {
      this.#want(address, "control-plane", undefined, [{ protocol: "TCP", port: this.config.controlPlanePort }]);
    }
  }

  service(service: Service): void {
    const key = serviceKey(service);
    const asked = askedAddresses(service, this.config);
    if (asked.type === "skip") {
      this.#skip(service, asked.reason);
      if (this.#held("services")) this.#decideStatus(service, clearStatus(service));
      return;
    }
    if (!this.#linkKnown()) {
      const name = this.#iface ?? "the link of the default route";
      this.#skipped.set(key, { code: "noInterface", message: `${name} is not there` });
      return;
    }
    const served = asked.addresses.filter((address) => this.#held(this.#ownership(address)));
    if (served.length === 0) {
      const holder = this.world.ownership.get("services")?.holder ?? "";
      this.#skipped.set(key, { code: "notOwner", message: holder === "" ? "nobody holds it yet" : `held by ${holder}` });
      return;
    }
    for (const address of served) this.#want(address, this.#ownership(address), service, service.ports);
    this.#state(service, asked.addresses);
  }

  finish(): Plan {
    const campaigns = new Set<OwnershipKey>();
    // Without the first full list there is nothing to serve, and no reason to keep another node from serving.
    if (this.config.services && this.world.services !== undefined && this.#linkKnown()) campaigns.add("services");
    if (this.config.controlPlane.length > 0 && this.#linkKnown()) campaigns.add("control-plane");
    return {
      campaigns,
      wants: { arp: this.#wants },
      statuses: this.#statuses,
      events: this.#events,
      skipped: this.#skipped,
      settled: this.#settled(),
    };
  }

  /** A lease that is free, or names this node from an earlier life, is about to be taken: what stands under it is no leftover. */
  #settled(): boolean {
    if (this.config.services && this.world.services === undefined) return false;
    const keys: OwnershipKey[] = [];
    if (this.config.services) keys.push("services");
    if (this.config.controlPlane.length > 0) keys.push("control-plane");
    return keys.every((key) => {
      const state = this.world.ownership.get(key);
      return state?.held === true || state?.view === "other";
    });
  }

  #want(address: IpAddress, ownership: OwnershipKey, service: Service | undefined, ports: readonly Port[]): void {
    const iface = this.#iface ?? "";
    const key = vipKey(iface, address);
    const before = this.#wants.get(key);
    const owners = service === undefined ? [] : [serviceKey(service)];
    const merged = [...(before?.ports ?? []), ...ports.map(({ protocol, port }) => ({ protocol, port }))];
    this.#wants.set(key, {
      key,
      owners: [...(before?.owners ?? []), ...owners],
      iface,
      address,
      prefix: hostPrefix(address),
      ports: merged,
      ownership: before?.ownership ?? ownership,
    });
  }

  /** What the Service's status and Events should say of addresses that this node serves. */
  #state(service: Service, asked: readonly IpAddress[]): void {
    const iface = this.#iface ?? "";
    const up = asked.filter((address) => this.world.observed.get(vipKey(iface, address))?.state === "up");
    if (up.length === 0) {
      const stale = recordedAddresses(service)?.some((address) => !asked.some((a) => a === address)) ?? false;
      if (stale) this.#decideStatus(service, clearStatus(service));
      return;
    }
    this.#decideStatus(service, announceStatus(service, up, this.world.node));
    for (const address of up) {
      this.#tell(service, "Normal", "VipHeld", `${address} is held by node ${this.world.node} (ARP on ${iface})`);
    }
  }

  #decideStatus(service: Service, decision: StatusDecision): void {
    if (decision.type === "patch") this.#statuses.set(serviceKey(service), decision.patch);
    if (decision.type !== "foreign") return;
    const entries = decision.entries.join(", ");
    const message = `the status holds ${entries}, written by another controller: served, but the status is left alone`;
    this.#skip(service, { code: "foreignController", message });
  }

  #skip(service: Service, reason: SkipReason): void {
    this.#skipped.set(serviceKey(service), reason);
    if (!TELLING.has(reason.code) || !this.#held("services")) return;
    const name = `${reason.code.charAt(0).toUpperCase()}${reason.code.slice(1)}`;
    this.#tell(service, "Warning", name, reason.message);
  }

  #tell(service: Service, type: EventDraft["type"], reason: string, message: string): void {
    this.#events.set(`${service.uid} ${reason} ${message}`, { service, type, reason, message });
  }

  /** A Service on the control-plane address goes where the control plane is: one address, one owner. */
  #ownership(address: IpAddress): OwnershipKey {
    return this.config.controlPlane.includes(address) ? "control-plane" : "services";
  }

  #held(key: OwnershipKey): boolean {
    return this.world.ownership.get(key)?.held === true;
  }

  #linkKnown(): boolean {
    return this.#iface !== undefined && this.world.links.has(this.#iface);
  }
}
