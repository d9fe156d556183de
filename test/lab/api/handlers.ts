import { asObject, asText, at, isObject } from "./object.js";
import type { Json, KubeObject } from "./object.js";
import { scaleOf, scaled } from "./controllers/scale.js";
import { Lists, listJson } from "./lists.js";
import type { Page } from "./lists.js";
import { managerOf } from "./managed-fields.js";
import { jsonPatch, mergePatch } from "./patch.js";
import { PROTOBUF, decodeProtobuf } from "./protobuf.js";
import { Registry } from "./registry.js";
import type { Preconditions, Target, WriteOptions } from "./registry.js";
import type { RequestInfo } from "./request.js";
import { resourceId } from "./resources.js";
import { badRequest, notAllowed, unsupportedMedia } from "./status.js";
import type { Entry, Store } from "./store.js";
import { strategicPatch } from "./strategic.js";
import { tableForm, tableText } from "./table.js";

/** A request with its body. */
export type Call = { readonly info: RequestInfo; readonly body: Buffer; readonly contentType: string; readonly accept: string; readonly userAgent: string };

/** An answer: code and JSON. */
export type Reply = { readonly code: number; readonly json: string };

/** The verbs other than watch, on the objects of a store. */
export class Handlers {
  readonly registry: Registry;
  readonly lists: Lists;

  constructor(store: Store) {
    this.registry = new Registry(store);
    this.lists = new Lists(store);
  }

  /** Does what is asked; throws StatusError. */
  handle(call: Call): Reply {
    const { info } = call;
    const target: Target = { resource: info.resource, namespace: info.namespace, name: info.name };
    if (info.subresource === "scale") return this.#scale(call, target);
    switch (info.verb) {
      case "get":
        return this.#single(call, 200, this.registry.get(target));
      case "list":
        return this.#list(call);
      case "create":
        return this.#single(call, 201, this.registry.create(target, parseBody(call), this.#options(call)));
      case "update": {
        const { entry, created } = this.registry.update(target, parseBody(call), this.#options(call));
        return this.#single(call, created ? 201 : 200, entry);
      }
      case "patch":
        return this.#single(call, 200, this.#patch(call, target));
      case "delete":
        return this.#delete(call, target);
      case "deletecollection":
        return this.#deleteMany(call);
      case "watch":
        throw notAllowed();
    }
  }

  #options({ info, userAgent }: Call): WriteOptions {
    const dryRun = info.query.get("dryRun");
    if (dryRun !== null && dryRun !== "All") throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`);
    return { dryRun: dryRun === "All", status: info.subresource === "status", writer: { manager: managerOf(info.query.get("fieldManager"), userAgent), subresource: info.subresource } };
  }

  #single({ info, accept }: Call, code: number, entry: Entry): Reply {
    const form = tableForm(info, accept);
    return { code, json: form === undefined ? entry.json : tableText(form, [entry], { revision: entry.revision, withColumns: true }) };
  }

  #list({ info, accept }: Call): Reply {
    const page: Page = this.lists.page(info);
    const form = tableForm(info, accept);
    if (form === undefined) return { code: 200, json: listJson(info, page) };
    return { code: 200, json: tableText(form, page.entries, { revision: page.revision, withColumns: true, next: page.next, remaining: page.remaining }) };
  }

  #scale(call: Call, target: Target): Reply {
    const { verb } = call.info;
    const change = verb === "patch" ? patcher(call, target) : () => parseBody(call);
    const entry = verb === "get" ? this.registry.get(target) : this.registry.patch(target, (object) => scaled(object, change(scaleOf(object))), this.#options(call));
    return { code: 200, json: JSON.stringify(scaleOf(entry.object)) };
  }

  #patch(call: Call, target: Target): Entry {
    return this.registry.patch(target, patcher(call, target), this.#options(call));
  }

  #delete(call: Call, target: Target): Reply {
    const options = call.body.length === 0 || call.contentType.startsWith(PROTOBUF) ? {} : asObject(parseJson(call.body));
    const uid = asText(at(options, "preconditions", "uid"));
    const resourceVersion = asText(at(options, "preconditions", "resourceVersion"));
    const preconditions: Preconditions = { ...(uid === "" ? {} : { uid }), ...(resourceVersion === "" ? {} : { resourceVersion }) };
    const dryRun = this.#options(call).dryRun === true;
    if (target.resource.plural === "namespaces" && !dryRun) this.#emptyNamespace(target.name);
    const entry = this.registry.remove(target, preconditions, dryRun);
    const pending = asText(entry.object.metadata["deletionTimestamp"]) !== "";
    if (pending || ["pods", "services"].includes(target.resource.plural)) return this.#single(call, 200, entry);
    const details = { name: target.name, ...(target.resource.group === "" ? {} : { group: target.resource.group }), kind: target.resource.plural, uid: entry.object.metadata.uid };
    return { code: 200, json: JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details }) };
  }

  #emptyNamespace(namespace: string): void {
    const { store } = this.registry;
    for (const resource of this.namespacedResources()) {
      for (const entry of store.list(resourceId(resource))) {
        if (entry.object.metadata.namespace === namespace) this.registry.remove({ resource, namespace, name: entry.object.metadata.name });
      }
    }
  }

  /** Resources whose objects go away with their namespace; set by the server, which knows the custom ones. */
  namespacedResources: () => readonly RequestInfo["resource"][] = () => [];

  #deleteMany(call: Call): Reply {
    const { info } = call;
    const page = this.lists.page(info);
    const dryRun = this.#options(call).dryRun === true;
    for (const { object } of page.entries) this.registry.remove({ resource: info.resource, namespace: object.metadata.namespace ?? "", name: object.metadata.name }, {}, dryRun);
    return { code: 200, json: listJson(info, page) };
  }
}

/** What the patch in a request makes of an object; throws 400 and 415. */
function patcher(call: Call, target: Target): (object: KubeObject) => Json {
  const media = call.contentType.split(";")[0]?.trim() ?? "";
  const accepted = ["application/json-patch+json", "application/merge-patch+json", ...(target.resource.strategic ? ["application/strategic-merge-patch+json"] : [])];
  if (!accepted.includes(media)) throw unsupportedMedia(`the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`);
  const patch = parseJson(call.body);
  if (!media.startsWith("application/json-patch") && !isObject(patch)) throw badRequest("the patch is not a JSON object");
  return (object) => applyPatch(media, object, patch);
}

function applyPatch(media: string, object: KubeObject, patch: Json): Json {
  switch (media) {
    case "application/json-patch+json":
      return jsonPatch(object, patch);
    case "application/merge-patch+json":
      return mergePatch(object, patch);
    default:
      return strategicPatch(object, patch);
  }
}

function parseJson(body: Buffer): Json {
  try {
    // JSON.parse makes nothing but JSON.
    return JSON.parse(body.toString("utf8")) as Json;
  } catch (error) {
    throw badRequest(`couldn't get version/kind; json parse error: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseBody({ body, contentType }: Call): Json {
  const media = contentType.split(";")[0]?.trim() ?? "";
  if (media === PROTOBUF) return decodeProtobuf(body);
  if (media !== "" && media !== "application/json") throw unsupportedMedia(`the body of the request was in an unknown format - accepted media types include: application/json`);
  return parseJson(body);
}
