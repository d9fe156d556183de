import type { Placed } from "./layout.js";
import type { AddressInUse } from "./mode.js";
import { isShared, type OwnershipKey } from "./model.js";
import { TELLING, type SkipCode, type SkipReason } from "./plan-service.js";

const ANOTHERS: ReadonlySet<SkipCode> = new Set<SkipCode>(["addressInUse", "addressTaken", "addressOfNode", "addressOfGateway", "addressOfApi"]);

/** The address is another's: nothing may lead traffic to it to the pods of this Service. */
export function isAnothersAddress({ code }: SkipReason): boolean {
  return ANOTHERS.has(code);
}

/** Whether a person has to change something about this Service. */
export function tells({ code }: SkipReason, { romana, owner }: Placed): boolean {
  // A Romana VIP from a pool was asked for by name; a plain Service without an address may be another program's to serve.
  if (romana && code === "noAddress") return true;
  // Where its pods are on another node, it is held by that one.
  if (isShared(owner) && code === "holderHasNoEndpoint") return false;
  return TELLING.has(code);
}

/** The pods are elsewhere, and so will the VIP be: until its next owner has it, it is better here than nowhere. */
export function handsOver({ owner }: Placed, { reason }: { readonly reason: SkipReason }): boolean {
  return isShared(owner) && reason.code !== "noEndpoints";
}

/** Where one node holds all Services, only a Service of its own could follow its endpoints: the reason with that advice. */
export function proposing(reason: SkipReason, { romana }: Placed, ownership: OwnershipKey): SkipReason {
  if (romana || reason.code !== "holderHasNoEndpoint" || ownership !== "services") return reason;
  return { ...reason, message: `${reason.message}; with svc_election each Service is held where its endpoints are` };
}

/** The reason of a Service whose address a stranger has. */
export function inUse({ address, iface, mac, proxy }: AddressInUse): SkipReason {
  const hint = proxy ? "; it answers for every address (proxy ARP): turn that off there, or set duplicate_check to off here" : "";
  return { code: "addressInUse", message: `${address} is in use on ${iface} by ${mac}, not taken; looked at again every ten seconds${hint}` };
}
