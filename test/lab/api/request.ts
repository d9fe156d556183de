import { resourceId } from "./resources.js";
import type { Resource } from "./resources.js";
import { noSuchPath, notAllowed } from "./status.js";

/** The verbs of the API. */
export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

/** What a request to a resource asks for. */
export type RequestInfo = {
  readonly verb: Verb;
  readonly resource: Resource;
  /** "" for all namespaces and for what has none. */
  readonly namespace: string;
  /** "" for a whole collection. */
  readonly name: string;
  readonly subresource: string;
  readonly query: URLSearchParams;
};

/** Who asks, and from where. */
export type Caller = { readonly user: string; readonly userAgent: string; readonly remote: string };

/** What faults match on: the caller and, for resources, the request. */
export type Described = Caller & { readonly verb: string; readonly resource: string; readonly namespace: string; readonly name: string; readonly subresource: string };

type Find = (group: string, version: string, plural: string) => Resource | undefined;

function verbOf(method: string, name: string, query: URLSearchParams): Verb {
  const watch = ["1", "true"].includes(query.get("watch") ?? "");
  switch (method) {
    case "GET":
    case "HEAD":
      return watch ? "watch" : name === "" ? "list" : "get";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return name === "" ? "deletecollection" : "delete";
    default:
      throw notAllowed();
  }
}

type Parts = { readonly group: string; readonly version: string; readonly rest: readonly string[] };

function split(path: string): Parts | undefined {
  const [root, ...rest] = path.split("/").filter((part) => part !== "").map(decodeURIComponent);
  if (root === "api" && rest.length >= 2) return { group: "", version: rest[0] ?? "", rest: rest.slice(1) };
  if (root === "apis" && rest.length >= 3) return { group: rest[0] ?? "", version: rest[1] ?? "", rest: rest.slice(2) };
  return undefined;
}

/** Reads method and address; undefined when the path is not below a group and version; throws 404 for an unknown resource. */
export function parseRequest(method: string, url: URL, find: Find): RequestInfo | undefined {
  const parts = split(url.pathname);
  if (parts === undefined) return undefined;
  const { group, version } = parts;
  const scoped = parts.rest[0] === "namespaces" && parts.rest.length >= 3 && find(group, version, parts.rest[2] ?? "")?.namespaced === true;
  const namespace = scoped ? (parts.rest[1] ?? "") : "";
  const [plural = "", name = "", subresource = "", ...more] = scoped ? parts.rest.slice(2) : parts.rest;
  const resource = find(group, version, plural);
  if (resource === undefined || more.length > 0) throw noSuchPath();
  if (resource.namespaced && namespace === "" && name !== "") throw noSuchPath();
  if (subresource !== "" && !(subresource === "status" && resource.status) && !(subresource === "scale" && resource.scale) && !(subresource === "finalize" && plural === "namespaces")) throw noSuchPath();
  const verb = verbOf(method, name, url.searchParams);
  if (verb === "create" && (name !== "" || (resource.namespaced && namespace === ""))) throw notAllowed();
  if (verb === "deletecollection" && (resource.namespaced ? namespace === "" : false)) throw notAllowed();
  return { verb, resource, namespace, name, subresource, query: url.searchParams };
}

/** The request as faults and counters see it. */
export function describe(caller: Caller, info: RequestInfo | undefined, path: string): Described {
  if (info === undefined) return { ...caller, verb: "get", resource: path, namespace: "", name: "", subresource: "" };
  const { verb, namespace, name, subresource } = info;
  return { ...caller, verb, resource: resourceId(info.resource).split(".")[0] ?? "", namespace, name, subresource };
}
