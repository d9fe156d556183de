import { groupKey, type GroupKey } from "./model.js";
import type { Asked } from "./plan-service.js";
import type { Service } from "../ports/kube.js";

/** Services that name the same Lease are owned together, as with kube-vip. */
export const LEASE_NAME = "kube-vip.io/leaseName";

/** `"true"` with per_service_election_on_demand: the Service has an owner of its own. */
export const FORCE_ELECTION = "kube-vip.io/forcePerServiceElection";

export interface ElectionAsked {
  /** Services are owned in groups, each by one node, instead of all by one. */
  readonly election: boolean;
  /** So are those that ask for it, and what belongs with them. */
  readonly electionOnDemand: boolean;
}

/** Whether this Service is to have an owner of its own, whatever others want that it belongs with. */
export function electsItself({ annotations }: Pick<Service, "annotations">, { election, electionOnDemand }: ElectionAsked): boolean {
  return election || (electionOnDemand && annotations[FORCE_ELECTION] === "true");
}

/** What a Service declares, by which it belongs with others: its addresses and names as they are written, and the Lease that it names. */
export function membersOf({ namespace, annotations }: Service, asked: Asked): readonly string[] {
  if (asked.type !== "entries") return [];
  const lease = annotations[LEASE_NAME]?.trim() ?? "";
  const named = lease === "" ? [] : [`lease/${lease.includes("/") ? lease : `${namespace}/${lease}`}`];
  return [...asked.entries.map((entry) => ("address" in entry ? entry.address : "dhcp" in entry ? entry.dhcp.key : entry.name)), ...named];
}

/**
 * The connected components of what is declared together: each set of members (of one Service) joins all of them. Every node finds the same groups, for they
 * follow from the Services alone; a group is called by the smallest of its members.
 */
export function groupsOf(sets: Iterable<readonly string[]>): ReadonlyMap<string, GroupKey> {
  const parents = new Map<string, string>();
  const rootOf = (member: string): string => {
    let root = member;
    for (let next = parents.get(root); next !== undefined && next !== root; next = parents.get(root)) root = next;
    parents.set(member, root);
    return root;
  };
  for (const members of sets) {
    for (const member of members) {
      const [a, b] = [rootOf(members[0] ?? member), rootOf(member)];
      // The smaller one is the root, so that it gives its name to the group.
      if (a !== b) parents.set(a < b ? b : a, a < b ? a : b);
    }
  }
  return new Map([...parents.keys()].map((member) => [member, groupKey(rootOf(member))]));
}
