import type { Json, KubeObject } from "./object.js";

/** A stored version of an object with its JSON, made once when first asked for. */
export class Entry {
  readonly key: string;
  readonly revision: number;
  readonly object: KubeObject;
  #item: string | undefined;

  constructor(key: string, revision: number, object: KubeObject) {
    this.key = key;
    this.revision = revision;
    this.object = object;
  }

  /** JSON without kind and apiVersion, as the items of a list are. */
  get itemJson(): string {
    this.#item ??= JSON.stringify({ ...this.object, kind: undefined, apiVersion: undefined });
    return this.#item;
  }

  /** JSON with kind and apiVersion. */
  get json(): string {
    return `{"kind":${JSON.stringify(this.object.kind)},"apiVersion":${JSON.stringify(this.object.apiVersion)},${this.itemJson.slice(1)}`;
  }
}

/** One change of one object. */
export type Change = {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly revision: number;
  readonly entry: Entry;
  /** The version before, which a watch with a selector needs. */
  readonly previous: Entry | undefined;
};

type Listener = (change: Change) => void;

type Shelf = {
  readonly entries: Map<string, Entry>;
  sorted: readonly Entry[] | undefined;
  history: Change[];
  /** Changes up to this revision are gone. */
  forgotten: number;
  readonly listeners: Set<Listener>;
};

/** Objects by resource under one revision counter, with a bounded history for watches. All of it is synchronous, so each call is atomic. */
export class Store {
  #revision = 1;
  readonly #historyLimit: number;
  readonly #shelves = new Map<string, Shelf>();

  constructor(historyLimit = 10_000) {
    this.#historyLimit = historyLimit;
  }

  /** The revision of the latest change. */
  get revision(): number {
    return this.#revision;
  }

  /** The entry of a key. */
  get(resource: string, key: string): Entry | undefined {
    return this.#shelf(resource).entries.get(key);
  }

  /** All entries in the order of their keys; the list is never changed afterwards, so it is a snapshot. */
  list(resource: string): readonly Entry[] {
    const shelf = this.#shelf(resource);
    shelf.sorted ??= [...shelf.entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    return shelf.sorted;
  }

  /** Stores a new version of an object under the next revision. */
  put(resource: string, key: string, object: KubeObject): Entry {
    const shelf = this.#shelf(resource);
    const previous = shelf.entries.get(key);
    const entry = this.#next(key, object);
    shelf.entries.set(key, entry);
    this.#record(shelf, { type: previous === undefined ? "ADDED" : "MODIFIED", revision: entry.revision, entry, previous });
    return entry;
  }

  /** Removes an object; the entry returned has the revision of the removal. */
  remove(resource: string, key: string): Entry | undefined {
    const shelf = this.#shelf(resource);
    const previous = shelf.entries.get(key);
    if (previous === undefined) return undefined;
    const entry = this.#next(key, previous.object);
    shelf.entries.delete(key);
    this.#record(shelf, { type: "DELETED", revision: entry.revision, entry, previous });
    return entry;
  }

  /** The changes after a revision, or "expired" when some of them are gone. */
  since(resource: string, revision: number): readonly Change[] | "expired" {
    const { history, forgotten } = this.#shelf(resource);
    if (revision < forgotten) return "expired";
    let low = 0;
    let high = history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((history[middle]?.revision ?? 0) > revision) high = middle;
      else low = middle + 1;
    }
    return history.slice(low);
  }

  /** The oldest revision from which a watch of the resource may start. */
  oldest(resource: string): number {
    return this.#shelf(resource).forgotten;
  }

  /** Calls back on each later change of a resource; returns how to stop it. */
  subscribe(resource: string, listener: Listener): () => void {
    const { listeners } = this.#shelf(resource);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Forgets the history of all resources: watches from any earlier revision get 410. */
  compact(): number {
    // One revision passes, so that even the latest version a client may hold is too old.
    this.#revision += 1;
    for (const shelf of this.#shelves.values()) {
      shelf.history = [];
      shelf.forgotten = this.#revision;
    }
    return this.#revision;
  }

  #next(key: string, object: KubeObject): Entry {
    this.#revision += 1;
    const metadata = { ...object.metadata, resourceVersion: String(this.#revision) };
    return new Entry(key, this.#revision, { ...object, metadata });
  }

  #shelf(resource: string): Shelf {
    const known = this.#shelves.get(resource);
    if (known !== undefined) return known;
    const shelf: Shelf = { entries: new Map(), sorted: undefined, history: [], forgotten: 0, listeners: new Set() };
    this.#shelves.set(resource, shelf);
    return shelf;
  }

  #record(shelf: Shelf, change: Change): void {
    shelf.sorted = undefined;
    shelf.history.push(change);
    // Cut in blocks: a shift per change would move the whole list each time.
    const excess = shelf.history.length - this.#historyLimit;
    if (excess >= Math.max(1, this.#historyLimit / 10)) {
      shelf.forgotten = shelf.history[excess - 1]?.revision ?? shelf.forgotten;
      shelf.history = shelf.history.slice(excess);
    }
    for (const listener of shelf.listeners) listener(change);
  }
}

/** The key of an object: "namespace/name", or "name" without a namespace. */
export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === "" ? name : `${namespace}/${name}`;
}

/** Parses a resourceVersion; undefined when it is none. */
export function parseVersion(text: Json | undefined): number | undefined {
  return typeof text === "string" && /^\d{1,15}$/u.test(text) ? Number(text) : undefined;
}
