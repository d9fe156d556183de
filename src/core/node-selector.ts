import type { LabelRule, NodeSelector } from "../config/bgp-peer-draft.js";

/** Whether a node with these labels fits one of the selectors, as Kubernetes reads them. No selectors: every node. `unknown`: the labels are not known yet. */
export function fitsNode(selectors: readonly NodeSelector[] | undefined, labels: Readonly<Record<string, string>> | undefined): boolean | "unknown" {
  if (selectors === undefined || selectors.length === 0) return true;
  if (labels === undefined) return "unknown";
  return selectors.some((rules) => rules.every((rule) => holds(rule, Object.hasOwn(labels, rule.key) ? labels[rule.key] : undefined)));
}

/** NotIn holds where there is no such label, too. */
function holds({ operator, values }: LabelRule, value: string | undefined): boolean {
  if (operator === "Exists") return value !== undefined;
  if (operator === "DoesNotExist") return value === undefined;
  return (value !== undefined && values.includes(value)) === (operator === "In");
}
