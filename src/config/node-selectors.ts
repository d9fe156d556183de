import type { LabelRule, NodeSelector } from "./bgp-peer-draft.js";

const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;
const EXPECTED = "a list of selectors with match-labels (texts), match-expressions (key, operator In, NotIn, Exists or DoesNotExist, values), or both";

type Fields = Readonly<Record<string, unknown>>;

/** `node-selectors` of MetalLB's ConfigMap. */
export function selectorsOf(raw: unknown): { readonly value: { readonly nodeSelectors: readonly NodeSelector[] } } | { readonly expected: string } {
  if (!Array.isArray(raw)) return { expected: EXPECTED };
  const selectors = (raw as readonly unknown[]).map(selectorOf);
  const nodeSelectors = selectors.flatMap((one) => (one === undefined ? [] : [one]));
  return nodeSelectors.length === selectors.length ? { value: { nodeSelectors } } : { expected: EXPECTED };
}

function selectorOf(raw: unknown): NodeSelector | undefined {
  const fields = fieldsOf(raw);
  if (fields === undefined) return undefined;
  const rules: LabelRule[] = [];
  for (const [key, value] of Object.entries(fields)) {
    const part = /^match-?labels$/i.test(key) ? labelsOf(value) : /^match-?expressions$/i.test(key) ? expressionsOf(value) : undefined;
    if (part === undefined) return undefined;
    rules.push(...part);
  }
  return rules;
}

function labelsOf(raw: unknown): readonly LabelRule[] | undefined {
  const entries = Object.entries(fieldsOf(raw) ?? { "": 0 });
  const rules = entries.flatMap(([key, value]): readonly LabelRule[] => (typeof value === "string" ? [{ key, operator: "In", values: [value] }] : []));
  return rules.length === entries.length ? rules : undefined;
}

function expressionsOf(raw: unknown): readonly LabelRule[] | undefined {
  if (!Array.isArray(raw)) return undefined;
  const rules = (raw as readonly unknown[]).flatMap((one): readonly LabelRule[] => {
    const { key, operator: name, values = [] } = fieldsOf(one) ?? {};
    const operator = OPERATORS.find((candidate) => candidate === name);
    const texts: readonly unknown[] = Array.isArray(values) ? values : [undefined];
    const fits = typeof key === "string" && operator !== undefined && texts.every((text): text is string => typeof text === "string");
    return fits && (texts.length > 0) === (operator === "In" || operator === "NotIn") ? [{ key, operator, values: texts }] : [];
  });
  return rules.length === raw.length ? rules : undefined;
}

function fieldsOf(raw: unknown): Fields | undefined {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw) ? (raw as Fields) : undefined;
}
