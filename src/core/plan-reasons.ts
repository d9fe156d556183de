import type { Fitness } from "./eligible.js";
import type { Placed } from "./layout.js";
import type { AddressInUse } from "./mode.js";
import { isShared, type OwnershipKey } from "./model.js";
import { GRANTED, TELLING, type SkipCode, type SkipReason } from "./plan-service.js";

const ANOTHERS: ReadonlySet<SkipCode> = new Set<SkipCode>(["addressInUse", "addressTaken", "addressOfNode", "addressOfGateway", "addressOfApi"]);

/** The address is another's: nothing may lead traffic to it to the pods of this Service. */
export function isAnothersAddress({ code }: SkipReason): boolean {
  return ANOTHERS.has(code);
}

/** It has its address from the allocator of some node, and was never announced: it may as well have another. */
export function isGivenAnew({ facts: { asked, recorded } }: Pick<Placed, "facts">): boolean {
  return asked.type === "entries" && asked.from === GRANTED && recorded === undefined;
}

/** Whether a person has to change something about this Service. */
export function tells({ code }: SkipReason, { romana, owner }: Placed): boolean {
  // A Romana VIP from a pool was asked for by name; a plain Service without an address may be another program's to serve.
  if (romana && code === "noAddress") return true;
  // Where its pods are on another node, it is held by that one.
  if (isShared(owner) && code === "holderHasNoEndpoint") return false;
  return TELLING.has(code);
}

/** Why the holder does not serve it, as far as its endpoints go. Where the pods are elsewhere, so will be the VIP: until its next owner has it, it is better here than nowhere. */
export function unfitHolder(placed: Placed, fit: Fitness, ownership: OwnershipKey): SkipReason | undefined {
  if (fit.type !== "unfit") return undefined;
  const handsOver = isShared(placed.owner) && fit.reason.code !== "noEndpoints";
  return handsOver ? undefined : proposing(fit.reason, placed, ownership);
}

/** Where one node holds all Services, only a Service of its own could follow its endpoints: the reason with that advice. */
function proposing(reason: SkipReason, { romana }: Placed, ownership: OwnershipKey): SkipReason {
  if (romana || reason.code !== "holderHasNoEndpoint" || ownership !== "services") return reason;
  return { ...reason, message: `${reason.message}; with svc_election each Service is held where its endpoints are` };
}

/** The reason of a Service whose address a stranger has. `givenAnew`: it gets another one. */
export function inUse({ address, iface, mac, proxy }: AddressInUse, givenAnew: boolean): SkipReason {
  const hint = proxy ? "; it answers for every address (proxy ARP): turn that off there, or set duplicate_check to off here" : "";
  return { code: "addressInUse", message: `${address} is in use on ${iface} by ${mac}, not taken; ${givenAnew ? "another one is given to it" : "looked at again every ten seconds"}${hint}` };
}
