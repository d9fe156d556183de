import type { Mapping } from "../core/model.js";
import type { IpAddress } from "../lib/ip.js";
import type { MapRequest, UnmapRequest, UpnpGateway, UpnpRefusal } from "../machine/upnp-mapping-state.js";
import type { Clock } from "../ports/clock.js";
import type { HttpErrorCode } from "../ports/http.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";

/** Why an answer of a router was not used; also a label of metrics. */
export type RouterErrorCode =
  | HttpErrorCode
  /** It points to another host. */
  | "redirect"
  /** No XML, or not what was asked for. */
  | "malformed"
  /** It describes a device that maps no ports. */
  | "noService"
  /** An HTTP status without a SOAP answer. */
  | "status";

/** Thrown for everything but what a router refuses in its own words. */
export class RouterError extends Error {
  override readonly name = "RouterError";

  constructor(
    readonly code: RouterErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Why something that a device sent was not used; also a label of metrics. */
export type UpnpTrouble =
  | RouterErrorCode
  /** Datagrams beyond what is looked at in a second. */
  | "flood"
  /** A datagram that is not what belongs there. */
  | "datagram"
  /** The description would be on another host than its sender. */
  | "foreignLocation";

/** What all need that speak to routers. */
export interface RouterDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Something that a device sent was not used. */
  refused(trouble: UpnpTrouble): void;
}

/** What became of a request for a mapping. `leaseSeconds`: what was given, 0 for ever; undefined where the router does not say. */
export type MapAnswer =
  | { readonly type: "mapped"; readonly externalPort: number; readonly leaseSeconds: number | undefined }
  | { readonly type: "refused"; readonly refusal: UpnpRefusal; readonly code: number; readonly text: string; readonly againSeconds: number | undefined };

/** A router that ports are asked of, whatever it speaks. */
export interface Router extends UpnpGateway {
  /** For people. */
  readonly name: string;
  readonly host: IpAddress;
  /** Undefined where it has none now, or does not say. */
  readonly externalAddress: IpAddress | undefined;
  /** Throws RouterError, or the reason of `signal`. */
  map(want: Mapping, request: MapRequest, signal: AbortSignal): Promise<MapAnswer>;
  /** That it is not there is success. Throws RouterError, or the reason of `signal`. */
  unmap(want: Mapping, request: UnmapRequest, signal: AbortSignal): Promise<void>;
}

/** Whom a search for routers works for. */
export interface RouterClient {
  /** An address of this node on the link; undefined where there is none any more. */
  source(): IpAddress | undefined;
  /** The router may be another one now, or have another address. */
  changed(): void;
  /** The router may have forgotten all mappings. */
  restarted(): void;
}
