import type { DownReason, Held, VipMode } from "../core/mode.js";
import type { Mapping, MappingKey, MappingView } from "../core/model.js";
import { messageOf } from "../lib/errors.js";
import { familyOf, type IpAddress } from "../lib/ip.js";
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
import { RouterError, type Router } from "./upnp-router.js";
import { Site, siteKey, type SiteDeps } from "./upnp-site.js";

export interface UpnpModeDeps extends SiteDeps {
  /** What became of a mapping; undefined: it is gone. */
  report(key: MappingKey, view: MappingView | undefined): void;
}

/**
 * How long `down` waits for a router; then the end of the lease is left to do it. A request that is under way is answered within 4 s, and a search for routers ends within 3 s: before
 * that nobody knows what there is to be removed.
 */
const REMOVE_MS = 5500;
const ASKING: UpnpStatus = { kind: "asking" };

/**
 * UPnP mode: ports of VIPs opened at the gateway of their link (UPnP IGD 1 and 2, PCP, NAT-PMP), asked for from the VIP itself. What an earlier life left ends with its
 * lease, or is refreshed by whoever holds the VIP now: a mapping leads to the VIP, not to a node.
 */
export function createUpnpMode(deps: UpnpModeDeps): VipMode<"upnp"> {
  return new UpnpMode(deps);
}

interface Entry {
  want: Mapping;
  readonly site: Site<Entry>;
  readonly drive: Drive<UpnpMappingState, UpnpMappingEvent, UpnpMappingAction>;
  readonly requests: Map<number, AbortController>;
  view: MappingView | undefined;
  /** Called when nothing is left at the gateway. */
  removed: () => void;
}

class UpnpMode implements VipMode<"upnp"> {
  readonly name = "upnp";
  readonly #entries = new Map<MappingKey, Entry>();
  readonly #sites = new Map<string, Site<Entry>>();

  constructor(private readonly deps: UpnpModeDeps) {}

  /** Accepted at once: how it goes on is reported. */
  async up(want: Mapping, signal: AbortSignal): Promise<void> {
    // A caller that aborts in the same turn is heard.
    await Promise.resolve();
    signal.throwIfAborted();
    // Another Service of its name could not take away what this one has asked for.
    if (this.#entries.get(want.key)?.want.uid !== want.uid) await this.down(want.key, "unwanted", signal);
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
    const site = this.#site(want);
    const entry: Entry = { want, site, requests: new Map(), view: undefined, removed: () => undefined, drive: this.#driveOf(() => entry) };
    this.#entries.set(want.key, entry);
    site.entries.add(entry);
    this.#tellGateway(entry);
    if (site.entries.size === 1) site.start();
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

  #site(want: Mapping): Site<Entry> {
    const key = siteKey(want);
    const known = this.#sites.get(key);
    if (known !== undefined) return known;
    const client = { tell: (entry: Entry) => this.#tellGateway(entry), restarted: (entry: Entry) => this.#send(entry, { type: "restarted" }) };
    const site = new Site<Entry>(key, { link: want.iface, family: familyOf(want.address) }, client, this.deps);
    this.#sites.set(key, site);
    return site;
  }

  #tellGateway(entry: Entry): void {
    const { router, searched } = entry.site;
    const { gateway: known, wanted } = entry.drive.state;
    if (router?.id !== known?.id || (!wanted && searched)) this.#send(entry, { type: "gateway", gateway: router && { id: router.id, choosesPort: router.choosesPort } });
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
      if (error instanceof RouterError) this.deps.refused(error.code);
      this.deps.log.warn("gateway did not answer as it should", { mapping: entry.want.key, request: request.type, error: messageOf(error) });
      this.#send(entry, { type: "failed", id: request.id, reason: error instanceof Error ? error.message : String(error) });
      entry.site.doubt();
    } finally {
      entry.requests.delete(request.id);
    }
  }

  async #answer({ want, drive, site: { router } }: Entry, request: UpnpRequest, signal: AbortSignal): Promise<EventBody> {
    const { id } = request;
    if (router === undefined) return { type: "failed", id, reason: "no gateway" };
    // While it waited for its turn.
    if (request.type === "map" && !drive.state.wanted) return { type: "failed", id, reason: "not wanted any more" };
    if (request.type === "map") return { ...(await router.map(want, request, signal)), id };
    await router.unmap(want, request, signal);
    return { type: "unmapped", id };
  }

  #moved(entry: Entry): void {
    const { status } = entry.drive.state;
    if (status.kind === "removed") {
      entry.removed();
      return;
    }
    const { router, searched, reason } = entry.site;
    const view: MappingView = {
      status: status.kind === "noGateway" && !searched ? ASKING : status,
      gateway: router && { name: router.name, host: router.host, externalAddress: outsideOf(entry.want, router) },
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
    const { router, searched } = entry.site;
    const searching = router === undefined && !searched;
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
      this.#send(entry, { type: "down", searching });
    });
    signal.throwIfAborted();
  }

  async #forget(key: MappingKey, entry: Entry): Promise<void> {
    entry.drive.stop();
    for (const abort of entry.requests.values()) abort.abort(new DOMException("closing", "AbortError"));
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    this.deps.report(key, undefined);
    const { site } = entry;
    site.entries.delete(entry);
    if (site.entries.size > 0 || this.#sites.get(site.key) !== site) return;
    this.#sites.delete(site.key);
    await site[Symbol.asyncDispose]();
  }
}

type EventBody = UpnpMappingEvent extends infer E ? (E extends UpnpMappingEvent ? Omit<E, "random"> : never) : never;

/** What only filters leaves the address as it is. */
function outsideOf({ address }: Mapping, { externalAddress }: Router): IpAddress | undefined {
  return familyOf(address) === 6 ? address : externalAddress;
}

/** When it ends is of interest to the machine only: it moves with every refresh. */
function sameView(a: MappingView, b: MappingView | undefined): boolean {
  const text = (view: MappingView): string => JSON.stringify({ ...view, status: { ...view.status, until: undefined } });
  return b !== undefined && text(a) === text(b);
}
