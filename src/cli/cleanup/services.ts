import { EXTERNAL_IPS, EXTERNAL_IPS_REFUSED, externalIPsStep } from "../../core/external-ips.js";
import { GRANTED, GRANTED_IN_USE } from "../../core/plan-service.js";
import { ANNOUNCED, clearStatus, VIP_HOST } from "../../core/status.js";
import type { Service, Services } from "../../ports/kube.js";
import type { Leftover } from "./leftovers.js";

/** Annotations that only we write. `vipHost` is kube-vip's, too: it goes where we recorded that the status is ours. */
const OURS: readonly string[] = [ANNOUNCED, GRANTED, GRANTED_IN_USE, EXTERNAL_IPS, EXTERNAL_IPS_REFUSED];
/** Entries of spec.externalIPs are removed one by one. */
const MOST_STEPS = 100;

/** What was written to Services: entries of statuses and of spec.externalIPs by our records of them, and these records. */
export function serviceLeftovers(services: readonly Service[], port: Pick<Services, "patchStatus" | "patchService">): readonly Leftover[] {
  return services
    .filter(({ annotations }) => OURS.some((name) => annotations[name] !== undefined))
    .map((service) => ({ what: describe(service), remove: async (signal) => clear(service, port, signal) }));
}

function describe(service: Service): string {
  const names = [...OURS, VIP_HOST].filter((name) => service.annotations[name] !== undefined && (name !== VIP_HOST || clearStatus(service).type === "patch"));
  return `Service ${service.namespace}/${service.name}: ${names.join(", ")}, and what they say is ours`;
}

async function clear(service: Service, port: Pick<Services, "patchStatus" | "patchService">, signal: AbortSignal): Promise<void> {
  let now = service;
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const next = externalIPsStep(now, []);
    if (next.type !== "change") break;
    now = await port.patchService(now, next.operations, signal);
  }
  const status = clearStatus(now);
  const records = Object.fromEntries(OURS.filter((name) => now.annotations[name] !== undefined).map((name) => [name, null]));
  const patch = status.type === "patch" ? status.patch : { ingress: undefined, annotations: {} };
  await port.patchStatus(now, { ingress: patch.ingress, annotations: { ...patch.annotations, ...records } }, signal);
}
