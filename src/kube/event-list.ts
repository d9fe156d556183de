import type { Client, Query } from "./client.js";
import { countOf, fieldsOf, itemsOf, textOf } from "./raw.js";

const TIMEOUT_MS = 10_000;
const PAGE = 500;

/** A Warning Event about a Service. */
export interface Warning {
  /** `namespace/name` of the Service. */
  readonly service: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  /** Milliseconds since 1970 of its newest occurrence by the writer's clock; 0 where the object has no time. */
  readonly lastMs: number;
  /** `vip`, `kube-vip`, ...; empty where it is not said. */
  readonly component: string;
}

/** Warning Events about Services, of all namespaces. */
export async function listWarnings(client: Client, signal: AbortSignal): Promise<readonly Warning[]> {
  const query = { fieldSelector: "involvedObject.kind=Service,type=Warning" };
  const items = await listAll(client, { resource: "events", path: "/api/v1/events", query }, signal);
  return items.flatMap(decodeWarning);
}

/** All objects of a collection, page by page. Fails with a KubeError. */
export async function listAll(client: Client, of: { readonly resource: string; readonly path: string; readonly query: Query }, signal: AbortSignal): Promise<readonly unknown[]> {
  const { resource, path } = of;
  const items: unknown[] = [];
  let token: string | undefined;
  do {
    const query = { ...of.query, limit: PAGE, continue: token };
    const page = fieldsOf(await client.request({ verb: "list", resource, path, query, timeoutMs: TIMEOUT_MS }, signal));
    items.push(...itemsOf(page["items"]));
    token = textOf(fieldsOf(page["metadata"])["continue"]);
  } while (token !== undefined);
  return items;
}

/** The selectors are looked at again: a server that does not know them sends everything. */
function decodeWarning(raw: unknown): readonly Warning[] {
  const event = fieldsOf(raw);
  const about = fieldsOf(event["involvedObject"]);
  const [namespace, name] = [textOf(about["namespace"]), textOf(about["name"])];
  if (event["type"] !== "Warning" || about["kind"] !== "Service" || namespace === undefined || name === undefined) return [];
  const series = fieldsOf(event["series"]);
  const times = [series["lastObservedTime"], event["lastTimestamp"], event["eventTime"], event["firstTimestamp"]].map((time) => Date.parse(textOf(time) ?? ""));
  return [
    {
      service: `${namespace}/${name}`,
      reason: textOf(event["reason"]) ?? "",
      message: textOf(event["message"]) ?? "",
      count: countOf(event["count"]) ?? countOf(series["count"]) ?? 1,
      lastMs: times.find((ms) => !Number.isNaN(ms)) ?? 0,
      component: textOf(fieldsOf(event["source"])["component"]) ?? textOf(event["reportingComponent"]) ?? "",
    },
  ];
}
