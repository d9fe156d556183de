import type { JsonPatchOperation, Service } from "../../src/ports/kube.js";
import { refused } from "./refused.js";

type Fields = Record<string, unknown>;

/**
 * The Service after a JSON patch (RFC 6902), as far as it names externalIPs, annotations and the resourceVersion. As in the real object, externalIPs and
 * annotations do not exist while they are empty. A failed operation is `invalid`, a resourceVersion other than that of `service` a `conflict`.
 */
export function patched(service: Service, operations: readonly JsonPatchOperation[]): Service {
  const root: Fields = {
    metadata: { resourceVersion: service.resourceVersion, ...(Object.keys(service.annotations).length === 0 ? {} : { annotations: { ...service.annotations } }) },
    spec: service.externalIPs.length === 0 ? {} : { externalIPs: [...service.externalIPs] },
  };
  for (const operation of operations) apply(root, operation);
  const { metadata, spec } = root as { readonly metadata: Fields; readonly spec: Fields };
  if (metadata["resourceVersion"] !== service.resourceVersion) throw refused("conflict");
  return {
    ...service,
    annotations: (metadata["annotations"] ?? {}) as Service["annotations"],
    externalIPs: (spec["externalIPs"] ?? []) as Service["externalIPs"],
  };
}

function apply(root: Fields, operation: JsonPatchOperation): void {
  const parts = operation.path.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = parts.pop() ?? "";
  const parent = parts.reduce<unknown>((at, part) => (at as Fields | undefined)?.[part], root);
  if (typeof parent !== "object" || parent === null) throw refused("invalid", `${operation.op} operation does not apply: no ${operation.path}`);
  if (Array.isArray(parent)) applyToItems(parent as unknown[], last, operation);
  else applyToFields(parent as Fields, last, operation);
}

function applyToFields(fields: Fields, name: string, operation: JsonPatchOperation): void {
  if (operation.op === "test") return same(fields[name], operation);
  if (operation.op !== "add" && !(name in fields)) throw refused("invalid", `${operation.op} operation does not apply: no ${operation.path}`);
  if (operation.op === "remove") delete fields[name];
  else fields[name] = structuredClone(operation.value);
}

function applyToItems(items: unknown[], name: string, operation: JsonPatchOperation): void {
  const index = name === "-" && operation.op === "add" ? items.length : Number(name);
  const end = operation.op === "add" ? items.length : items.length - 1;
  if (!/^(-|\d+)$/.test(name) || !(index <= end)) throw refused("invalid", `${operation.op} operation does not apply: no ${operation.path}`);
  if (operation.op === "test") same(items[index], operation);
  else if (operation.op === "add") items.splice(index, 0, operation.value);
  else if (operation.op === "remove") items.splice(index, 1);
  else items[index] = operation.value;
}

function same(found: unknown, operation: { readonly path: string; readonly value: unknown }): void {
  if (JSON.stringify(found ?? null) !== JSON.stringify(operation.value)) throw refused("invalid", `testing value ${operation.path} failed`);
}
