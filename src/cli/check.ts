import { ConfigError, type Examined } from "../config/load.js";
import { SETTING_ROWS, shownText, type Settings } from "../config/settings.js";
import { bgpCheck } from "./bgp-check.js";
import { examineAll, settingsInput } from "./config-file.js";
import { EXIT, type CommandIo, type OutputFormat } from "./io.js";
import type { KernelFact } from "./kernel-facts.js";
import { table, wrap } from "./table.js";

export interface CheckOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly output: OutputFormat;
}

/** What is looked at besides the settings. */
export interface CheckDeps {
  readonly kernel: () => Promise<readonly KernelFact[]>;
  /** Only asked where the settings could work. */
  readonly node: (settings: Settings) => Promise<readonly KernelFact[]>;
}

/** JSON of `vip check`. */
export interface CheckReport {
  readonly settings: readonly { readonly name: string; readonly value: string; readonly from: string }[];
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
  readonly kernel: readonly KernelFact[];
  /** The links and the API of these settings, as this node sees them. */
  readonly node: readonly KernelFact[];
}

/**
 * `vip check`: every value with its source, what is wrong or not meant so, what this node's kernel can do, and whether links and API are there. Exit code 1
 * where the daemon would not start, be it for the settings or for capabilities that this process does not have.
 */
export async function runCheck({ env, flags, output }: CheckOptions, deps: CheckDeps, io: CommandIo): Promise<number> {
  const { usable, ...said } = settingsPart(env, flags);
  const [kernel, node] = await Promise.all([deps.kernel(), usable === undefined ? [] : deps.node(usable)]);
  const report: CheckReport = { ...said, kernel, node };
  io.out(output === "json" ? JSON.stringify(report, undefined, 2) : checkText(report));
  return report.problems.length === 0 && missingFor(report).length === 0 ? EXIT.ok : EXIT.error;
}

interface SettingsPart extends Pick<CheckReport, "settings" | "warnings" | "problems"> {
  /** Undefined where something is wrong with them. */
  readonly usable: Settings | undefined;
}

function settingsPart(env: CheckOptions["env"], flags: CheckOptions["flags"]): SettingsPart {
  try {
    const examined = examineAll(settingsInput(env, flags));
    const { problems } = examined;
    const usable = problems.length === 0 ? (examined.settings as Settings) : undefined;
    return { settings: rowsOf(examined), warnings: [...examined.warnings, ...(usable === undefined ? [] : bgpCheck(usable))], problems, usable };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { settings: [], warnings: [], problems: error.problems, usable: undefined };
  }
}

/** Capabilities without which the daemon does not start. */
function missingFor({ kernel }: CheckReport): readonly string[] {
  return kernel.filter(({ what, state }) => what.startsWith("CAP_") && state === "missing").map(({ what }) => what);
}

function rowsOf({ sources }: Examined): CheckReport["settings"] {
  return SETTING_ROWS.map(([key, setting]) => {
    const { env, unit } = setting;
    const { name, text: given } = sources[key];
    const text = shownText(setting, given);
    return { name: env[0] ?? key, value: text === "" || unit === undefined ? text : `${text} ${unit}`, from: name };
  });
}

const MARKS: Readonly<Record<KernelFact["state"], string>> = { ok: "ok", missing: "NO", unknown: "??" };

function checkText(report: CheckReport): string {
  const { settings, warnings, problems, kernel, node } = report;
  const blocks = [
    settings.length === 0 ? [] : table(["SETTING", "VALUE", "FROM"], settings.map(({ name, value, from }) => [name, value, from])),
    [...kernel, ...node].flatMap(({ what, state, detail }) => wrap(detail, 22, `${MARKS[state]}  ${what}`.padEnd(21))),
    warnings.flatMap((warning) => wrap(`warning: ${warning}`, 2)),
    problems.flatMap((problem) => wrap(`error: ${problem}`, 2)),
    wrap(verdict(report), 2),
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function verdict(report: CheckReport): string {
  if (report.problems.length > 0) return "the daemon would not start with these settings";
  const missing = missingFor(report);
  if (missing.length > 0) return `the daemon would not start as this process, which lacks ${missing.join(" and ")}; the settings are fine`;
  const absent = [...report.kernel, ...report.node].some(({ state }) => state === "missing");
  return `the daemon would start with these settings${absent ? `, and wait for or do without what is marked ${MARKS.missing}` : ""}`;
}
