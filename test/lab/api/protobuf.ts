import { asObject } from "./object.js";
import type { Json, JsonObject } from "./object.js";
import { badRequest, unsupportedMedia } from "./status.js";

/** The media type which kubectl uses to create some kinds, and Go's typed clients in general. */
export const PROTOBUF = "application/vnd.kubernetes.protobuf";

type Field = { readonly name: string; readonly type: "text" | "base64" | "number" | "boolean" | "ignored" | "map" | "bytesMap" | Schema; readonly list?: boolean };
type Schema = { readonly [number: number]: Field };

const text = (name: string): Field => ({ name, type: "text" });
const texts = (name: string): Field => ({ name, type: "text", list: true });
const number = (name: string): Field => ({ name, type: "number" });
const map = (name: string): Field => ({ name, type: "map" });
const inside = (name: string, type: Schema): Field => ({ name, type });
const ignored: Field = { name: "", type: "ignored" };

// Numbers as in generated.proto of k8s.io/apimachinery and k8s.io/api; what only the server sets is ignored.
const META: Schema = { 1: text("name"), 2: text("generateName"), 3: text("namespace"), 5: ignored, 6: text("resourceVersion"), 7: ignored, 8: ignored, 11: map("labels"), 12: map("annotations"), 14: texts("finalizers"), 17: ignored };
const METADATA = inside("metadata", META);
const PORT: Schema = { 1: text("name"), 2: number("hostPort"), 3: number("containerPort"), 4: text("protocol"), 5: text("hostIP") };
const ENV: Schema = { 1: text("name"), 2: text("value") };
const CONTAINER: Schema = { 1: text("name"), 2: text("image"), 3: texts("command"), 4: texts("args"), 5: text("workingDir"), 6: { name: "ports", type: PORT, list: true }, 7: { name: "env", type: ENV, list: true }, 14: text("imagePullPolicy") };
const POD: Schema = { 2: { name: "containers", type: CONTAINER, list: true }, 3: text("restartPolicy"), 8: text("serviceAccountName"), 10: text("nodeName") };
const DEPLOYMENT: Schema = { 1: number("replicas"), 2: inside("selector", { 1: map("matchLabels") }), 3: inside("template", { 1: METADATA, 2: inside("spec", POD) }), 4: inside("strategy", { 1: text("type") }), 5: number("minReadySeconds"), 6: number("revisionHistoryLimit") };

const KINDS: { readonly [kind: string]: Schema } = {
  Namespace: { 1: METADATA, 2: ignored, 3: ignored },
  ConfigMap: { 1: METADATA, 2: map("data"), 3: { name: "binaryData", type: "bytesMap" }, 4: { name: "immutable", type: "boolean" } },
  Secret: { 1: METADATA, 2: { name: "data", type: "bytesMap" }, 3: text("type"), 4: map("stringData"), 5: { name: "immutable", type: "boolean" } },
  ServiceAccount: { 1: METADATA },
  Deployment: { 1: METADATA, 2: inside("spec", DEPLOYMENT), 3: ignored },
};

type Wire = { readonly field: number; readonly value: number | Buffer };

function varint(bytes: Buffer, at: number): readonly [number, number] {
  let value = 0n;
  for (let index = 0; index < 10; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << BigInt(index * 7);
    if (byte < 0x80) return [Number(BigInt.asIntN(64, value)), at + index + 1];
  }
  throw badRequest("protobuf: a varint is cut off");
}

function* fields(bytes: Buffer): Generator<Wire> {
  let place = 0;
  while (place < bytes.length) {
    const [tag, after] = varint(bytes, place);
    const [value, next] = varint(bytes, after);
    const type = tag & 7;
    if (type === 0) {
      place = next;
      yield { field: tag >>> 3, value };
      continue;
    }
    if (type !== 2 || value < 0 || next + value > bytes.length) throw badRequest("protobuf: a field is cut off or of an unknown type");
    place = next + value;
    yield { field: tag >>> 3, value: bytes.subarray(next, place) };
  }
}

const asBytes = (value: number | Buffer): Buffer => (typeof value === "number" ? Buffer.alloc(0) : value);

function entry(bytes: Buffer, encoding: "utf8" | "base64"): readonly [string, string] {
  const parts = new Map([...fields(bytes)].map(({ field, value }) => [field, asBytes(value)] as const));
  return [parts.get(1)?.toString("utf8") ?? "", parts.get(2)?.toString(encoding) ?? ""];
}

function decodeField(type: Exclude<Field["type"], "map" | "bytesMap" | "ignored">, value: number | Buffer): Json {
  switch (type) {
    case "text":
      return asBytes(value).toString("utf8");
    case "base64":
      return asBytes(value).toString("base64");
    case "number":
      return Number(value);
    case "boolean":
      return value === 1;
    default:
      return message(asBytes(value), type);
  }
}

const isEmpty = (value: number | Buffer): boolean => (typeof value === "number" ? value === 0 : value.length === 0);

function message(bytes: Buffer, schema: Schema): JsonObject {
  const result: { [key: string]: Json | undefined } = {};
  for (const { field, value } of fields(bytes)) {
    const known = schema[field];
    if (known?.type === "ignored" || (isEmpty(value) && known?.list !== true)) continue;
    // Rather refuse than lose what the client said.
    if (known === undefined) throw unsupportedMedia(`protobuf: field ${field} is not known here; send application/json`);
    const { name, type } = known;
    const old = result[name];
    if (type === "map" || type === "bytesMap") {
      const [key, content] = entry(asBytes(value), type === "map" ? "utf8" : "base64");
      result[name] = { ...asObject(old), [key]: content };
      continue;
    }
    const decoded = decodeField(type, value);
    result[name] = known.list === true ? [...(Array.isArray(old) ? (old as readonly Json[]) : []), decoded] : decoded;
  }
  return result;
}

/** Decodes the kinds which kubectl creates in protobuf; throws 415 for others and for fields not known here. */
export function decodeProtobuf(body: Buffer): JsonObject {
  // "k8s\0", then runtime.Unknown: 1 TypeMeta (1 apiVersion, 2 kind), 2 raw.
  if (body.subarray(0, 4).toString("latin1") !== "k8s\0") throw badRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  const parts = new Map([...fields(body.subarray(4))].map(({ field, value }) => [field, asBytes(value)] as const));
  const type = message(parts.get(1) ?? Buffer.alloc(0), { 1: text("apiVersion"), 2: text("kind") });
  const kind = typeof type["kind"] === "string" ? type["kind"] : "";
  const schema = KINDS[kind];
  if (schema === undefined) throw unsupportedMedia(`protobuf: kind ${kind} is not known here; send application/json`);
  return { ...type, ...message(parts.get(2) ?? Buffer.alloc(0), schema) };
}
