import type { Json } from "./object.js";
import { servedResources } from "./discovery.js";
import { apiVersionOf } from "./resources.js";
import type { Resource } from "./resources.js";
import type { Store } from "./store.js";

const pathOf = (resource: Resource): string => (resource.group === "" ? `api/${resource.version}` : `apis/${resource.group}/${resource.version}`);

const schemaName = (resource: Resource): string => `${resource.group === "" ? "core" : resource.group}.${resource.version}.${resource.kind}`;

const gvk = (resource: Resource): Json => ({ group: resource.group, version: resource.version, kind: resource.kind });

/** PATCH with fieldValidation tells kubectl that the server validates, so that it needs no schemas of its own. */
function paths(resources: readonly Resource[]): Json {
  return Object.fromEntries(
    resources.map((resource) => {
      const path = `/${pathOf(resource)}/${resource.namespaced ? "namespaces/{namespace}/" : ""}${resource.plural}/{name}`;
      const parameters = ["dryRun", "fieldManager", "fieldValidation", "force"].map((name) => ({ name, in: "query", schema: { type: "string", uniqueItems: true } }));
      return [path, { patch: { operationId: `patch${resource.kind}`, parameters, "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": gvk(resource), responses: { "200": { description: "OK" } } } }];
    }),
  );
}

function version3(resources: readonly Resource[]): Json {
  const schemas = Object.fromEntries(resources.map((resource) => [schemaName(resource), { type: "object", "x-kubernetes-group-version-kind": [gvk(resource)], "x-kubernetes-preserve-unknown-fields": true }]));
  return { openapi: "3.0.0", info: { title: "Kubernetes", version: "v1.36.0" }, paths: paths(resources), components: { schemas } };
}

/** The document at an OpenAPI path; undefined when it is none. */
export function openapiDocument(path: string, store: Store): Json | undefined {
  const resources = servedResources(store);
  if (path === "/openapi/v3") {
    const groups = [...new Set(resources.map(pathOf))];
    return { paths: Object.fromEntries(groups.map((group) => [group, { serverRelativeURL: `/openapi/v3/${group}` }])) };
  }
  const here = resources.filter((resource) => path === `/openapi/v3/${pathOf(resource)}`);
  if (here.length > 0) return version3(here);
  if (path !== "/openapi/v2") return undefined;
  const definitions = Object.fromEntries(resources.map((resource) => [schemaName(resource), { type: "object", description: apiVersionOf(resource), "x-kubernetes-group-version-kind": [gvk(resource)] }]));
  return { swagger: "2.0", info: { title: "Kubernetes", version: "v1.36.0" }, paths: {}, definitions };
}
