import { randomUUID } from "node:crypto";
import type { RequestInfo } from "./request.js";
import { apiVersionOf, resourceId } from "./resources.js";
import { bothSelectors } from "./selectors.js";
import { badRequest, expired, tooLargeVersion } from "./status.js";
import { parseVersion } from "./store.js";
import type { Entry, Store } from "./store.js";

/** The entries of one page, and what metadata of the list says of it. */
export type Page = { readonly entries: readonly Entry[]; readonly revision: number; readonly next: string; readonly remaining: number | undefined };

type Snapshot = { readonly entries: readonly Entry[]; readonly revision: number; readonly selected: boolean };

const SNAPSHOTS = 200;

/** Lists in pages: the pages of one list all come from the state at its start. */
export class Lists {
  readonly #store: Store;
  readonly #snapshots = new Map<string, Snapshot>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Continue tokens given so far are no good any more. */
  forget(): void {
    this.#snapshots.clear();
  }

  /** The page which the query asks for. */
  page(info: RequestInfo): Page {
    const limit = Number(info.query.get("limit") ?? 0);
    if (!Number.isInteger(limit) || limit < 0) throw badRequest(`limit: Invalid value: ${String(info.query.get("limit"))}`);
    const token = info.query.get("continue") ?? "";
    if (token !== "") return this.#resume(token, limit);
    this.#checkVersion(info);
    const selector = bothSelectors(info.query, info.resource.plural);
    const { namespace, name } = info;
    const entries = this.#store.list(resourceId(info.resource)).filter((entry) => (namespace === "" || entry.object.metadata.namespace === namespace) && (name === "" || entry.object.metadata.name === name) && (selector === undefined || selector(entry.object)));
    const snapshot: Snapshot = { entries, revision: this.#store.revision, selected: selector !== undefined };
    if (limit === 0 || entries.length <= limit) return { entries, revision: snapshot.revision, next: "", remaining: undefined };
    const id = randomUUID();
    this.#snapshots.set(id, snapshot);
    const [oldest] = this.#snapshots.keys();
    if (this.#snapshots.size > SNAPSHOTS && oldest !== undefined) this.#snapshots.delete(oldest);
    return this.#cut(snapshot, { id, from: 0 }, limit);
  }

  #resume(token: string, limit: number): Page {
    const [id = "", from = ""] = Buffer.from(token, "base64url").toString().split("@");
    if (!/^[0-9a-f-]{36}$/u.test(id) || !/^\d+$/u.test(from)) throw badRequest("continue key is not valid: incorrect format");
    const snapshot = this.#snapshots.get(id);
    if (snapshot === undefined) throw expired("The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.");
    return this.#cut(snapshot, { id, from: Number(from) }, limit === 0 ? snapshot.entries.length : limit);
  }

  #cut(snapshot: Snapshot, place: { readonly id: string; readonly from: number }, limit: number): Page {
    const end = Math.min(place.from + limit, snapshot.entries.length);
    const left = snapshot.entries.length - end;
    const next = left === 0 ? "" : Buffer.from(`${place.id}@${end}`).toString("base64url");
    return { entries: snapshot.entries.slice(place.from, end), revision: snapshot.revision, next, remaining: left === 0 || snapshot.selected ? undefined : left };
  }

  #checkVersion(info: RequestInfo): void {
    const text = info.query.get("resourceVersion") ?? "";
    const match = info.query.get("resourceVersionMatch") ?? "";
    if (text === "") {
      if (match !== "") throw badRequest("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
      return;
    }
    const version = parseVersion(text);
    if (version === undefined) throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
    if (version > this.#store.revision) throw tooLargeVersion(version, this.#store.revision);
    // Old states are not kept, so an exact list works only while nothing has changed since.
    const changed = this.#store.since(resourceId(info.resource), version);
    if (match === "Exact" && version !== 0 && (changed === "expired" || changed.length > 0)) throw expired(`The resourceVersion for the provided list is too old.`);
  }
}

/** The JSON of a list. */
export function listJson(info: RequestInfo, page: Page): string {
  const metadata = { resourceVersion: String(page.revision), ...(page.next === "" ? {} : { continue: page.next, ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }) }) };
  const head = JSON.stringify({ kind: `${info.resource.kind}List`, apiVersion: apiVersionOf(info.resource), metadata });
  return `${head.slice(0, -1)},"items":[${page.entries.map((entry) => entry.itemJson).join(",")}]}`;
}
