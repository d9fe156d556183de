/** Fields of a JSON object; none where it is something else. */
export function fieldsOf(raw: unknown): Readonly<Record<string, unknown>> {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw) ? (raw as Readonly<Record<string, unknown>>) : {};
}

/** Items of a JSON array; none where it is something else. */
export function itemsOf(raw: unknown): readonly unknown[] {
  return Array.isArray(raw) ? (raw as readonly unknown[]) : [];
}

/** A JSON string that is not empty. */
export function textOf(raw: unknown): string | undefined {
  return typeof raw === "string" && raw !== "" ? raw : undefined;
}

/** A JSON number that is a whole one of at least 0. */
export function countOf(raw: unknown): number | undefined {
  return typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 0 ? raw : undefined;
}

/** A JSON number that is a port, 1 to 65535. */
export function portOf(raw: unknown): number | undefined {
  const port = countOf(raw);
  return port === undefined || port === 0 || port > 65_535 ? undefined : port;
}

/** Protocol of a port; TCP is the API's default. Undefined where it is none that we know. */
export function protocolOf(raw: unknown = "TCP"): "TCP" | "UDP" | "SCTP" | undefined {
  return raw === "TCP" || raw === "UDP" || raw === "SCTP" ? raw : undefined;
}

/** Text values of a JSON object. */
export function textsOf(raw: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(fieldsOf(raw)).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

/** `namespace/name` of an object (or `name` where it has no namespace); undefined where the name is missing. */
export function keyOf(raw: unknown): string | undefined {
  const metadata = fieldsOf(fieldsOf(raw)["metadata"]);
  const name = textOf(metadata["name"]);
  const namespace = textOf(metadata["namespace"]);
  return name === undefined || namespace === undefined ? name : `${namespace}/${name}`;
}

/** metadata.resourceVersion of an object or a list. */
export function versionOf(raw: unknown): string | undefined {
  return textOf(fieldsOf(fieldsOf(raw)["metadata"])["resourceVersion"]);
}
