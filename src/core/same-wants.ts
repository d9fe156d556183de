import type { Dnat, LeaseWant, LinkWant, Mapping, Route, Vip } from "./model.js";

/** Owners and ports may differ: what is held is the same. */
export function sameVip(a: Vip, b: Vip): boolean {
  return a.key === b.key && a.prefix === b.prefix && a.scope === b.scope && a.ownership === b.ownership && a.anycast === b.anycast && a.until === b.until;
}

/** Of the same Service: what another one of its name asked for, only that one could take away. */
export function sameMapping(a: Mapping, b: Mapping): boolean {
  return a.key === b.key && a.uid === b.uid && a.leaseSeconds === b.leaseSeconds;
}

export function sameLink(a: LinkWant, b: LinkWant): boolean {
  if (a.key !== b.key || a.parent !== b.parent) return false;
  return a.vlan === undefined ? b.vlan === undefined && a.mac === b.mac && a.rpFilter === b.rpFilter : a.vlan === b.vlan;
}

/** The addresses of an earlier life are read once. */
export function sameLease(a: LeaseWant, b: LeaseWant): boolean {
  return a.linkIndex === b.linkIndex && a.mac === b.mac && a.hostname === b.hostname && a.broadcast === b.broadcast;
}

/** Who asked for it is of no interest to a peer. */
export function sameRoute(a: Route, b: Route): boolean {
  return a.key === b.key && a.ownership === b.ownership && JSON.stringify([a.policy, a.peers]) === JSON.stringify([b.policy, b.peers]);
}

/** The same targets. */
export function sameDnat(a: Dnat, b: Dnat): boolean {
  return a.key === b.key && JSON.stringify(a.ports) === JSON.stringify(b.ports);
}
