/** What one mapping is to be. */
export interface UpnpMappingConfig {
  /** The port on the router's outside. */
  readonly externalPort: number;
  /** What is asked for; 0: for ever. */
  readonly leaseSeconds: number;
  /** Whether another external port will do where the wanted one is taken, and the router can choose one. */
  readonly anyPort: boolean;
  readonly timing: UpnpTiming;
}

/** All in ms but `removeTries`. */
export interface UpnpTiming {
  /** After failures: so long, then doubled up to the most, with up to half of it off. */
  readonly retryFirstMs: number;
  readonly retryMostMs: number;
  /** After a refusal, with up to a tenth off. */
  readonly refusedMs: number;
  /** Between checks of a mapping that is for ever: a restart may have gone unheard. */
  readonly permanentMs: number;
  /** After the first answer, with up to a tenth off: the holder before may have been removing the mapping meanwhile. */
  readonly confirmMs: number;
  /** Not sooner than this, whatever lease a router gives. */
  readonly refreshLeastMs: number;
  /** After a restart all mappings are asked for within this time. */
  readonly restartSpreadMs: number;
  /** Requests for a removal before the lease's end is left to do it. */
  readonly removeTries: number;
}

export const UPNP_TIMING: UpnpTiming = {
  retryFirstMs: 2000,
  retryMostMs: 60_000,
  refusedMs: 300_000,
  permanentMs: 600_000,
  confirmMs: 10_000,
  refreshLeastMs: 5000,
  restartSpreadMs: 1000,
  removeTries: 3,
};

/** A router that mappings can be asked of. */
export interface UpnpGateway {
  /** Another one where this differs. */
  readonly id: string;
  /** Whether it can choose a port (AddAnyPortMapping, NAT-PMP, PCP). */
  readonly choosesPort: boolean;
}

/** Why a router said no. */
export type UpnpRefusal =
  /** Somebody else has the port. */
  | "conflict"
  /** It gives no leases that end. */
  | "permanentOnly"
  | "other";

/** What became of the mapping; the same object for as long as it says the same. */
export type UpnpStatus =
  /** No answer yet. */
  | { readonly kind: "asking" }
  | { readonly kind: "noGateway" }
  /** `until` is monotonic ms; Infinity: for ever. */
  | { readonly kind: "mapped"; readonly externalPort: number; readonly until: number }
  /** With the router's own number and words. */
  | { readonly kind: "refused"; readonly conflict: boolean; readonly code: number; readonly text: string }
  | { readonly kind: "unreachable"; readonly reason: string }
  /** Not wanted any more, and nothing is left that could be done about it. */
  | { readonly kind: "removed" };

/** `anyPort`: `externalPort` is a wish. */
export interface MapRequest {
  readonly type: "map";
  readonly id: number;
  readonly startedAt: number;
  readonly externalPort: number;
  readonly leaseSeconds: number;
  readonly anyPort: boolean;
}

/** `sure`: the router has said that this port is ours. Otherwise it may be somebody else's, and is looked at before it is taken away. */
export interface UnmapRequest {
  readonly type: "unmap";
  readonly id: number;
  readonly externalPort: number;
  readonly sure: boolean;
}

/** What is asked of a router. */
export type UpnpRequest = MapRequest | UnmapRequest;

/** What is known, asked and due. */
export interface UpnpMappingState {
  readonly status: UpnpStatus;
  readonly wanted: boolean;
  readonly gateway: UpnpGateway | undefined;
  readonly request: UpnpRequest | undefined;
  /** The external port that the gateway may have for us, by an answer or by a request whose answer is not known. */
  readonly held: { readonly externalPort: number; readonly sure: boolean } | undefined;
  /** This gateway gives no leases that end. */
  readonly permanent: boolean;
  /** The wanted port is taken at this gateway, and any other is asked for. */
  readonly elsewhere: boolean;
  /** Failures in a row. */
  readonly failures: number;
  readonly nextAt: number;
  readonly nextId: number;
}

/** `random` is uniform in [0, 1). */
export type UpnpMappingEvent = { readonly random: number } & (
  | { readonly type: "tick" }
  /** The router to ask; undefined where none was found. */
  | { readonly type: "gateway"; readonly gateway: UpnpGateway | undefined }
  /** The router has been restarted, and has forgotten (a new boot id, `byebye` and `alive`, less uptime, PCP's epoch). */
  | { readonly type: "restarted" }
  /** `leaseSeconds` is what it gave, 0 for ever; undefined where it does not say, as in IGD: then what was asked for. */
  | { readonly type: "mapped"; readonly id: number; readonly externalPort: number; readonly leaseSeconds: number | undefined }
  | { readonly type: "unmapped"; readonly id: number }
  /** `againSeconds`: the router's own word on when it may be asked again; undefined where it has none. */
  | { readonly type: "refused"; readonly id: number; readonly refusal: UpnpRefusal; readonly code: number; readonly text: string; readonly againSeconds: number | undefined }
  | { readonly type: "failed"; readonly id: number; readonly reason: string }
  /** Not wanted any more. `searching`: no router is known yet, and one may still be found; another event `gateway` follows. */
  | { readonly type: "down"; readonly searching: boolean }
);

/** `cancel`: the answer is of no more interest; it may still come, and is ignored. */
export type UpnpMappingAction = UpnpRequest | { readonly type: "cancel"; readonly id: number };

/** No gateway yet. */
export function upnpMappingStart(): UpnpMappingState {
  return {
    status: { kind: "noGateway" },
    wanted: true,
    gateway: undefined,
    request: undefined,
    held: undefined,
    permanent: false,
    elsewhere: false,
    failures: 0,
    nextAt: Infinity,
    nextId: 1,
  };
}
