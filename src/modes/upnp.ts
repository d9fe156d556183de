import type { DownReason, Held, VipMode } from "../core/mode.js";
import type { Mapping, MappingKey, MappingView } from "../core/model.js";
import { messageOf } from "../lib/errors.js";
import type { IpAddress } from "../lib/ip.js";
import { Drive } from "../machine/drive.js";
import { upnpMappingStep } from "../machine/upnp-mapping.js";
import {
  UPNP_TIMING,
  upnpMappingStart,
  type UpnpMappingAction,
  type UpnpMappingEvent,
  type UpnpMappingState,
  type UpnpRequest,
  type UpnpStatus,
} from "../machine/upnp-mapping-state.js";
import type { PortMapping } from "../wire/soap-igd.js";
import { choosesPort, IgdError, map, unmap } from "./upnp-igd.js";
import { LinkGateway, type UpnpDeps } from "./upnp-link.js";
import { Turns } from "./upnp-turns.js";

export type { UpnpDeps, UpnpTrouble } from "./upnp-link.js";

export interface UpnpModeDeps extends UpnpDeps {
  /** What became of a mapping; undefined: it is gone. */
  report(key: MappingKey, view: MappingView | undefined): void;
}

/** Requests to the router of a link at once: theirs are small servers. */
const AT_ONCE = 3;
/** How long `down` waits for a router. Then the end of the lease is left to do it. */
const REMOVE_MS = 1500;
const ASKING: UpnpStatus = { kind: "asking" };

/**
 * UPnP mode: ports of VIPs opened at the gateway of their link (UPnP IGD 1 and 2), asked for from the VIP itself. What an earlier life left ends with its
 * lease, or is refreshed by whoever holds the VIP now: a mapping leads to the VIP, not to a node.
 */
export function createUpnpMode(deps: UpnpModeDeps): VipMode<"upnp"> {
  return new UpnpMode(deps);
}

interface Entry {
  want: Mapping;
  readonly site: Site;
  readonly drive: Drive<UpnpMappingState, UpnpMappingEvent, UpnpMappingAction>;
  readonly requests: Map<number, AbortController>;
  view: MappingView | undefined;
  /** Called when nothing is left at the gateway. */
  removed: () => void;
}

/** One link with its gateway. */
interface Site {
  readonly gateway: LinkGateway;
  readonly entries: Set<Entry>;
  readonly turns: Turns;
  /** The mapping that the next check looks at. */
  nextSample: number;
}

class UpnpMode implements VipMode<"upnp"> {
  readonly name = "upnp";
  readonly #entries = new Map<MappingKey, Entry>();
  readonly #sites = new Map<string, Site>();

  constructor(private readonly deps: UpnpModeDeps) {}

  /** Accepted at once: how it goes on is reported. */
  async up(want: Mapping, signal: AbortSignal): Promise<void> {
    // A caller that aborts in the same turn is heard.
    await Promise.resolve();
    signal.throwIfAborted();
    const entry = this.#entries.get(want.key);
    if (entry === undefined || !entry.drive.state.wanted) {
      if (entry !== undefined) await this.#forget(want.key, entry);
      this.#add(want);
      return;
    }
    const { leaseSeconds } = entry.want;
    entry.want = want;
    if (leaseSeconds !== want.leaseSeconds) this.#send(entry, { type: "restarted" });
  }

  /** What another node holds now is left to that node: the mapping leads to the VIP, and removing it would cut it off. */
  async down(key: MappingKey, reason: DownReason, signal: AbortSignal): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (reason !== "notOwner") await this.#removed(entry, signal);
    await this.#forget(key, entry);
  }

  async held(): Promise<readonly Held<"upnp">[]> {
    return [];
  }

  /** What is not taken down stays at the gateway until its lease ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [key, entry] of this.#entries) await this.#forget(key, entry);
  }

  #add(want: Mapping): void {
    const site = this.#site(want.iface);
    const entry: Entry = { want, site, requests: new Map(), view: undefined, removed: () => undefined, drive: this.#driveOf(() => entry) };
    this.#entries.set(want.key, entry);
    site.entries.add(entry);
    this.#tellGateway(entry);
    if (site.entries.size === 1) site.gateway.start();
  }

  #driveOf(entry: () => Entry): Entry["drive"] {
    const { clock } = this.deps;
    const step = (state: UpnpMappingState, event: UpnpMappingEvent, now: number): ReturnType<typeof upnpMappingStep> => {
      const { port, leaseSeconds } = entry().want;
      return upnpMappingStep(state, event, now, { externalPort: port, leaseSeconds, anyPort: true, timing: UPNP_TIMING });
    };
    const tick = (): UpnpMappingEvent => ({ type: "tick", random: this.deps.random.float() });
    return new Drive({ start: upnpMappingStart(), step, tick, act: (action: UpnpMappingAction) => this.#act(entry(), action), moved: () => this.#moved(entry()) }, clock);
  }

  #site(link: string): Site {
    const known = this.#sites.get(link);
    if (known !== undefined) return known;
    const entries = new Set<Entry>();
    const client = {
      source: (): IpAddress | undefined => entries.values().next().value?.want.address,
      sample: () => this.#sample(link),
      changed: () => {
        for (const entry of entries) this.#tellGateway(entry);
      },
      restarted: () => {
        for (const entry of entries) this.#send(entry, { type: "restarted" });
      },
    };
    const site: Site = { gateway: new LinkGateway(link, client, this.deps), entries, turns: new Turns(AT_ONCE), nextSample: 0 };
    this.#sites.set(link, site);
    return site;
  }

  /** A different one for each check. */
  #sample(link: string): PortMapping | undefined {
    const site = this.#sites.get(link);
    const mapped = [...(site?.entries ?? [])].filter(({ drive }) => drive.state.held?.sure === true);
    if (site === undefined || mapped.length === 0) return undefined;
    site.nextSample = (site.nextSample + 1) % mapped.length;
    const entry = mapped[site.nextSample];
    return entry === undefined ? undefined : portMapping(entry.want, entry.drive.state.held?.externalPort ?? entry.want.port, 0);
  }

  #tellGateway(entry: Entry): void {
    const { gateway } = entry.site.gateway.state;
    const known = entry.drive.state.gateway;
    if (gateway?.id !== known?.id) this.#send(entry, { type: "gateway", gateway: gateway === undefined ? undefined : { id: gateway.id, choosesPort: choosesPort(gateway.service) } });
    else this.#moved(entry);
  }

  #send(entry: Entry, event: EventBody): void {
    entry.drive.send({ ...event, random: this.deps.random.float() });
  }

  #act(entry: Entry, action: UpnpMappingAction): void {
    if (action.type === "cancel") {
      entry.requests.get(action.id)?.abort(new DOMException("no longer of interest", "AbortError"));
      return;
    }
    void this.#ask(entry, action);
  }

  async #ask(entry: Entry, request: UpnpRequest): Promise<void> {
    const abort = new AbortController();
    entry.requests.set(request.id, abort);
    try {
      const event = await entry.site.turns.run(async () => this.#answer(entry, request, abort.signal), abort.signal);
      this.#send(entry, event);
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error instanceof IgdError) this.deps.refused(error.code);
      this.deps.log.warn("gateway did not answer as it should", { mapping: entry.want.key, request: request.type, error: messageOf(error) });
      this.#send(entry, { type: "failed", id: request.id, reason: error instanceof Error ? error.message : String(error) });
      entry.site.gateway.doubt();
    } finally {
      entry.requests.delete(request.id);
    }
  }

  async #answer({ want, site }: Entry, request: UpnpRequest, signal: AbortSignal): Promise<EventBody> {
    const { gateway } = site.gateway.state;
    const { id, externalPort } = request;
    if (gateway === undefined) return { type: "failed", id, reason: "no gateway" };
    const deps = { http: this.deps.http, from: want.address };
    if (request.type === "map") {
      const answer = await map(deps, gateway, { ...portMapping(want, externalPort, request.leaseSeconds), anyPort: request.anyPort }, signal);
      return answer.type === "mapped" ? { ...answer, id, leaseSeconds: undefined } : { ...answer, id };
    }
    const mapping = { ...portMapping(want, externalPort, 0), sure: request.sure };
    try {
      await unmap(deps, gateway, mapping, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof IgdError) || error.code !== "network") throw error;
      // The address may be gone; a router that is not in secure mode listens to any other.
      await unmap({ ...deps, from: undefined }, gateway, mapping, signal);
    }
    return { type: "unmapped", id };
  }

  #moved(entry: Entry): void {
    const { status } = entry.drive.state;
    if (status.kind === "removed") {
      entry.removed();
      return;
    }
    const { gateway, searched, reason } = entry.site.gateway.state;
    const view: MappingView = {
      status: status.kind === "noGateway" && !searched ? ASKING : status,
      gateway: gateway === undefined ? undefined : { name: gateway.name, host: gateway.host, externalAddress: gateway.externalAddress },
      reason,
    };
    if (sameView(view, entry.view) || this.#entries.get(entry.want.key) !== entry) return;
    this.#log(entry, view);
    entry.view = view;
    this.deps.report(entry.want.key, view);
  }

  #log({ want, view: before }: Entry, { status, gateway }: MappingView): void {
    const fields = { mapping: want.key, gateway: gateway?.name };
    if (status.kind === before?.status.kind) return;
    if (status.kind === "mapped") this.deps.log.info("port opened at the gateway", { ...fields, external: gateway?.externalAddress, port: status.externalPort });
    else if (status.kind === "refused") this.deps.log.warn("port not opened: refused by the gateway", { ...fields, code: status.code, text: status.text });
    else if (status.kind === "noGateway") this.deps.log.warn("port not opened: no gateway answers", fields);
  }

  /** Resolves when nothing is left at the gateway, or it took too long. */
  async #removed(entry: Entry, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const late = this.deps.clock.after(REMOVE_MS, () => {
        this.deps.log.warn("port not closed in time: it closes when its lease ends", { mapping: entry.want.key });
        resolve();
      });
      entry.removed = () => {
        late.cancel();
        resolve();
      };
      signal.addEventListener("abort", entry.removed, { once: true });
      this.#send(entry, { type: "down" });
    });
    signal.throwIfAborted();
  }

  async #forget(key: MappingKey, entry: Entry): Promise<void> {
    entry.drive.stop();
    for (const abort of entry.requests.values()) abort.abort(new DOMException("closing", "AbortError"));
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    this.deps.report(key, undefined);
    const { site, want } = entry;
    site.entries.delete(entry);
    if (site.entries.size > 0 || this.#sites.get(want.iface) !== site) return;
    this.#sites.delete(want.iface);
    await site.gateway[Symbol.asyncDispose]();
  }
}

type EventBody = UpnpMappingEvent extends infer E ? (E extends UpnpMappingEvent ? Omit<E, "random"> : never) : never;

function portMapping({ protocol, port, address, owners }: Mapping, externalPort: number, leaseSeconds: number): PortMapping {
  return { externalPort, protocol, internalPort: port, internalClient: address, description: `vip ${owners[0] ?? ""}`.slice(0, 60), leaseSeconds };
}

/** When it ends is of interest to the machine only: it moves with every refresh. */
function sameView(a: MappingView, b: MappingView | undefined): boolean {
  const text = (view: MappingView): string => JSON.stringify({ ...view, status: { ...view.status, until: undefined } });
  return b !== undefined && text(a) === text(b);
}
