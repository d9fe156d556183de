import { isDeepStrictEqual } from "node:util";
import type { ConfigMaps } from "../ports/kube.js";
import { fieldsOf, textsOf } from "./raw.js";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";

type Texts = Readonly<Record<string, string>>;

/** v1 ConfigMaps. */
export function createConfigMaps(deps: ReflectDeps): ConfigMaps {
  return {
    watch: async (id, seen, signal) => {
      const key = `${id.namespace}/${id.name}`;
      const options = {
        resource: "configmaps",
        path: `/api/v1/namespaces/${encodeURIComponent(id.namespace)}/configmaps`,
        // A rule with resourceNames allows list and watch where the request names the object in this way.
        query: { fieldSelector: `metadata.name=${id.name}` },
        decode: (raw: unknown): Texts => textsOf(fieldsOf(raw)["data"]),
        same: isDeepStrictEqual,
        changed: (objects: ReadonlyMap<string, Texts>) => {
          seen(objects.get(key));
        },
        // What nobody lets us read is as if it were not there: what else is known of addresses still counts.
        unreadable: () => {
          seen(undefined);
        },
      };
      await reflect(options, { ...deps, log: deps.log.with({ configMap: key }) }, signal);
    },
  };
}
