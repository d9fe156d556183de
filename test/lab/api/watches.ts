import type { ServerResponse } from "node:http";
import type { Described, RequestInfo } from "./request.js";
import { apiVersionOf, resourceId } from "./resources.js";
import { bothSelectors } from "./selectors.js";
import type { Selector } from "./selectors.js";
import { badRequest, expired } from "./status.js";
import { parseVersion } from "./store.js";
import type { Change, Entry, Store } from "./store.js";
import { tableText } from "./table.js";
import type { TableForm } from "./table.js";

/** Longest queue of a watch whose client does not read; then it is cut, as the real server does. */
const QUEUE_LIMIT = 100_000;

/** What a watch needs besides its request. */
export type WatchDeps = { readonly store: Store; readonly bookmarkMs: () => number; readonly frozen: (described: Described) => boolean };

/** One open watch. */
export type Watch = { readonly described: Described; readonly pump: () => void; readonly cut: () => void };

type Out = { readonly line: (type: string, object: string) => void; readonly entry: (type: string, entry: Entry) => void; readonly end: () => void; readonly pump: () => void };

function output(response: ServerResponse, deps: WatchDeps, watch: { readonly described: Described; readonly table: TableForm | undefined }): Out {
  const queue: string[] = [];
  let ended = false;
  let firstRow = true;
  const pump = (): void => {
    if (response.destroyed || deps.frozen(watch.described)) return;
    if (queue.length > 0) response.write(queue.splice(0).join(""));
    if (ended) response.end();
  };
  const line = (type: string, object: string): void => {
    if (ended) return;
    queue.push(`{"type":"${type}","object":${object}}\n`);
    if (queue.length > QUEUE_LIMIT) response.destroy();
    pump();
  };
  return {
    line,
    pump,
    entry: (type, entry) => {
      if (watch.table === undefined) return line(type, entry.json);
      line(type, tableText(watch.table, [entry], { revision: entry.revision, withColumns: firstRow }));
      firstRow = false;
    },
    end: () => {
      ended = true;
      pump();
    },
  };
}

/** What a watch with a selector tells of a change: an object which leaves the selection is deleted, one which enters is added. */
export function seen(change: Change, selector: Selector | undefined): { readonly type: string; readonly entry: Entry } | undefined {
  const { type, entry, previous } = change;
  if (selector === undefined) return { type, entry };
  const before = previous !== undefined && selector(previous.object);
  const after = type !== "DELETED" && selector(entry.object);
  if (before && after) return { type: "MODIFIED", entry };
  if (after) return { type: "ADDED", entry };
  return before ? { type: "DELETED", entry } : undefined;
}

type Start = { readonly initial: boolean; readonly from: number; readonly marked: boolean };

function startOf(info: RequestInfo, store: Store): Start {
  const text = info.query.get("resourceVersion") ?? "";
  const version = text === "" ? 0 : parseVersion(text);
  if (version === undefined) throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const asked = info.query.get("sendInitialEvents");
  if (asked === null) return { initial: version === 0, from: version === 0 ? store.revision : version, marked: false };
  if (info.query.get("resourceVersionMatch") !== "NotOlderThan") throw badRequest("resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  if (asked === "true") return { initial: true, from: store.revision, marked: info.query.get("allowWatchBookmarks") === "true" };
  return { initial: false, from: version === 0 ? store.revision : version, marked: false };
}

function bookmark(info: RequestInfo, revision: number, initialEnd: boolean): string {
  const annotations = initialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {};
  return JSON.stringify({ kind: info.resource.kind, apiVersion: apiVersionOf(info.resource), metadata: { resourceVersion: String(revision), creationTimestamp: null, ...annotations } });
}

function selectorOf(info: RequestInfo): Selector | undefined {
  const selector = bothSelectors(info.query, info.resource.plural);
  if (info.namespace === "" && info.name === "") return selector;
  return (object) => (info.namespace === "" || object.metadata.namespace === info.namespace) && (info.name === "" || object.metadata.name === info.name) && (selector === undefined || selector(object));
}

function replay(info: RequestInfo, deps: WatchDeps, out: Out): boolean {
  const id = resourceId(info.resource);
  const selector = selectorOf(info);
  const start = startOf(info, deps.store);
  if (start.initial) {
    for (const entry of deps.store.list(id)) if (selector === undefined || selector(entry.object)) out.entry("ADDED", entry);
    if (start.marked) out.line("BOOKMARK", bookmark(info, deps.store.revision, true));
  }
  const changes = deps.store.since(id, start.from);
  if (changes === "expired") {
    out.line("ERROR", JSON.stringify(expired(`too old resource version: ${start.from} (${deps.store.oldest(id)})`).body));
    return false;
  }
  for (const change of changes) tell(change, selector, out);
  return true;
}

function tell(change: Change, selector: Selector | undefined, out: Out): void {
  const event = seen(change, selector);
  if (event !== undefined) out.entry(event.type, event.entry);
}

/** Answers a watch; it lasts until its timeout, until cut, or until the client goes. Throws before anything is written when the query is bad. */
export function openWatch(info: RequestInfo, response: ServerResponse, deps: WatchDeps & { readonly described: Described; readonly table: TableForm | undefined; readonly onClose: () => void }): Watch {
  const selector = selectorOf(info);
  startOf(info, deps.store);
  const bookmarks = info.query.get("allowWatchBookmarks") === "true";
  const seconds = Number(info.query.get("timeoutSeconds") ?? 0);
  const out = output(response, deps, deps);
  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
  response.flushHeaders();
  const ok = replay(info, deps, out);
  const stop = ok ? deps.store.subscribe(resourceId(info.resource), (change) => tell(change, selector, out)) : undefined;
  const mark = (): void => {
    if (bookmarks && !deps.frozen(deps.described)) out.line("BOOKMARK", bookmark(info, deps.store.revision, false));
  };
  const ticker = ok && bookmarks ? setInterval(mark, deps.bookmarkMs()) : undefined;
  // As the real server without timeoutSeconds: half an hour to an hour.
  const lifetime = seconds > 0 ? seconds * 1000 : 1_800_000 * (1 + Math.random());
  const timeout = setTimeout(() => {
    mark();
    out.end();
  }, Math.min(lifetime, 2 ** 31 - 1));
  response.on("close", () => {
    clearTimeout(timeout);
    clearInterval(ticker);
    stop?.();
    deps.onClose();
  });
  response.on("error", () => undefined);
  if (!ok) out.end();
  return { described: deps.described, pump: out.pump, cut: () => response.destroy() };
}
