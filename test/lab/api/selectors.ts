import { asObject, at, scalar } from "./object.js";
import type { KubeObject } from "./object.js";
import { badRequest } from "./status.js";

/** Whether an object is selected. */
export type Selector = (object: KubeObject) => boolean;

const everything: Selector = () => true;

/** Field labels by resource besides metadata.name and metadata.namespace, as the real server has them. */
const FIELDS: { readonly [plural: string]: readonly string[] } = {
  pods: ["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"],
  events: ["involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"],
  services: ["spec.clusterIP", "spec.type"],
  nodes: ["spec.unschedulable"],
  secrets: ["type"],
  namespaces: ["status.phase"],
};

function fieldValue(object: KubeObject, field: string): string {
  if (field === "source") return scalar(at(object, "source", "component")) || scalar(object["reportingComponent"]);
  if (field === "spec.unschedulable") return String(at(object, "spec", "unschedulable") === true);
  return scalar(at(object, ...field.split(".")));
}

/** Parses a fieldSelector: terms with =, == or !=, all of which must hold. */
export function parseFieldSelector(text: string | null, plural: string): Selector {
  if (text === null || text === "") return everything;
  const terms = text.split(",").map((term) => {
    const match = /^\s*([^=!]+?)\s*(==|=|!=)(.*)$/u.exec(term);
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = "", operator = "", wanted = ""] = match;
    const known = field === "metadata.name" || field === "metadata.namespace" || (FIELDS[plural]?.includes(field) ?? false);
    if (!known) throw badRequest(`field label not supported: ${field}`);
    return { field, equal: operator !== "!=", wanted: wanted.trim() };
  });
  return (object) => terms.every(({ field, equal, wanted }) => (fieldValue(object, field) === wanted) === equal);
}

type Labels = { readonly [key: string]: string };
type LabelTerm = (labels: Labels) => boolean;

function labelTerm(term: string): LabelTerm {
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/u.exec(term);
  if (set !== null) {
    const [, key = "", operator, values = ""] = set;
    const wanted = new Set(values.split(",").map((value) => value.trim()));
    return (labels) => {
      const value = labels[key];
      const inside = value !== undefined && wanted.has(value);
      return operator === "in" ? inside : !inside;
    };
  }
  const equality = /^([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)$/u.exec(term);
  if (equality !== null) {
    const [, key = "", operator, value = ""] = equality;
    return (labels) => (labels[key] === value) === (operator !== "!=");
  }
  const existence = /^(!?)\s*([^\s=!(),]+)$/u.exec(term);
  if (existence === null) throw badRequest(`unable to parse requirement: found '${term}', expected: identifier`);
  const [, not = "", key = ""] = existence;
  return (labels) => (labels[key] !== undefined) === (not === "");
}

/** Parses a labelSelector: equality, set and existence terms. */
export function parseLabelSelector(text: string | null): Selector {
  if (text === null || text.trim() === "") return everything;
  // Commas inside parentheses belong to the term.
  const terms = text.split(/,(?![^(]*\))/u).map((term) => labelTerm(term.trim()));
  return (object) => {
    // Labels are validated as strings on the way in.
    const labels = asObject(object.metadata["labels"]) as Labels;
    return terms.every((term) => term(labels));
  };
}

/** Whether both selectors hold; undefined when there is nothing to select by. */
export function bothSelectors(query: URLSearchParams, plural: string): Selector | undefined {
  const label = query.get("labelSelector");
  const field = query.get("fieldSelector");
  if ((label ?? "") === "" && (field ?? "") === "") return undefined;
  const byLabel = parseLabelSelector(label);
  const byField = parseFieldSelector(field, plural);
  return (object) => byLabel(object) && byField(object);
}
