import type { IpAddress } from "../lib/ip.js";
import type { Service } from "../ports/kube.js";

/** What we wrote into a Service's status, so that only that is ever changed: `{"addresses":["192.0.2.10"],"node":"n1"}`. */
export const ANNOUNCED = "vip.internal/announced";
/** The node that announces the Service; name and meaning as in kube-vip. */
export const VIP_HOST = "kube-vip.io/vipHost";

export interface StatusPatch {
  readonly service: Service;
  /** Undefined: the status is left as it is, and only annotations are written. */
  readonly ingress: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly annotations: Readonly<Record<string, string | null>>;
}

export type StatusDecision =
  | { readonly type: "none" }
  | { readonly type: "patch"; readonly patch: StatusPatch }
  /** Another controller writes this status; its entries. */
  | { readonly type: "foreign"; readonly entries: readonly string[] };

/** What a status says: our own addresses, and those of a gateway that leads to them. */
export interface Said {
  readonly addresses: readonly IpAddress[];
  readonly external?: readonly IpAddress[];
}

/** The patch that makes the Service say that these addresses are announced by `node`; none where it says so already. */
export function announceStatus(service: Service, { addresses: own, external = [] }: Said, node: string): StatusDecision {
  const outside = external.filter((address) => !own.includes(address));
  const addresses = [...own, ...outside];
  const annotations = { [ANNOUNCED]: JSON.stringify({ addresses: own, node, ...(outside.length > 0 && { external: outside }) }), [VIP_HOST]: node };
  const said = Object.entries(annotations).every(([key, value]) => service.annotations[key] === value);
  // Services of other types have no such status: the API drops it without a word.
  if (service.type !== "LoadBalancer") return said ? { type: "none" } : { type: "patch", patch: { service, ingress: undefined, annotations } };
  const foreign = foreignEntries(service, addresses);
  if (foreign.length > 0) return { type: "foreign", entries: foreign };
  const current = service.ingress.map((entry) => entry.ip);
  const same = current.length === addresses.length && addresses.every((address, i) => current[i] === address);
  if (same && said) return { type: "none" };
  return { type: "patch", patch: { service, ingress: addresses.map((ip) => ({ ip })), annotations } };
}

/** The patch that takes back what we wrote, and only that. */
export function clearStatus(service: Service): StatusDecision {
  const ours = recordedAddresses(service);
  if (ours === undefined) return { type: "none" };
  const annotations = { [ANNOUNCED]: null, [VIP_HOST]: null };
  if (service.type !== "LoadBalancer") return { type: "patch", patch: { service, ingress: undefined, annotations } };
  const all = [...ours, ...recordedExternal(service)];
  const ingress = service.ingress.filter(({ ip }) => ip === undefined || !all.includes(ip)).map(({ raw }) => raw);
  return { type: "patch", patch: { service, ingress, annotations } };
}

export function sameStatusPatch(a: StatusPatch, b: StatusPatch): boolean {
  return (
    a.service.uid === b.service.uid &&
    a.service.resourceVersion === b.service.resourceVersion &&
    JSON.stringify([a.ingress, a.annotations]) === JSON.stringify([b.ingress, b.annotations])
  );
}

function foreignEntries(service: Service, addresses: readonly IpAddress[]): readonly string[] {
  const ours = recordedAddresses(service);
  // kube-vip leaves its mark in vipHost: what it wrote is ours to carry on.
  if (ours === undefined && service.annotations[VIP_HOST] !== undefined) return [];
  const known = new Set<string>([...(ours ?? []), ...recordedExternal(service), ...addresses]);
  return service.ingress.map((entry) => entry.ip ?? entry.hostname ?? "").filter((entry) => !known.has(entry));
}

/** The addresses that we wrote as ours; undefined where we wrote none. A damaged record counts as none of ours, so that nothing foreign is removed. */
export function recordedAddresses(service: Service): readonly string[] | undefined {
  return service.annotations[ANNOUNCED] === undefined ? undefined : recorded(service, "addresses");
}

/** The addresses of a gateway that we wrote. */
function recordedExternal(service: Service): readonly string[] {
  return recorded(service, "external");
}

function recorded(service: Service, what: "addresses" | "external"): readonly string[] {
  try {
    const value: unknown = JSON.parse(service.annotations[ANNOUNCED] ?? "null");
    const addresses = typeof value === "object" && value !== null && what in value ? (value as Readonly<Record<string, unknown>>)[what] : undefined;
    return Array.isArray(addresses) ? addresses.filter((a): a is string => typeof a === "string") : [];
  } catch {
    return [];
  }
}
