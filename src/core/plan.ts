import { familyOf, hostPrefix, type IpAddress } from "../lib/ip.js";
import type { Stance } from "../machine/election-state.js";
import type { EventDraft, Service } from "../ports/kube.js";
import { AddressInUse } from "./mode.js";
import { serviceKey, vipKey, type OwnershipKey, type Port, type ServiceKey, type Vip, type VipKey } from "./model.js";
import { canServe, configured, mainLink, serviceLink, type LinkPlanConfig } from "./plan-links.js";
import { PlanMemo, type ServiceFacts } from "./plan-memo.js";
import { TELLING, type ServicePlanConfig, type SkipReason } from "./plan-service.js";
import { announceStatus, clearStatus, VIP_HOST, type StatusDecision, type StatusPatch } from "./status.js";
import type { World } from "./world.js";

export interface PlanConfig extends ServicePlanConfig, LinkPlanConfig {
  /** Serve Services of type LoadBalancer. */
  readonly services: boolean;
  /** Addresses of the control-plane VIP; empty where there is none. */
  readonly controlPlane: readonly IpAddress[];
  readonly controlPlanePort: number;
}

/** What this node should do, and for every Service that it does not serve, why not. */
export interface Plan {
  /** How this node should stand towards each ownership; those that are not named are left to others. */
  readonly campaigns: ReadonlyMap<OwnershipKey, Stance>;
  readonly wants: { readonly arp: ReadonlyMap<VipKey, Vip> };
  readonly statuses: ReadonlyMap<ServiceKey, StatusPatch>;
  /** Facts to tell about Services, by what makes each of them one fact. */
  readonly events: ReadonlyMap<string, EventDraft>;
  readonly skipped: ReadonlyMap<ServiceKey, SkipReason>;
  /** What a person has to change and no Service stands for. */
  readonly problems: readonly string[];
  /** False while something is not known yet, so that what an earlier life left must not be judged. */
  readonly settled: boolean;
}

/** Pure: the same world gives the same plan. `memo` only saves work; it is kept from pass to pass by who plans again and again. */
export function plan(world: World, config: PlanConfig, memo: PlanMemo = new PlanMemo()): Plan {
  const draft = new Draft(world, config);
  draft.controlPlane();
  for (const service of memo.sorted(world.services)) draft.service(service, memo.facts(service, config));
  return draft.finish();
}

class Draft {
  readonly #wants = new Map<VipKey, Vip>();
  readonly #statuses = new Map<ServiceKey, StatusPatch>();
  readonly #events = new Map<string, EventDraft>();
  readonly #skipped = new Map<ServiceKey, SkipReason>();
  readonly #problems: string[] = [];

  constructor(
    private readonly world: World,
    private readonly config: PlanConfig,
  ) {}

  controlPlane(): void {
    const link = mainLink(this.world, this.config);
    const state = this.world.ownership.get("control-plane");
    if (state?.held !== true || link.type === "none") return;
    const ports: readonly Port[] = [{ protocol: "TCP", port: this.config.controlPlanePort }];
    for (const address of this.config.controlPlane) {
      // A host address is what a kube-vip that was killed leaves behind: it is taken over. Another is an address of the node.
      const own = configured(this.world, address);
      if (own !== undefined && own.prefix !== hostPrefix(address)) {
        this.#problems.push(`control-plane address ${address}/${own.prefix} is configured on ${own.link} of this node by somebody else: not touched`);
      } else this.#want({ address, iface: link.name, ownership: "control-plane", owner: undefined, ports, fresh: state.created });
    }
  }

  service(service: Service, facts: ServiceFacts): void {
    const { asked } = facts;
    if (asked.type === "skip") {
      this.#skip(service, asked.reason);
      if (this.#held("services")) this.#decideStatus(service, clearStatus(service));
      return;
    }
    const up: IpAddress[] = [];
    let reason: SkipReason | undefined;
    for (const address of asked.addresses) {
      const outcome = this.#serviceAddress(service, facts, address);
      if (typeof outcome === "object") reason ??= outcome;
      else if (outcome === "up") up.push(address);
    }
    if (reason !== undefined) this.#skip(service, reason);
    if (reason?.code !== "notOwner") this.#say(service, facts, asked.addresses, up);
  }

  finish(): Plan {
    return {
      campaigns: this.#campaigns(),
      wants: { arp: this.#wants },
      statuses: this.#statuses,
      events: this.#events,
      skipped: this.#skipped,
      problems: this.#problems,
      settled: this.#settled(),
    };
  }

  #campaigns(): ReadonlyMap<OwnershipKey, Stance> {
    const { world, config } = this;
    const campaigns = new Map<OwnershipKey, Stance>();
    // Without the first full list there is nothing to serve, and no reason to keep another node from serving.
    if (config.services && world.services !== undefined) campaigns.set("services", canServe(world, config) ? "run" : "drop");
    if (config.controlPlane.length === 0) return campaigns;
    campaigns.set("control-plane", mainLink(world, config).type === "none" ? "drop" : controlPlaneStance(world.controlPlaneHealth));
    return campaigns;
  }

  /** Wants one address of a Service; says whether it is up, on its way, or why it is not served here. */
  #serviceAddress(service: Service, facts: ServiceFacts, address: IpAddress): "up" | "pending" | SkipReason {
    const ownership = ownershipOf(address, this.config);
    if (!this.#held(ownership)) {
      const holder = this.world.ownership.get(ownership)?.holder ?? "";
      return { code: "notOwner", message: holder === "" ? "nobody holds it yet" : `held by ${holder}` };
    }
    const own = configured(this.world, address);
    if (own !== undefined && !isLeftover(own.prefix, { address, ownership, service, node: this.world.node })) {
      return { code: "addressOfNode", message: `${address}/${own.prefix} is configured on ${own.link} of node ${this.world.node} by somebody else: not touched` };
    }
    const link = ownership === "control-plane" ? mainLink(this.world, this.config) : serviceLink(this.world, this.config, address);
    if (link.type === "none") return { code: link.code, message: link.message };
    const fresh = facts.recorded?.includes(address) !== true;
    const key = this.#want({ address, iface: link.name, ownership, owner: facts.key, ports: service.ports, fresh });
    const observed = this.world.observed.get(key);
    if (observed?.state === "failed" && observed.error instanceof AddressInUse) {
      return { code: "addressInUse", message: inUseMessage(observed.error) };
    }
    if (observed?.state !== "up") return "pending";
    this.#tell(service, "Normal", "VipHeld", `${address} is held by node ${this.world.node} (${familyOf(address) === 4 ? "ARP" : "NDP"} on ${link.name})`);
    const rival = this.world.conflicts.get(key);
    if (rival !== undefined) {
      this.#tell(service, "Warning", "AddressConflict", `${address} on ${link.name} is announced by ${rival} too: kept and defended, every ten seconds at the most`);
    }
    return "up";
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

  #want(asked: AskedVip): VipKey {
    const { address, iface, ownership, owner, ports, fresh } = asked;
    const key = vipKey(iface, address);
    const before = this.#wants.get(key);
    const merged = [...(before?.ports ?? []), ...ports.map(({ protocol, port }) => ({ protocol, port }))];
    this.#wants.set(key, {
      key,
      owners: [...(before?.owners ?? []), ...(owner === undefined ? [] : [owner])],
      iface,
      address,
      prefix: hostPrefix(address),
      ports: merged,
      ownership,
      fresh: fresh && before?.fresh !== false,
    });
    return key;
  }

  /** What the status of a Service should say whose addresses are this node's to announce. */
  #say(service: Service, { recorded }: ServiceFacts, asked: readonly IpAddress[], up: readonly IpAddress[]): void {
    if (up.length > 0) {
      this.#decideStatus(service, announceStatus(service, up, this.world.node));
      return;
    }
    const stale = recorded?.some((address) => !asked.some((a) => a === address)) ?? false;
    if (stale) this.#decideStatus(service, clearStatus(service));
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

  #held(key: OwnershipKey): boolean {
    return this.world.ownership.get(key)?.held === true;
  }
}

/**
 * A host address that a kube-vip left behind when it was killed: of the control plane, or of a Service that it says is announced by this node. Such
 * a one is taken over.
 */
function isLeftover(prefix: number, of: { address: IpAddress; ownership: OwnershipKey; service: Service; node: string }): boolean {
  if (prefix !== hostPrefix(of.address)) return false;
  return of.ownership === "control-plane" || of.service.annotations[VIP_HOST] === of.node;
}

/** Until the first answer a node takes no part: it comes within milliseconds, and says whether this node is one to take the VIP. */
function controlPlaneStance(health: World["controlPlaneHealth"]): Stance {
  switch (health) {
    case undefined:
    case "healthy":
      return "run";
    case "sick":
      return "yield";
    case "unknown":
      return "out";
  }
}

/** A Service on the control-plane address goes where the control plane is: one address, one owner. */
export function ownershipOf(address: IpAddress, { controlPlane }: Pick<PlanConfig, "controlPlane">): OwnershipKey {
  return controlPlane.includes(address) ? "control-plane" : "services";
}

interface AskedVip {
  readonly address: IpAddress;
  readonly iface: string;
  readonly ownership: OwnershipKey;
  readonly owner: ServiceKey | undefined;
  readonly ports: readonly Port[];
  readonly fresh: boolean;
}

function inUseMessage({ address, iface, mac, proxy }: AddressInUse): string {
  const hint = proxy ? "; it answers for every address (proxy ARP): turn that off there, or set duplicate_check to off here" : "";
  return `${address} is in use on ${iface} by ${mac}, not taken; looked at again every ten seconds${hint}`;
}
