import { asList, asText, at, isObject } from "./object.js";
import type { Json, JsonObject } from "./object.js";
import { RESOURCES, apiVersionOf } from "./resources.js";
import type { Resource } from "./resources.js";
import type { Store } from "./store.js";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** What /version says. */
export const VERSION: JsonObject = { major: "1", minor: "36", gitVersion: "v1.36.0", gitCommit: "lab", gitTreeState: "clean", buildDate: "2026-01-01T00:00:00Z", goVersion: "go1.25", compiler: "gc", platform: "linux/amd64" };

/** Resources which CustomResourceDefinitions add. */
function customResources(store: Store): readonly Resource[] {
  return store.list("customresourcedefinitions.apiextensions.k8s.io").flatMap(({ object }) => {
    const names = at(object, "spec", "names");
    const served = asList(at(object, "spec", "versions")).filter((version) => at(version, "served") === true);
    return served.map((version) => ({
      group: asText(at(object, "spec", "group")),
      version: asText(at(version, "name")),
      plural: asText(at(names, "plural")),
      singular: asText(at(names, "singular")) || asText(at(names, "kind")).toLowerCase(),
      kind: asText(at(names, "kind")),
      short: asList(at(names, "shortNames")).map(asText),
      namespaced: at(object, "spec", "scope") === "Namespaced",
      status: isObject(at(version, "subresources", "status")),
      scale: false,
      generation: true,
      unconditional: false,
      createOnUpdate: false,
      strategic: false,
    }));
  });
}

/** Every resource served now. */
export function servedResources(store: Store): readonly Resource[] {
  return [...RESOURCES, ...customResources(store)];
}

/** The resource of a path; undefined when there is none. */
export function findResource(store: Store, group: string, version: string, plural: string): Resource | undefined {
  const same = (one: Resource): boolean => one.plural === plural && one.group === group && one.version === version;
  return RESOURCES.find(same) ?? customResources(store).find(same);
}

function resourceList(resources: readonly Resource[], groupVersion: string): Json {
  const rows = resources.flatMap((resource) => {
    const { plural, kind, namespaced, singular, short } = resource;
    const main = { name: plural, singularName: singular, namespaced, kind, verbs: VERBS, ...(short.length === 0 ? {} : { shortNames: short }) };
    const verbs = ["get", "patch", "update"];
    const status = resource.status ? [{ name: `${plural}/status`, singularName: "", namespaced, kind, verbs }] : [];
    const scale = resource.scale ? [{ name: `${plural}/scale`, singularName: "", namespaced, group: "autoscaling", version: "v1", kind: "Scale", verbs }] : [];
    return [main, ...scale, ...status];
  });
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources: rows };
}

function groupOf(resources: readonly Resource[], name: string): JsonObject {
  const versions = [...new Set(resources.filter(({ group }) => group === name).map(({ version }) => version))].map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions, preferredVersion: versions[0] };
}

/** The document at a discovery path; undefined when it is none. */
export function discoveryDocument(path: string, store: Store, addresses: readonly string[]): Json | undefined {
  const resources = servedResources(store);
  const clean = path.length > 1 ? path.replace(/\/+$/u, "") : path;
  if (clean === "/version") return VERSION;
  if (clean === "/api") return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: addresses[0] ?? "" }] };
  const groups = [...new Set(resources.map(({ group }) => group))].filter((group) => group !== "");
  if (clean === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map((group) => groupOf(resources, group)) };
  const group = groups.find((name) => clean === `/apis/${name}`);
  if (group !== undefined) return { kind: "APIGroup", apiVersion: "v1", ...groupOf(resources, group) };
  const here = resources.filter((resource) => clean === (resource.group === "" ? "/api/v1" : `/apis/${apiVersionOf(resource)}`));
  const [first] = here;
  if (first !== undefined) return resourceList(here, apiVersionOf(first));
  if (clean === "/") return { paths: ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"] };
  return undefined;
}
