import type { RequestInfo } from "./request.js";

/** One rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1); `*` stands for all. */
export type PolicyRule = {
  /** "" for the core group. */
  readonly apiGroups: readonly string[];
  /** Plural, with its subresource like "services/status". */
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** Default: all objects. A list or watch counts as of one object where its field selector is metadata.name=NAME. */
  readonly resourceNames?: readonly string[];
  /** Default: all namespaces, and what has none. */
  readonly namespace?: string;
};

/** What some users may do; everybody else with credentials may do everything. */
export class Rights {
  readonly #rules = new Map<string, readonly PolicyRule[]>();

  /** From now on the user may do exactly this; undefined: everything. Watches that are open stay open, as in the real server. */
  set(user: string, rules: readonly PolicyRule[] | undefined): void {
    if (rules === undefined) this.#rules.delete(user);
    else this.#rules.set(user, rules);
  }

  /** Whether a user may do this; what is not about a resource is open to everybody. */
  allow(user: string, info: RequestInfo | undefined): boolean {
    const rules = this.#rules.get(user);
    return rules === undefined || info === undefined || rules.some((rule) => covers(rule, info));
  }
}

/** The object that a request names, in its path or by its field selector. */
export function nameOf({ verb, name, query }: RequestInfo): string {
  if (name !== "" || (verb !== "list" && verb !== "watch")) return name;
  return /^metadata\.name==?([^,]+)$/u.exec(query.get("fieldSelector") ?? "")?.[1] ?? "";
}

function covers(rule: PolicyRule, info: RequestInfo): boolean {
  const { resource, subresource, verb, namespace } = info;
  const what = subresource === "" ? resource.plural : `${resource.plural}/${subresource}`;
  const named = rule.resourceNames === undefined || rule.resourceNames.includes(nameOf(info));
  const here = rule.namespace === undefined || rule.namespace === namespace;
  return among(rule.apiGroups, resource.group) && among(rule.resources, what) && among(rule.verbs, verb) && named && here;
}

const among = (wanted: readonly string[], value: string): boolean => wanted.includes(value) || wanted.includes("*");
