import { loadAll } from "js-yaml";
import { ConfigError } from "../../config/load.js";
import { messageOf } from "../../lib/errors.js";
import { EXIT, type CommandIo } from "../io.js";
import { imageOf } from "../manifest/manifest.js";
import { yamlOf, type Json } from "../manifest/objects.js";
import { convert, isRights, type Converted } from "./convert.js";
import { fieldsOf, findKubeVip, itemsOf, textOf } from "./read.js";

export interface MigrateOptions {
  readonly version: string;
  readonly image?: string | undefined;
}

/**
 * `vip migrate`: manifests of kube-vip as text, ours on stdout, with one remark per change as a comment there and as a line on stderr. Objects that are not
 * kube-vip's are printed as they are. Exit code 1 and an empty stdout where there is no kube-vip, or ours would not do what it did.
 */
export function runMigrate(text: string, options: MigrateOptions, io: CommandIo): number {
  try {
    const { objects, remarks } = migrate(objectsOf(text), options);
    for (const remark of remarks) io.err(`vip: ${remark}`);
    io.out([...remarks.map((remark) => `# ${remark}`), yamlOf(objects)].join("\n"));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) io.err(`vip: ${problem}`);
    return EXIT.error;
  }
}

/** All objects of a YAML stream, those of Lists among them. */
function objectsOf(text: string): readonly Json[] {
  try {
    return loadAll(text)
      .filter((document) => document !== null && document !== undefined)
      .map(fieldsOf)
      .flatMap((object) => (textOf(object["kind"]) === "List" ? itemsOf(object["items"]) : [object]));
  } catch (error) {
    throw new ConfigError([`standard input: expected manifests in YAML: ${messageOf(error).split("\n")[0] ?? ""}`]);
  }
}

function migrate(objects: readonly Json[], { version, image }: MigrateOptions): Converted {
  const options = { version, image: imageOf({ image, version }) };
  const parts = objects.map((object): Converted & { readonly isKubeVip: boolean } => {
    const found = findKubeVip(object);
    if (found !== undefined) return { ...convert(found, options), isKubeVip: true };
    const what = `${textOf(object["kind"]) ?? "an object"} ${textOf(fieldsOf(object["metadata"])["name"]) ?? ""}`.trim();
    if (isRights(object)) return { objects: [], remarks: [`${what} is left out: ours has its own account and rights`], isKubeVip: false };
    return { objects: [object], remarks: [`${what} is left as it is`], isKubeVip: false };
  });
  if (!parts.some(({ isKubeVip }) => isKubeVip)) throw new ConfigError(["standard input: expected a Pod or DaemonSet that runs kube-vip"]);
  return { objects: parts.flatMap((part) => part.objects), remarks: parts.flatMap((part) => part.remarks) };
}
