import type { Mapping } from "../core/model.js";
import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import type { Drive } from "../machine/drive.js";
import type { UpnpMappingAction, UpnpMappingEvent, UpnpMappingState } from "../machine/upnp-mapping-state.js";
import type { PortMapping } from "../wire/soap-igd.js";
import { check, describe } from "./upnp-igd.js";
import { igdRouter, portMapping } from "./upnp-igd-router.js";
import { LinkGateway, type IgdKind, type IgdLinkDeps } from "./upnp-link.js";
import { PcpGateway, type PcpDeps } from "./upnp-pcp.js";
import { checkPinholes, describePinholes, pinholeRouter } from "./upnp-pinhole.js";
import type { Router } from "./upnp-router.js";
import { Turns } from "./upnp-turns.js";

export interface SiteDeps extends IgdLinkDeps, PcpDeps {}

/** A port of this site. */
export interface SiteEntry {
  readonly want: Mapping;
  readonly drive: Drive<UpnpMappingState, UpnpMappingEvent, UpnpMappingAction>;
}

/** Whom a site works for. */
export interface SiteClient<E> {
  /** The router may be another one now, or have another address. */
  tell(entry: E): void;
  /** The router may have forgotten what it had for this. */
  restarted(entry: E): void;
}

const PINHOLES: IgdKind = { describe: describePinholes, check: checkPinholes, router: pinholeRouter };
/** Requests to the router at once: theirs are small servers. */
const AT_ONCE = 3;

/** One link and family, its ports, and the router that opens them: one that speaks UPnP, or else the next hop by PCP or NAT-PMP. */
export class Site<E extends SiteEntry> implements AsyncDisposable {
  readonly entries = new Set<E>();
  readonly turns = new Turns(AT_ONCE);
  readonly #igd: LinkGateway;
  readonly #pcp: PcpGateway;
  #speaks: LinkGateway | PcpGateway;
  /** The mapping that the next check looks at. */
  #nextSample = 0;

  constructor(
    readonly key: string,
    { link, family }: { readonly link: string; readonly family: Family },
    client: SiteClient<E>,
    deps: SiteDeps,
  ) {
    const each = (tell: (entry: E) => void) => (): void => {
      for (const entry of this.entries) tell(entry);
    };
    const source = (): IpAddress | undefined => this.entries.values().next().value?.want.address;
    const changed = each((entry) => client.tell(entry));
    const heardBy = (which: () => LinkGateway | PcpGateway) => ({
      source,
      changed: () => {
        this.#choose();
        changed();
      },
      restarted: () => {
        if (which() === this.#speaks) each((entry) => client.restarted(entry))();
      },
    });
    this.#igd = new LinkGateway({ link, family, kind: family === 4 ? this.#translating() : PINHOLES }, heardBy(() => this.#igd), deps);
    this.#pcp = new PcpGateway({ link, family }, heardBy(() => this.#pcp), deps);
    this.#speaks = this.#igd;
  }

  get router(): Router | undefined {
    return this.#speaks.router;
  }

  /** Whether there was time enough to find one. */
  get searched(): boolean {
    return this.#igd.searched && this.#pcp.searched;
  }

  /** Why the first router that answered was not taken. */
  get reason(): string | undefined {
    return this.#igd.reason;
  }

  start(): void {
    this.#igd.start();
    this.#pcp.start();
  }

  /** A request to the router had no answer. */
  doubt(): void {
    this.#speaks.doubt();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#igd[Symbol.asyncDispose](), this.#pcp[Symbol.asyncDispose]()]);
  }

  /** The one that is used stays so while it answers: a change would leave ports open behind it. */
  #choose(): void {
    if (this.#speaks.router !== undefined) return;
    this.#speaks = this.#igd.router === undefined && this.#igd.searched && this.#pcp.router !== undefined ? this.#pcp : this.#igd;
  }

  #translating(): IgdKind {
    return { describe, check: async (deps, gateway, signal) => check(deps, gateway, this.#sample(), signal), router: igdRouter };
  }

  /** A different one for each check. */
  #sample(): PortMapping | undefined {
    const mapped = [...this.entries].filter(({ drive }) => drive.state.held?.sure === true);
    if (mapped.length === 0) return undefined;
    this.#nextSample = (this.#nextSample + 1) % mapped.length;
    const entry = mapped[this.#nextSample];
    return entry === undefined ? undefined : portMapping(entry.want, entry.drive.state.held?.externalPort ?? entry.want.port, 0);
  }
}

/** Which site a port belongs to. */
export function siteKey({ iface, address }: Mapping): string {
  return `${iface} IPv${familyOf(address)}`;
}
