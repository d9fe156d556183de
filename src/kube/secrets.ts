import type { Secrets } from "../ports/kube.js";
import { watchOne } from "./one-object.js";
import { fieldsOf, textsOf } from "./raw.js";
import type { ReflectDeps } from "./reflector.js";

type Texts = Readonly<Record<string, string>>;

/** v1 Secrets. */
export function createSecrets(deps: ReflectDeps): Secrets {
  return {
    watch: async (id, seen, signal) => {
      await watchOne({ resource: "secrets", ...id, decode: secretTexts, seen }, { ...deps, log: deps.log.with({ secret: `${id.namespace}/${id.name}` }) }, signal);
    },
  };
}

/** The API gives values in base64. */
function secretTexts(raw: unknown): Texts {
  const data = textsOf(fieldsOf(raw)["data"]);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]));
}
