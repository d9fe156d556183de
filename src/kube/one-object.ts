import { isDeepStrictEqual } from "node:util";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";

/** One object that is watched by its name. */
export interface OneObject<T extends object> {
  /** As in the API: `configmaps`. */
  readonly resource: string;
  /** Undefined: it is in none. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly decode: (raw: unknown) => T | undefined;
  readonly seen: (object: T | undefined) => void;
}

/** Watches one object until the signal aborts. What nobody lets us read is as if it were not there. */
export async function watchOne<T extends object>({ resource, namespace, name, decode, seen }: OneObject<T>, deps: ReflectDeps, signal: AbortSignal): Promise<void> {
  const key = namespace === undefined ? name : `${namespace}/${name}`;
  const options = {
    resource,
    path: namespace === undefined ? `/api/v1/${resource}` : `/api/v1/namespaces/${encodeURIComponent(namespace)}/${resource}`,
    // A rule with resourceNames allows list and watch where the request names the object in this way.
    query: { fieldSelector: `metadata.name=${name}` },
    decode,
    same: isDeepStrictEqual,
    changed: (objects: ReadonlyMap<string, T>) => seen(objects.get(key)),
    unreadable: () => seen(undefined),
  };
  await reflect(options, deps, signal);
}
