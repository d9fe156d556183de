import { asList, asObject, isObject, scalar } from "./object.js";
import type { KubeObject } from "./object.js";
import type { Resource } from "./resources.js";
import { badValue, required } from "./status.js";
import type { Cause } from "./status.js";

const ANNOTATIONS_LIMIT_BYTES = 256 * 1024;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/u;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/u;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/u;
const PATH_SEGMENT = /^(?!\.{1,2}$)[^/%]+$/u;

const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/** Whether the text is a DNS subdomain. */
export function isSubdomain(text: string): boolean {
  return text.length <= 253 && SUBDOMAIN.test(text);
}

/** Whether the text is a DNS label. */
export function isLabel(text: string): boolean {
  return text.length <= 63 && LABEL.test(text);
}

/** Whether the text is "name" or "prefix/name" as keys of labels are. */
export function isQualifiedName(text: string): boolean {
  const parts = text.split("/");
  const name = parts.pop() ?? "";
  return name.length <= 63 && QUALIFIED.test(name) && parts.length <= 1 && parts.every(isSubdomain);
}

function nameCauses(resource: Resource, name: string): readonly Cause[] {
  if (name === "") return [required("metadata.name", "name or generateName is required")];
  if (resource.plural === "services") return name.length <= 63 && LABEL_1035.test(name) ? [] : [badValue("metadata.name", name, LABEL_1035_TEXT)];
  if (resource.plural === "namespaces") return isLabel(name) ? [] : [badValue("metadata.name", name, LABEL_TEXT)];
  if (resource.group === "rbac.authorization.k8s.io") return PATH_SEGMENT.test(name) ? [] : [badValue("metadata.name", name, "may not contain '/'")];
  return isSubdomain(name) ? [] : [badValue("metadata.name", name, SUBDOMAIN_TEXT)];
}

function annotationCauses(object: KubeObject): readonly Cause[] {
  const annotations = Object.entries(asObject(object.metadata["annotations"]));
  const bytes = annotations.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(scalar(value)), 0);
  const bad = annotations.filter(([key]) => !isQualifiedName(key.toLowerCase())).map(([key]) => badValue("metadata.annotations", key, "name part must consist of alphanumeric characters, '-', '_' or '.'"));
  if (bytes <= ANNOTATIONS_LIMIT_BYTES) return bad;
  return [...bad, { reason: "FieldValueTooLong", message: `Too long: may not be more than ${ANNOTATIONS_LIMIT_BYTES} bytes`, field: "metadata.annotations" }];
}

function labelCauses(object: KubeObject): readonly Cause[] {
  return Object.entries(asObject(object.metadata["labels"])).flatMap(([key, value]) => {
    const causes: Cause[] = [];
    if (!isQualifiedName(key)) causes.push(badValue("metadata.labels", key, "name part must consist of alphanumeric characters, '-', '_' or '.'"));
    if (typeof value !== "string" || value.length > 63 || (value !== "" && !QUALIFIED.test(value))) causes.push(badValue("metadata.labels", value ?? null, "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"));
    return causes;
  });
}

/** What is wrong with the metadata of an object, and with what a client may not change in it. */
export function metaCauses(resource: Resource, object: KubeObject, old: KubeObject | undefined): readonly Cause[] {
  const finalizers = asList(object.metadata["finalizers"]).filter((item) => typeof item !== "string" || !isQualifiedName(item));
  const causes = [...(old === undefined ? nameCauses(resource, object.metadata.name) : []), ...annotationCauses(object), ...labelCauses(object)];
  return [...causes, ...finalizers.map((item) => badValue("metadata.finalizers", item, "name is neither a standard finalizer name nor is it fully qualified"))];
}

/** A text for metadata which Go could not decode: labels and annotations are maps of strings. */
export function undecodable(object: KubeObject): string | undefined {
  for (const field of ["labels", "annotations"]) {
    const map = object.metadata[field];
    if (map === undefined || map === null) continue;
    if (!isObject(map)) return `json: cannot unmarshal into Go struct field ObjectMeta.metadata.${field} of type map[string]string`;
    const bad = Object.values(map).find((value) => typeof value !== "string");
    if (bad !== undefined) return `json: cannot unmarshal ${typeof bad} into Go struct field ObjectMeta.metadata.${field} of type string`;
  }
  return undefined;
}
