import { flagsOf } from "../../config/load.js";
import { SETTING_ROWS } from "../../config/settings.js";
import { UNSUPPORTED } from "../../config/unsupported.js";
import type { Json } from "../manifest/objects.js";

/** One kube-vip, as a manifest describes it. */
export interface Found {
  readonly kind: "pod" | "daemonset";
  readonly name: string;
  readonly namespace: string | undefined;
  readonly spec: Json;
  readonly container: Json;
}

/** An entry of a container's `env`. */
export type EnvEntry = Json & { readonly name: string };

/** What a container's environment and arguments say. */
export interface Said {
  /** By environment name; arguments only where the environment does not say it, which is what kube-vip does. */
  readonly env: Readonly<Record<string, string>>;
  /** By flag, those that have no environment name. */
  readonly flags: Readonly<Record<string, string>>;
  /** Settings whose values come from elsewhere. */
  readonly referred: readonly EnvEntry[];
  /** Variables that are no settings. */
  readonly others: readonly EnvEntry[];
  /** What could not be read. */
  readonly problems: readonly string[];
}

/** Environment names by flag, and whether the flag may stand without a value. */
const FLAGS: ReadonlyMap<string, { readonly env: string | undefined; readonly isSwitch: boolean }> = new Map<string, { readonly env: string | undefined; readonly isSwitch: boolean }>([
  ...SETTING_ROWS.flatMap(([key, setting]) => flagsOf(setting).map((flag) => [flag, { env: setting.env[0] ?? key, isSwitch: setting.type.isSwitch === true }] as const)),
  ...UNSUPPORTED.flatMap(({ env, flags }) => flags.map((flag) => [flag, { env: env[0], isSwitch: false }] as const)),
]);
const SHORT: ReadonlyMap<string, string> = new Map(SETTING_ROWS.flatMap(([, { short, flag }]) => (short === undefined || flag === undefined ? [] : [[short, flag] as const])));
const KNOWN: ReadonlySet<string> = new Set([...SETTING_ROWS.flatMap(([, { env }]) => env), ...UNSUPPORTED.flatMap(({ env }) => env)]);

const EMPTY_COUNTS: ReadonlySet<string> = new Set(SETTING_ROWS.flatMap(([, { env, emptyCounts }]) => (emptyCounts === true ? env : [])));

export function fieldsOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function itemsOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/** The kube-vip of an object; undefined where there is none in it. */
export function findKubeVip(object: Json): Found | undefined {
  const kind = object["kind"] === "Pod" ? "pod" : object["kind"] === "DaemonSet" ? "daemonset" : undefined;
  if (kind === undefined) return undefined;
  const outer = fieldsOf(object["spec"]);
  const spec = kind === "pod" ? outer : fieldsOf(fieldsOf(outer["template"])["spec"]);
  const container = itemsOf(spec["containers"]).find(isKubeVip);
  if (container === undefined) return undefined;
  const metadata = fieldsOf(object["metadata"]);
  return { kind, name: textOf(metadata["name"]) ?? "kube-vip", namespace: textOf(metadata["namespace"]), spec, container };
}

/** Its image is called so, or it is started as kube-vip is. The cloud provider is another program. */
function isKubeVip(container: Json): boolean {
  const image = /([^/:@]+)(?:[:@][^/]*)?$/.exec(textOf(container["image"]) ?? "")?.[1] ?? "";
  if (image.startsWith("kube-vip-cloud-provider")) return false;
  const settings = itemsOf(container["env"]).some(({ name }) => name === "vip_arp" || name === "bgp_enable" || name === "vip_routingtable");
  return image.startsWith("kube-vip") || (settings && argumentsOf(container).includes("manager"));
}

/** The settings of a container. */
export function saidBy(container: Json): Said {
  const entries = itemsOf(container["env"]).flatMap((entry): readonly EnvEntry[] => (typeof entry["name"] === "string" ? [{ ...entry, name: entry["name"] }] : []));
  const known = entries.filter(({ name }) => KNOWN.has(name));
  const texts = known.filter((entry) => entry["valueFrom"] === undefined).map((entry) => [entry.name, unescaped(textOf(entry["value"]) ?? "")] as const);
  const { values, flags, problems } = fromArguments(argumentsOf(container));
  return {
    env: { ...values, ...Object.fromEntries(texts.filter(([name, value]) => value !== "" || EMPTY_COUNTS.has(name))) },
    flags,
    referred: known.filter((entry) => entry["valueFrom"] !== undefined),
    others: entries.filter((entry) => !known.includes(entry)),
    problems: [...problems, ...itemsOf(container["envFrom"]).map(elsewhere)],
  };
}

/** A whole source of variables: settings in it would be lost without a word. */
function elsewhere(source: Json): string {
  const [kind, from] = source["secretRef"] === undefined ? ["ConfigMap", source["configMapRef"]] : ["Secret", source["secretRef"]];
  return `envFrom: expected the settings of ${kind} ${textOf(fieldsOf(from)["name"]) ?? ""} as entries of env, for what is in it cannot be seen here`;
}

/** `$$` is how a manifest says `$`. */
function unescaped(value: string): string {
  return value.replaceAll("$$", "$");
}

function argumentsOf(container: Json): readonly string[] {
  return [container["command"], container["args"]].flatMap((list) => (Array.isArray(list) ? list.flatMap((one) => textOf(one) ?? []) : []));
}

/** As pflag reads them: `--flag=value`, `--flag value`, and `--flag` alone where it is a switch. */
function fromArguments(given: readonly string[]): Pick<Said, "flags" | "problems"> & { readonly values: Said["env"] } {
  const values: Record<string, string> = {};
  const flags: Record<string, string> = {};
  const problems: string[] = [];
  for (let at = 0; at < given.length; at += 1) {
    const [, dashes, written = "", value] = /^(--?)([^=]+)(?:=(.*))?$/s.exec(given[at] ?? "") ?? [];
    if (dashes === undefined) continue;
    const flag = FLAGS.get(dashes === "-" ? (SHORT.get(written) ?? written) : written);
    if (flag === undefined) {
      problems.push(`${given[at]}: expected a flag of kube-vip`);
      continue;
    }
    const next = given[at + 1];
    const takesNext = value === undefined && !flag.isSwitch && next !== undefined && !next.startsWith("-");
    const text = value ?? (takesNext ? next : "true");
    if (flag.env === undefined) flags[written] = text;
    else values[flag.env] = text;
    if (takesNext) at += 1;
  }
  return { values, flags, problems };
}
