import { keyOf, versionOf } from "./raw.js";

export interface StoreOptions<T> {
  /** False: the object is left out, as if it did not exist. Default: all are wanted. */
  readonly wanted?: (raw: unknown) => boolean;
  /** Undefined: the object is broken; left out (an earlier good version stays). */
  readonly decode: (raw: unknown) => T | undefined;
  /** Whether a new version says what is known already; then the earlier value stays and nothing has changed. Default: every version is a change. */
  readonly same?: (before: T, after: T) => boolean;
}

/** The decoded objects of a collection (key: `namespace/name`). A value stays the same object until what it says changes. */
export class ObjectStore<T extends object> {
  readonly #options: StoreOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #versions = new Map<string, string | undefined>();

  constructor(options: StoreOptions<T>) {
    this.#options = options;
  }

  /** A map that stays as it is. */
  copy(): ReadonlyMap<string, T> {
    return new Map(this.#objects);
  }

  /** True where both hold the same values. */
  equals(other: ObjectStore<T>): boolean {
    return this.#objects.size === other.#objects.size && [...this.#objects].every(([key, value]) => other.#objects.get(key) === value);
  }

  /** Takes a new version of an object; values of `known` that have not changed are used again. */
  put(raw: unknown, known: ObjectStore<T> = this): "changed" | "unchanged" | "broken" {
    const key = keyOf(raw);
    if (key === undefined) return "broken";
    if (this.#options.wanted?.(raw) === false) return this.#drop(key) ? "changed" : "unchanged";
    const before = known.#objects.get(key);
    const value = this.#valueOf(raw, before, known.#versions.get(key));
    if (value === undefined) {
      if (before !== undefined) this.#set(key, before, known.#versions.get(key));
      return "broken";
    }
    return this.#set(key, value, versionOf(raw)) ? "changed" : "unchanged";
  }

  /** True where the object was there. */
  remove(raw: unknown): boolean {
    return this.#drop(keyOf(raw) ?? "");
  }

  #valueOf(raw: unknown, before: T | undefined, version: string | undefined): T | undefined {
    if (before === undefined) return this.#options.decode(raw);
    if (version !== undefined && version === versionOf(raw)) return before;
    const after = this.#options.decode(raw);
    return after !== undefined && this.#options.same?.(before, after) === true ? before : after;
  }

  #set(key: string, value: T, version: string | undefined): boolean {
    this.#versions.set(key, version);
    if (this.#objects.get(key) === value) return false;
    this.#objects.set(key, value);
    return true;
  }

  #drop(key: string): boolean {
    this.#versions.delete(key);
    return this.#objects.delete(key);
  }
}
