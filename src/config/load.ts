import { fileEntries, type SettingsFile } from "./file.js";
import { SETTING_ROWS, SETTINGS, shownText, type Setting, type SettingName, type Settings } from "./settings.js";
import { contradictions } from "./timings.js";
import { unknownVariables } from "./unknown.js";
import { UNSUPPORTED, type Unsupported } from "./unsupported.js";

export type { SettingsFile } from "./file.js";
export { CLOCK_DRIFT, KERNEL_LATENESS_MS } from "./timings.js";

/** The start ends with this: one line for each thing that is wrong, naming the setting, the value and what was expected. */
export class ConfigError extends Error {
  readonly code = "config";
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
  }
}

/** Where a value comes from, the strongest first. */
export type SourceKind = "flag" | "environment" | "file" | "default";

/** A value as somebody wrote it. */
export interface Given {
  readonly kind: SourceKind;
  /** `--port`, `vip_arp`, `/etc/vip.yaml: port`, `default`. */
  readonly name: string;
  readonly text: string;
}

/** What the settings are made of. */
export interface SettingsInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By the flag's name, without dashes, in any of its spellings. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly file?: SettingsFile | undefined;
}

export interface Loaded {
  readonly settings: Settings;
  /** Where each value comes from. */
  readonly sources: Readonly<Record<SettingName, Given>>;
  /** Things that work but are not what somebody meant. */
  readonly warnings: readonly string[];
}

/** What was found, whether or not it can work: a value that does not parse is missing from `settings`. */
export interface Examined {
  readonly settings: Readonly<Partial<Record<SettingName, unknown>>>;
  readonly sources: Readonly<Record<SettingName, Given>>;
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
}

interface Sources {
  readonly env: SettingsInput["env"];
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly path: string;
  readonly values: ReadonlyMap<string, string>;
}

/** Reads every setting: flag before environment before file before default. An empty environment variable counts as unset. Throws ConfigError. */
export function loadSettings(input: SettingsInput): Loaded {
  const { settings, sources, warnings, problems } = examineSettings(input);
  if (problems.length > 0) throw new ConfigError(problems);
  return { settings: settings as Settings, sources, warnings };
}

/** The same without an error: everything that can be said about the settings, for who wants to see all of it. */
export function examineSettings(input: SettingsInput): Examined {
  const file = input.file === undefined ? undefined : fileEntries(input.file);
  const from: Sources = { env: input.env, flags: input.flags ?? {}, path: input.file?.path ?? "", values: file?.values ?? new Map() };
  const problems = [...(file?.problems ?? [])];
  const warnings: string[] = [];
  const settings: Partial<Record<SettingName, unknown>> = {};
  const sources: Partial<Record<SettingName, Given>> = {};
  for (const [key, setting] of SETTING_ROWS) {
    const given = givenFor({ env: setting.env, flags: flagsOf(setting), keys: [...new Set([...setting.env, key])], emptyCounts: setting.emptyCounts === true }, from);
    const used = given[0] ?? { kind: "default", name: "default", text: setting.fallback };
    const parsed = setting.type.parse(used.text);
    sources[key] = used;
    if ("expected" in parsed) problems.push(`${used.name}="${shownText(setting, used.text)}": expected ${parsed.expected}`);
    else settings[key] = parsed.value;
    warnings.push(...differences(setting, given));
  }
  const asked = UNSUPPORTED.flatMap((row) => askedFor(row, from));
  problems.push(...asked.filter(({ row }) => row.today === "refuse").map(sayUnsupported));
  warnings.push(...asked.filter(({ row }) => row.today === "warn").map(sayUnsupported), ...unknownVariables(input.env));
  // What is wrong with the whole is said when its parts are right: a mode that is not there explains why none is on.
  if (problems.length === 0) {
    problems.push(...contradictions(settings as Settings));
    warnings.push(...withoutEffect(settings as Settings, sources as Record<SettingName, Given>));
  }
  return { settings, sources: sources as Record<SettingName, Given>, warnings, problems };
}

/** Every spelling of the flag of a setting. */
export function flagsOf({ flag, flagAliases = [] }: Setting<unknown>): readonly string[] {
  return flag === undefined ? [] : [flag, ...flagAliases];
}

interface Names {
  readonly env: readonly string[];
  readonly flags: readonly string[];
  readonly keys: readonly string[];
  readonly emptyCounts: boolean;
}

/** What was given under these names, the strongest first. */
function givenFor(names: Names, { env, flags, path, values }: Sources): readonly Given[] {
  const one = (kind: SourceKind, name: string, text: string | undefined): readonly Given[] => (text === undefined ? [] : [{ kind, name, text }]);
  return [
    ...names.flags.flatMap((name) => one("flag", `--${name}`, flags[name])),
    ...names.env.flatMap((name) => one("environment", name, env[name] === "" && !names.emptyCounts ? undefined : env[name])),
    ...names.keys.flatMap((name) => one("file", `${path}: ${name}`, values.get(name))),
  ];
}

/** Two values for one setting: the first counts, and whoever wrote another one may not know. */
function differences(setting: Setting<unknown>, [used, ...others]: readonly Given[]): readonly string[] {
  if (used === undefined) return [];
  const meaning = (text: string): string => JSON.stringify(setting.type.parse(text));
  return others
    .filter(({ text }) => meaning(text) !== meaning(used.text))
    .map(({ kind, name, text }) => {
      const hint = used.kind === "flag" && kind === "environment" ? " (kube-vip does it the other way round)" : "";
      return `${used.name}=${shownText(setting, used.text)} is used, ${name}=${shownText(setting, text)} is not${hint}`;
    });
}

/** What somebody set, though what it is about is off. */
function withoutEffect(settings: Settings, sources: Readonly<Record<SettingName, Given>>): readonly string[] {
  return SETTING_ROWS.flatMap(([key, { needs = [], type, fallback }]) => {
    const { name, text } = sources[key];
    const asDefault = JSON.stringify(type.parse(text)) === JSON.stringify(type.parse(fallback));
    if (asDefault || needs.length === 0 || needs.some((one) => settings[one])) return [];
    return [`${name} has no effect without ${needs.map((one) => SETTINGS[one].env[0]).join(" or ")}`];
  });
}

interface Asked {
  readonly row: Unsupported;
  readonly given: Given;
}

function askedFor(row: Unsupported, from: Sources): readonly Asked[] {
  const given = givenFor({ env: row.env, flags: row.flags, keys: row.env, emptyCounts: false }, from);
  return given.filter(({ text }) => text !== "" && !row.harmless.includes(text)).map((one) => ({ row, given: one }));
}

function sayUnsupported({ row: { fate, reason, secret, today }, given: { name, text } }: Asked): string {
  const what = secret ? name : `${name}="${text}"`;
  const effect = today === "refuse" ? "is refused" : "has no effect";
  return fate === "planned" ? `${what} ${effect} in this version; planned: ${reason}` : `${what} ${effect}: ${reason}`;
}
