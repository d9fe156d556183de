import type { ConfigMaps } from "../ports/kube.js";
import { watchOne } from "./one-object.js";
import { fieldsOf, textsOf } from "./raw.js";
import type { ReflectDeps } from "./reflector.js";

type Texts = Readonly<Record<string, string>>;

/** v1 ConfigMaps. */
export function createConfigMaps(deps: ReflectDeps): ConfigMaps {
  return {
    watch: async (id, seen, signal) => {
      const decode = (raw: unknown): Texts => textsOf(fieldsOf(raw)["data"]);
      await watchOne({ resource: "configmaps", ...id, decode, seen }, { ...deps, log: deps.log.with({ configMap: `${id.namespace}/${id.name}` }) }, signal);
    },
  };
}
