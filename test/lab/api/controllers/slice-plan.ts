import { asList, asObject, asText, at } from "../object.js";
import type { JsonObject, KubeObject } from "../object.js";
import type { EndpointGroup } from "./endpoints.js";

/** What is to be done to the slices of a Service. */
export type SlicePlan = { readonly create: readonly EndpointGroup[]; readonly update: readonly (readonly [KubeObject, EndpointGroup])[]; readonly remove: readonly KubeObject[] };

const idOf = (endpoint: JsonObject): string => asText(at(endpoint, "targetRef", "uid"));

const portsKey = (ports: EndpointGroup["ports"]): string => JSON.stringify(ports);

/** Endpoints stay in the slice that they are in; new ones fill up what there is, then come new slices. */
function planGroup(group: EndpointGroup, have: readonly KubeObject[], max: number): SlicePlan {
  const left = new Map(group.endpoints.map((endpoint) => [idOf(endpoint), endpoint]));
  const kept = have.map((slice) => {
    const mine: JsonObject[] = [];
    for (const old of asList(slice["endpoints"])) {
      const id = idOf(asObject(old));
      const now = left.get(id);
      if (now === undefined || mine.length >= max) continue;
      left.delete(id);
      mine.push(now);
    }
    return { slice, mine };
  });
  const more = [...left.values()];
  const update = kept.map(({ slice, mine }) => [slice, { ...group, endpoints: [...mine, ...more.splice(0, Math.max(0, max - mine.length))] }] as const);
  const create: EndpointGroup[] = [];
  while (more.length > 0) create.push({ ...group, endpoints: more.splice(0, max) });
  // A Service without endpoints keeps one empty slice in each family.
  if (group.endpoints.length === 0 && have.length === 0) create.push(group);
  const needed = update.filter(([, { endpoints }], index) => endpoints.length > 0 || (group.endpoints.length === 0 && index === 0));
  return { create, update: needed, remove: update.filter((one) => !needed.includes(one)).map(([slice]) => slice) };
}

/** Compares the slices that a Service has with its groups; at most `max` endpoints in a slice. */
export function planSlices(groups: readonly EndpointGroup[], have: readonly KubeObject[], max: number): SlicePlan {
  const key = (family: string, ports: EndpointGroup["ports"]): string => `${family} ${portsKey(ports)}`;
  const keys = new Set(groups.map(({ family, ports }) => key(family, ports)));
  const keyOf = (slice: KubeObject): string => key(asText(slice["addressType"]), asList(slice["ports"]));
  const plans = groups.map((group) => planGroup(group, have.filter((slice) => keyOf(slice) === key(group.family, group.ports)), max));
  const remove = [...plans.flatMap((plan) => plan.remove), ...have.filter((slice) => !keys.has(keyOf(slice)))];
  const update = plans.flatMap((plan) => plan.update);
  const create: EndpointGroup[] = [];
  for (const group of plans.flatMap((plan) => plan.create)) {
    // As in a cluster, a slice that would go is used again before a new one is made.
    const index = remove.findIndex((slice) => slice["addressType"] === group.family);
    const [again] = index < 0 ? [] : remove.splice(index, 1);
    if (again === undefined) create.push(group);
    else update.push([again, group]);
  }
  return { create, update, remove };
}
