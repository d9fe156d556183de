import { ANNOTATIONS, type Annotation } from "../../src/config/annotations.js";
import { flagsOf } from "../../src/config/load.js";
import { SETTING_ROWS, type Setting } from "../../src/config/settings.js";
import { UNSUPPORTED, type Unsupported } from "../../src/config/unsupported.js";

/** Vertical bars would end the cell. */
function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");
const dashed = (flags: readonly string[]): string => code(flags.map((flag) => `--${flag}`));

function fallbackOf({ fallback, unit }: Setting<unknown>): string {
  return fallback === "" ? "" : `\`${fallback}\`${unit === undefined ? "" : ` ${unit}`}`;
}

/** The table of the README. */
export function readmeTable(): string {
  return table(["environment", "flag", "value", "default", ""], SETTING_ROWS.map(([, setting]) => [code(setting.env), dashed(flagsOf(setting).slice(0, 1)), setting.type.name, fallbackOf(setting), setting.doc]));
}

const TODAY: Readonly<Record<Unsupported["today"], string>> = { warn: "no effect, a warning", silent: "no effect", refuse: "ends the start" };

/** docs/settings.md */
export function settingsPage(): string {
  const row = ([key, setting]: (typeof SETTING_ROWS)[number]): readonly string[] => {
    const other = setting.kubeVip === undefined ? "" : ` kube-vip: \`${setting.kubeVip}\`${setting.unit === undefined ? "" : ` ${setting.unit}`}.`;
    const short = setting.short === undefined ? "" : `\`-${setting.short}\`, `;
    return [code(setting.env), `${short}${dashed(flagsOf(setting))}`, `\`${key}\``, setting.type.name, fallbackOf(setting), `${setting.doc}${other}`];
  };
  const of = (fate: Unsupported["fate"]): string =>
    table(["environment", "flag", "when it is set", ""], UNSUPPORTED.filter((one) => one.fate === fate).map(({ env, flags, today, reason }) => [code(env), dashed(flags), TODAY[today], reason]));
  return `# Settings

Written by \`WRITE_DOCS=1 npx vitest run --project unit test/config/readme.test.ts\` from \`src/config\`; do not edit.

A flag wins over the environment, the environment over the file that \`config_file\` names, the file over the default. Where two of them say different things, a warning tells
which one is used. A setting of something that is off, such as \`bgp_peers\` without \`bgp_enable\`, is told, too. An empty variable counts as unset. A value that does not fit ends the start with one line: name, value, what was expected. A variable that begins as ours do
and is none of them is told, with the name that may have been meant. \`vip check\` shows every value with its source, \`vip explain NAME\` one row of this page.

In a file (YAML or JSON) the keys are the names of the environment variables or those of the column "in a file"; lists may stand for commas.

${table(["environment", "flag", "in a file", "value", "default", ""], SETTING_ROWS.map(row))}

# Settings of kube-vip that are not among them

## Planned

${of("planned")}

## Dropped

${of("dropped")}

## So in any case

${of("always")}
`;
}

/** docs/annotations.md */
export function annotationsPage(): string {
  const row = ({ name, on, doc, written }: Annotation): readonly string[] => [code([name]), on, written ? "written" : "read", doc];
  const of = (fate: Annotation["fate"]): string => table(["name", "on", "", ""], ANNOTATIONS.filter((one) => one.fate === fate).map(row));
  return `# Annotations and labels

Written by \`WRITE_DOCS=1 npx vitest run --project unit test/config/readme.test.ts\` from \`src/config/annotations.ts\`; do not edit.

Booleans are the text \`"true"\`.

${of("supported")}

# Of kube-vip, and not read or written here

## Planned

${of("planned")}

## Dropped

${of("dropped")}
`;
}
