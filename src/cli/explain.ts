import { ANNOTATIONS, type Annotation } from "../config/annotations.js";
import { flagsOf } from "../config/load.js";
import { isLikely, nearest } from "../lib/near.js";
import { SETTING_ROWS, SETTINGS, type Setting, type SettingName } from "../config/settings.js";
import { UNSUPPORTED, type Unsupported } from "../config/unsupported.js";
import { EXIT, type CommandIo } from "./io.js";
import { table, wrap } from "./table.js";

interface Topic {
  /** All names that it goes by, the main one first. */
  readonly names: readonly string[];
  readonly text: () => string;
}

const TOPICS: readonly Topic[] = [
  ...SETTING_ROWS.map(([key, setting]): Topic => ({ names: [...setting.env, ...flagsOf(setting).map((flag) => `--${flag}`), key], text: () => settingText(key, setting) })),
  ...UNSUPPORTED.map((row): Topic => ({ names: [...row.env, ...row.flags.map((flag) => `--${flag}`)], text: () => unsupportedText(row) })),
  ...ANNOTATIONS.map((row): Topic => ({ names: [row.name], text: () => annotationText(row) })),
];

/** `vip explain [name]`: one setting or annotation by any of its names, or the list of all. Exit code 3 for a name that nobody knows. */
export function runExplain(name: string | undefined, io: CommandIo): number {
  if (name === undefined) {
    io.out(overview());
    return EXIT.ok;
  }
  const found = topicsOf(name);
  if (found.length > 0) {
    io.out(found.map(({ text }) => text()).join("\n\n"));
    return EXIT.ok;
  }
  const known = TOPICS.flatMap(({ names }) => names);
  const part = known.filter((one) => one.toLowerCase().includes(name.toLowerCase()));
  const near = nearest(name, known);
  const meant = part.length > 0 ? part : near !== undefined && isLikely(name, near) ? [near.name] : [];
  io.err([`vip: ${name} is no setting and no annotation${meant.length === 0 ? "; `vip explain` lists them" : "; did you mean:"}`, ...meant.map((one) => `  ${one}`)].join("\n"));
  return EXIT.unknown;
}

/** By a whole name; a flag may stand without its dashes, an annotation without its prefix. */
function topicsOf(name: string): readonly Topic[] {
  const exact = TOPICS.filter(({ names }) => names.includes(name));
  if (exact.length > 0) return exact;
  const bare = (full: string): string => full.replace(/^--/, "").replace(/^.*\//, "");
  return TOPICS.filter(({ names }) => names.some((full) => bare(full) === name.replace(/^--?/, "")));
}

function overview(): string {
  const settings = SETTING_ROWS.map(([key, { env, flag, fallback, unit }]) => [env[0] ?? key, flag === undefined ? "" : `--${flag}`, fallback === "" ? "" : `${fallback}${unit === undefined ? "" : ` ${unit}`}`]);
  const unsupported = UNSUPPORTED.map(({ env, flags, fate, today }) => [env[0] ?? "", flags[0] === undefined ? "" : `--${flags[0]}`, `${fate === "always" ? "so in any case" : fate}${today === "refuse" ? ", refused" : ""}`]);
  const annotations = ANNOTATIONS.map(({ name, on, fate }) => [name, on, fate]);
  return [
    ...table(["SETTING", "FLAG", "DEFAULT"], settings),
    "",
    ...table(["OF KUBE-VIP ONLY", "FLAG", "HERE"], unsupported),
    "",
    ...table(["ANNOTATION", "ON", "HERE"], annotations),
    "",
    "vip explain NAME says more of one.",
  ].join("\n");
}

function settingText(key: SettingName, setting: Setting<unknown>): string {
  const { env, type, fallback, unit, doc, kubeVip, needs = [] } = setting;
  const withUnit = (value: string): string => (unit === undefined ? value : `${value} ${unit}`);
  const rows = [
    ["environment", env.join(", ")],
    ["flag", flagsOf(setting).map((flag) => `--${flag}`).join(", ") || "none"],
    ["in a file", [...new Set([...env, key])].join(", ")],
    ["value", type.name],
    ["default", fallback === "" ? "unset" : withUnit(fallback)],
    ...(kubeVip === undefined ? [] : [["in kube-vip", withUnit(kubeVip)]]),
    ...(needs.length === 0 ? [] : [["only with", needs.map((one) => SETTINGS[one].env[0]).join(" or ")]]),
  ];
  return [env[0] ?? key, ...wrap(doc, 2, "  "), ...rows.flatMap(([what = "", text = ""]) => wrap(text, 15, `  ${what.padEnd(13)}`))].join("\n");
}

const EFFECTS: Readonly<Record<Unsupported["today"], string>> = { warn: "has no effect, and a warning says so", silent: "has no effect", refuse: "ends the start" };

function unsupportedText({ env, flags, fate, reason, today }: Unsupported): string {
  const names = [...env, ...flags.map((flag) => `--${flag}`)];
  const why = fate === "always" ? `so in any case: ${reason}` : `${fate}: ${reason}`;
  return [names.join(", "), ...wrap(`A setting of kube-vip that ${EFFECTS[today]}; ${why}.`, 2, "  ")].join("\n");
}

function annotationText({ name, on, fate, doc, written }: Annotation): string {
  const text = fate === "supported" ? doc : `An annotation or label of kube-vip that is not read or written; ${fate}: ${doc}.`;
  return [`${name} (${on}${written ? ", written by the program" : ""})`, ...wrap(text, 2, "  ")].join("\n");
}
