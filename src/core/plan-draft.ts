import { messageOf } from "../lib/errors.js";
import { familyOf, hostPrefix, type IpAddress } from "../lib/ip.js";
import type { Wish } from "../machine/claim-state.js";
import type { Stance } from "../machine/election-state.js";
import type { EventDraft, Service } from "../ports/kube.js";
import { NO_ENDPOINTS, type ServiceEndpoints } from "./endpoints.js";
import { fitness, KUBE_PROXY_HEALTH_PORT, readinessPort, type Fitness } from "./eligible.js";
import type { Placed, PlacedAddress } from "./layout.js";
import { recordedExternalIPs } from "./external-ips.js";
import { AddressInUse } from "./mode.js";
import { isShared, romanaKey, serviceKey, vipKey, type Dnat, type LinkKey, type LinkWant, type OwnershipKey, type Port, type ServiceKey, type Vip, type VipKey } from "./model.js";
import type { PlanConfig } from "./plan-model.js";
import { configured, mainLink, poolLink, serviceLink, subnetOf, type LinkChoice, type VlanAsked } from "./plan-links.js";
import { reservedFor } from "./plan-reserved.js";
import { wishOf } from "./plan-wishes.js";
import { dnatOf, romanaStance, trafficOf, type RomanaTraffic } from "./plan-romana.js";
import { GRANTED, TELLING, type SkipReason } from "./plan-service.js";
import { Writes, type ServiceChange } from "./plan-writes.js";
import { announceStatus, clearStatus, type StatusPatch } from "./status.js";
import type { World } from "./world.js";

/** What follows for one Service, or for the control plane. */
export interface Outcome {
  readonly vips: readonly Vip[];
  readonly links: readonly LinkWant[];
  readonly dnat: readonly Dnat[];
  readonly skipped: SkipReason | undefined;
  readonly status: StatusPatch | undefined;
  readonly change: ServiceChange | undefined;
  readonly events: readonly (readonly [string, EventDraft])[];
  readonly names: readonly string[];
  readonly checks: readonly number[];
  /** How this node stands towards the Romana VIP that it is. */
  readonly stance: Stance | undefined;
  /** What this node wants of its owner's key, where that is one of many. */
  readonly wish: Wish | undefined;
  readonly problems: readonly string[];
}

export function controlPlaneOutcome(world: World, config: PlanConfig): Outcome {
  const draft = new Draft(world, config);
  draft.controlPlane();
  return draft.outcome();
}

export function serviceOutcome(placed: Placed, world: World, config: PlanConfig): Outcome {
  const draft = new Draft(world, config);
  draft.service(placed);
  return draft.outcome(placed.service);
}

/** One outcome in the making. */
class Draft {
  readonly #vips: Vip[] = [];
  readonly #links = new Map<LinkKey, LinkWant>();
  readonly #dnat: Dnat[] = [];
  #skipped: SkipReason | undefined;
  readonly #problems: string[] = [];
  readonly #names: string[] = [];
  readonly #checks: number[] = [];
  readonly #writes = new Writes();
  #stance: Stance | undefined;
  #wish: Wish | undefined;

  constructor(
    private readonly world: World,
    private readonly config: PlanConfig,
  ) {}

  controlPlane(): void {
    const link = mainLink(this.world, this.config);
    const state = this.world.ownership.get("control-plane");
    if (state?.held !== true || link.type !== "link") return;
    const ports: readonly Port[] = [{ protocol: "TCP", port: this.config.controlPlanePort }];
    for (const address of this.config.controlPlane) {
      // A host address is what a kube-vip that was killed leaves behind: it is taken over. Another is an address of the node.
      const own = configured(this.world, address);
      if (own !== undefined && own.prefix !== hostPrefix(address)) {
        this.#problems.push(`control-plane address ${address}/${own.prefix} is configured on ${own.link} of this node by somebody else: not touched`);
      } else this.#want({ address, iface: link.name, ownership: "control-plane", owner: undefined, ports, fresh: state.created });
    }
  }

  service(placed: Placed): void {
    const { service, facts } = placed;
    if (facts.asked.type === "skip") {
      this.#skip(service, facts.asked.reason);
      if (this.#owns("services")) this.#writes.clear(service);
      return;
    }
    this.#prepare(placed);
    const fit = fitness(placed, this.world);
    const up: IpAddress[] = [];
    const lost: IpAddress[] = [];
    let { reason } = placed;
    for (const entry of placed.addresses) {
      const outcome = this.#address(placed, entry, fit);
      if (typeof outcome === "object") {
        reason ??= outcome;
        if (ANOTHERS.has(outcome.code)) lost.push(entry.address);
      } else if (outcome === "up") up.push(entry.address);
    }
    if (placed.romana) this.#externalIPs(placed, { up, lost });
    if (this.#isAnothers(placed, fit)) reason = this.#notOwner(placed.owner);
    // Whoever owns it looks its names up.
    if (isShared(placed.owner) && placed.names.length > 0) this.#wish ??= wishOf(placed, { fit, usable: true, sick: false, endpoints: this.#endpoints(placed) });
    if (placed.romana && placed.addresses.length === 0) reason ??= this.#noAddressYet();
    if (reason !== undefined) this.#skip(service, reason, tells(reason, placed));
    this.#say(placed, up);
  }

  outcome(service?: Service): Outcome {
    const key = service === undefined ? undefined : serviceKey(service);
    const { statuses, changes, events } = this.#writes;
    return {
      vips: this.#vips,
      links: [...this.#links.values()],
      dnat: this.#dnat,
      skipped: this.#skipped,
      status: key === undefined ? undefined : statuses.get(key),
      change: key === undefined ? undefined : changes.get(key),
      events: [...events],
      names: this.#names,
      checks: this.#checks,
      stance: this.#stance,
      wish: this.#wish,
      problems: this.#problems,
    };
  }

  /** What another node has to decide is not said here; a Romana VIP tells what is wrong with itself on every node, and so does an owner's key of its own. */
  #isAnothers({ romana, owner, addresses }: Placed, fit: Fitness): boolean {
    if (romana || this.#held(owner) || !addresses.every(({ ownership }) => ownership === owner)) return false;
    return !isShared(owner) || fit.type !== "unfit";
  }

  /** What has to be known or said before it can be decided who serves it. */
  #prepare(placed: Placed): void {
    const { service, addresses, romana, owner } = placed;
    const { asked } = placed.facts;
    if (this.#owns(owner)) this.#names.push(...placed.names);
    if (this.#owns("services")) {
      // Its owner may be another node.
      const granted = asked.type === "any" && (romana || this.config.election) ? addresses.map(({ address }) => address).join(",") : "";
      if (granted !== "") this.#writes.annotate(service, { [GRANTED]: granted });
      if (!romana) this.#writes.clearRomana(service);
      if (asked.type === "entries" && asked.from !== GRANTED && asked.from !== "status") this.#writes.forgetGrant(service);
    }
    if (!this.config.dataplaneCheck) return;
    const port = readinessPort(placed);
    this.#checks.push(KUBE_PROXY_HEALTH_PORT);
    if (port !== undefined && this.world.endpoints?.get(placed.facts.key)?.local === "ready") this.#checks.push(port);
  }

  /** Wants one address of a Service; says whether it is up, on its way, or why it is not served here. */
  #address(placed: Placed, { address, ownership, refused, mixedWith }: PlacedAddress, fit: Fitness): "up" | "pending" | SkipReason {
    const { service, facts } = placed;
    const link = ownership === "control-plane" ? mainLink(this.world, this.config) : this.#link(placed, address);
    const reserved = refused ?? reservedFor({ address, ownership, service, facts }, this.world);
    if (isShared(ownership)) this.#campaign(placed, { fit, usable: reserved === undefined && link.type !== "none" });
    if (reserved !== undefined) return reserved;
    if (this.config.election && facts.asked.type === "any" && ownership === "services") return { code: "waiting", message: `${address} is given to it; it is owned once that is written down` };
    if (!this.#held(ownership)) return isShared(ownership) && fit.type === "unfit" ? fit.reason : this.#notOwner(ownership);
    if (mixedWith !== undefined) this.#tellMixed(service, address, mixedWith);
    if (fit.type === "unfit" && !handsOver(placed, fit)) return proposing(fit.reason, placed, ownership);
    if (link.type === "none") return { code: link.code, message: link.message };
    if (link.type === "pending") return this.#pendingLink(link.vlan, facts.key);
    if (link.vlan !== undefined) this.#wantLink(link.vlan, facts.key);
    const fresh = facts.recorded?.includes(address) !== true;
    // Who handed it over before it could say so in the Service would be taken for a stranger.
    if (fresh && isShared(ownership) && this.world.ownership.get(ownership)?.heir === true) return "pending";
    const key = this.#want({ address, iface: link.name, ownership, owner: facts.key, ports: service.ports, fresh });
    const traffic = placed.romana ? this.#lead(placed, key, address) : undefined;
    return this.#observed({ placed, key, address, iface: link.name, traffic });
  }

  #observed(of: { readonly placed: Placed; readonly key: VipKey; readonly address: IpAddress; readonly iface: string; readonly traffic: RomanaTraffic | undefined }): "up" | "pending" | SkipReason {
    const { placed, key, address, iface, traffic } = of;
    const observed = this.world.observed.get(key);
    if (observed?.state === "failed" && observed.error instanceof AddressInUse) return { code: "addressInUse", message: inUseMessage(observed.error) };
    if (observed?.state !== "up") return "pending";
    const how = `${familyOf(address) === 4 ? "ARP" : "NDP"} on ${iface}`;
    this.#tell(placed.service, "Normal", "VipHeld", `${address} is held by node ${this.world.node} (${how})${traffic === undefined ? "" : `; ${traffic.says}`}`);
    const rival = this.world.conflicts.get(key);
    if (rival !== undefined) this.#tell(placed.service, "Warning", "AddressConflict", `${address} on ${iface} is announced by ${rival} too: kept and defended, every ten seconds at the most`);
    return "up";
  }

  #endpoints({ facts }: Placed): ServiceEndpoints {
    return this.world.endpoints?.get(facts.key) ?? NO_ENDPOINTS;
  }

  #link({ service }: Placed, address: IpAddress): LinkChoice {
    return serviceLink(this.world, this.config, { address, service, pool: poolLink(this.world, service.namespace, address) });
  }

  #campaign(placed: Placed, { fit, usable }: { readonly fit: Fitness; readonly usable: boolean }): void {
    const proxied = !placed.romana || trafficOf(placed, this.world, this.config).type !== "nft";
    const sick = proxied && this.world.dataplane.get(KUBE_PROXY_HEALTH_PORT) === "notReady";
    const wish = wishOf(placed, { fit, usable, sick, endpoints: this.#endpoints(placed) });
    if (this.#wish?.fit !== "drop") this.#wish = wish;
    if (!placed.romana) return;
    const stance = romanaStance({ fit, usable, sick });
    // With several addresses, the one that cannot be served decides.
    if (this.#stance !== "drop") this.#stance = stance;
  }

  /** Leads the traffic of a Romana VIP that is held here to its pods. */
  #lead(placed: Placed, key: VipKey, address: IpAddress): RomanaTraffic {
    const traffic = trafficOf(placed, this.world, this.config);
    if (traffic.type !== "nft") return traffic;
    this.#dnat.push(dnatOf(placed, { key, address, endpoints: this.world.endpoints?.get(placed.facts.key) }));
    const observed = this.world.observedDnat.get(key);
    if (observed?.state === "failed") this.#tell(placed.service, "Warning", "DatapathFailed", `no traffic to ${address} reaches the pods: ${messageOf(observed.error)}`);
    return traffic;
  }

  /**
   * An entry comes only once the address is held: kube-proxy leads traffic to it away from whoever has the address. It stays while the VIP moves. Where no node
   * can hold the VIP, the holder of the Services takes back what must not stay.
   */
  #externalIPs(placed: Placed, { up, lost }: { readonly up: readonly IpAddress[]; readonly lost: readonly IpAddress[] }): void {
    const { service, facts, addresses } = placed;
    const mine = this.#held(romanaKey(facts.key));
    if (!mine && !this.#held("services")) return;
    const refused = this.world.externalIPsRefused.get(service.uid);
    if (mine && refused !== undefined) this.#writes.rememberRefusal(service, refused);
    const recorded = recordedExternalIPs(service);
    const wanted = addresses.filter(({ address }) => !lost.includes(address) && ((mine && up.includes(address)) || recorded.includes(address)));
    const byProxy = !mine || trafficOf(placed, this.world, this.config).type === "externalIPs";
    this.#writes.externalIPs(service, byProxy ? wanted.map(({ address }) => address) : []);
  }

  #pendingLink(vlan: VlanAsked, owner: ServiceKey): SkipReason {
    this.#wantLink(vlan, owner);
    const observed = this.world.observedLinks.get(vlan.key);
    if (observed?.state === "failed") {
      return { code: "invalidInterface", message: `${vlan.key} cannot be made on ${vlan.parent}: ${messageOf(observed.error)}` };
    }
    return { code: "linkPending", message: `${vlan.key} is being made on ${vlan.parent}` };
  }

  #wantLink(vlan: VlanAsked, owner: ServiceKey): void {
    this.#links.set(vlan.key, { ...vlan, owners: [owner] });
  }

  #want(asked: AskedVip): VipKey {
    const { address, iface, ownership, owner, ports, fresh } = asked;
    const key = vipKey(iface, address);
    this.#vips.push({
      key,
      owners: owner === undefined ? [] : [owner],
      iface,
      address,
      ...subnetOf(this.world, { iface, address, asked: this.config.prefixes[familyOf(address)] }),
      ports: ports.map(({ protocol, port }) => ({ protocol, port })),
      ownership,
      fresh,
    });
    return key;
  }

  /** What the status of a Service should say whose addresses are this node's to announce. */
  #say(placed: Placed, up: readonly IpAddress[]): void {
    const { service, facts, addresses } = placed;
    if (!this.#writesStatus(placed)) return;
    if (this.world.rivals.has(service.uid)) {
      const by = service.statusManager === undefined ? "another controller" : `another controller (${service.statusManager})`;
      this.#skip(service, { code: "foreignController", message: `its status is replaced by ${by} again and again: served, but the status is left alone for some minutes` });
      return;
    }
    const elsewhere = ({ address, ownership }: PlacedAddress): boolean => !this.#held(ownership) && (this.world.ownership.get(ownership)?.holder ?? "") !== "" && !up.includes(address);
    const shown = addresses.filter((entry) => entry.refused === undefined && (up.includes(entry.address) || (up.length > 0 && elsewhere(entry)))).map(({ address }) => address);
    const allowed = new Set(addresses.filter(({ refused }) => refused === undefined).map(({ address }) => address));
    const stale = facts.recorded?.some((address) => !allowed.has(address)) ?? false;
    const decision = shown.length > 0 ? announceStatus(service, shown, this.world.node) : stale ? clearStatus(service) : undefined;
    const foreign = decision === undefined ? [] : this.#writes.status(service, decision);
    if (foreign.length === 0) return;
    const by = service.statusManager === undefined ? "another controller" : service.statusManager;
    this.#skip(service, { code: "foreignController", message: `the status holds ${foreign.join(", ")}, written by ${by}: served, but the status is left alone` });
  }

  /** One node writes a status: the owner; of a Service that is partly on the control plane's address, the owner of the rest. */
  #writesStatus({ addresses, owner }: Placed): boolean {
    // What nobody may have, nobody holds: then what was said before is taken back.
    if (isShared(owner) && addresses.every(({ refused }) => refused !== undefined)) return this.#owns("services");
    const onlyControlPlane = addresses.length > 0 && addresses.every(({ ownership }) => ownership === "control-plane");
    return this.#owns(onlyControlPlane ? "control-plane" : owner);
  }

  #tellMixed(service: Service, address: IpAddress, other: ServiceKey): void {
    const message = `${address} is shared with ${other}, whose externalTrafficPolicy is another: the address is where either can be served, and each Service goes by its own policy there`;
    this.#tell(service, "Normal", "MixedTrafficPolicies", message);
  }

  #notOwner(ownership: OwnershipKey): SkipReason {
    const holder = this.world.ownership.get(ownership)?.holder ?? "";
    return { code: "notOwner", message: holder === "" ? "nobody holds it yet" : `held by ${holder}` };
  }

  #noAddressYet(): SkipReason {
    const holder = this.world.ownership.get("services")?.holder ?? "";
    return { code: "waiting", message: `an address is given to it by the node that holds the Services (${holder === "" ? "nobody yet" : holder})` };
  }

  #skip(service: Service, reason: SkipReason, telling = TELLING.has(reason.code)): void {
    this.#skipped = reason;
    // What stands in the way of a Romana VIP, its holder may be the only one to know.
    if (!telling || !(this.#held("services") || this.#held(romanaKey(serviceKey(service))))) return;
    const name = `${reason.code.charAt(0).toUpperCase()}${reason.code.slice(1)}`;
    this.#tell(service, "Warning", name, reason.message);
  }

  #tell(service: Service, type: "Normal" | "Warning", reason: string, message: string): void {
    this.#writes.event(service, type, { reason, message });
  }

  /** Holds it and is not giving it up: while it is handed over the heir speaks for it, and two that write one status would go on for ever. */
  #owns(key: OwnershipKey): boolean {
    return this.#held(key) && this.world.ownership.get(key)?.view === "mine";
  }

  #held(key: OwnershipKey): boolean {
    return this.world.ownership.get(key)?.held === true;
  }
}

/** The address is another's: nothing may lead traffic to it to the pods of this Service. */
const ANOTHERS: ReadonlySet<SkipReason["code"]> = new Set<SkipReason["code"]>(["addressInUse", "addressTaken", "addressOfNode", "addressOfGateway", "addressOfApi"]);

/** Whether a person has to change something about this Service. */
function tells({ code }: SkipReason, { romana, owner }: Placed): boolean {
  // A Romana VIP from a pool was asked for by name; a plain Service without an address may be another program's to serve.
  if (romana && code === "noAddress") return true;
  // Where its pods are on another node, it is held by that one.
  if (isShared(owner) && code === "holderHasNoEndpoint") return false;
  return TELLING.has(code);
}

interface AskedVip {
  readonly address: IpAddress;
  readonly iface: string;
  readonly ownership: OwnershipKey;
  readonly owner: ServiceKey | undefined;
  readonly ports: readonly Port[];
  readonly fresh: boolean;
}

/** The pods are elsewhere, and so will the VIP be: until its next owner has it, it is better here than nowhere. */
function handsOver({ owner }: Placed, { reason }: { readonly reason: SkipReason }): boolean {
  return isShared(owner) && reason.code !== "noEndpoints";
}

/** Where one node holds all Services, only a Service of its own could follow its endpoints. */
function proposing(reason: SkipReason, { romana }: Placed, ownership: OwnershipKey): SkipReason {
  if (romana || reason.code !== "holderHasNoEndpoint" || ownership !== "services") return reason;
  return { ...reason, message: `${reason.message}; with svc_election each Service is held where its endpoints are` };
}

function inUseMessage({ address, iface, mac, proxy }: AddressInUse): string {
  const hint = proxy ? "; it answers for every address (proxy ARP): turn that off there, or set duplicate_check to off here" : "";
  return `${address} is in use on ${iface} by ${mac}, not taken; looked at again every ten seconds${hint}`;
}
