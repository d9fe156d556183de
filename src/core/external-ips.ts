import { parseIp, type IpAddress } from "../lib/ip.js";
import type { JsonPatchOperation, Service } from "../ports/kube.js";

/** Our entries of spec.externalIPs, written before they are added there, so that after a crash only ours are ever removed: a comma list. */
export const EXTERNAL_IPS = "vip.internal/external-ips";

/** Why the API refused an entry of ours. It is not tried again while this is there. */
export const EXTERNAL_IPS_REFUSED = "vip.internal/external-ips-refused";

/** The next thing to do about spec.externalIPs; one at a time, each seen in the watch before the next. */
export type ExternalIPsStep =
  | { readonly type: "none" }
  /** Says what is ours. */
  | { readonly type: "record"; readonly annotations: Readonly<Record<string, string | null>> }
  | { readonly type: "change"; readonly operations: readonly JsonPatchOperation[] };

/** Makes spec.externalIPs hold exactly `wanted` of ours. An entry that the user made is never touched, also where it is the same address. */
export function externalIPsStep(service: Service, wanted: readonly IpAddress[]): ExternalIPsStep {
  const ours = recordedExternalIPs(service);
  const stale = ours.filter((address) => !wanted.includes(address));
  const at = service.externalIPs.findIndex((address) => stale.some((own) => own === parseIp(address)));
  if (at >= 0) return change(service, { op: "remove", path: `/spec/externalIPs/${at}` });
  const missing = wanted.find((address) => !hasExternalIP(service, address));
  const record = [...ours.filter((address) => wanted.includes(address)), ...(missing === undefined || ours.includes(missing) ? [] : [missing])];
  if (record.join() !== ours.join()) return { type: "record", annotations: { [EXTERNAL_IPS]: record.length === 0 ? null : record.join(",") } };
  if (missing === undefined) return { type: "none" };
  const add: JsonPatchOperation = service.externalIPs.length === 0
    ? { op: "add", path: "/spec/externalIPs", value: [missing] }
    : { op: "add", path: "/spec/externalIPs/-", value: missing };
  return change(service, add);
}

/** True where spec.externalIPs has the address, whoever put it there. */
export function hasExternalIP(service: Service, address: IpAddress): boolean {
  return service.externalIPs.some((text) => parseIp(text) === address);
}

/** What of spec.externalIPs is ours, or was about to be. */
export function recordedExternalIPs(service: Service): readonly IpAddress[] {
  return (service.annotations[EXTERNAL_IPS] ?? "").split(",").flatMap((text) => parseIp(text.trim()) ?? []);
}

/**
 * For this version only, so that nobody's entry is overwritten unseen. It is put in, not tested: with another version the API answers 409 to that, and 422 to a
 * test that failed, which could not be told from an entry that it finds invalid.
 */
function change({ resourceVersion }: Service, operation: JsonPatchOperation): ExternalIPsStep {
  return { type: "change", operations: [{ op: "replace", path: "/metadata/resourceVersion", value: resourceVersion }, operation] };
}
