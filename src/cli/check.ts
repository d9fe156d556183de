import { ConfigError, examineSettings, type Examined } from "../config/load.js";
import { SETTING_ROWS } from "../config/settings.js";
import { parsePools } from "../core/pools.js";
import { settingsInput } from "./config-file.js";
import { EXIT, type CommandIo, type OutputFormat } from "./io.js";
import type { KernelFact } from "./kernel-facts.js";
import { table, wrap } from "./table.js";

export interface CheckOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly output: OutputFormat;
}

/** JSON of `vip check`. */
export interface CheckReport {
  readonly settings: readonly { readonly name: string; readonly value: string; readonly from: string }[];
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
  readonly kernel: readonly KernelFact[];
}

/** `vip check`: every value with its source, what is wrong or not meant so, and what this node's kernel can do. Exit code 1 where the daemon would not start. */
export async function runCheck({ env, flags, output }: CheckOptions, kernel: () => Promise<readonly KernelFact[]>, io: CommandIo): Promise<number> {
  const report: CheckReport = { ...settingsPart(env, flags), kernel: await kernel() };
  io.out(output === "json" ? JSON.stringify(report, undefined, 2) : checkText(report));
  return report.problems.length === 0 ? EXIT.ok : EXIT.error;
}

function settingsPart(env: CheckOptions["env"], flags: CheckOptions["flags"]): Omit<CheckReport, "kernel"> {
  try {
    const examined = examineSettings(settingsInput(env, flags));
    return { settings: rowsOf(examined), warnings: examined.warnings, problems: [...examined.problems, ...poolProblems(examined)] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { settings: [], warnings: [], problems: error.problems };
  }
}

function rowsOf({ sources }: Examined): CheckReport["settings"] {
  return SETTING_ROWS.map(([key, { env, unit }]) => {
    const { name, text } = sources[key];
    return { name: env[0] ?? key, value: text === "" || unit === undefined ? text : `${text} ${unit}`, from: name };
  });
}

function poolProblems({ settings }: Examined): readonly string[] {
  const text = settings.addresses;
  return typeof text === "string" ? parsePools(undefined, text).problems : [];
}

const MARKS: Readonly<Record<KernelFact["state"], string>> = { ok: "ok", missing: "NO", unknown: "??" };

function checkText({ settings, warnings, problems, kernel }: CheckReport): string {
  const blocks = [
    settings.length === 0 ? [] : table(["SETTING", "VALUE", "FROM"], settings.map(({ name, value, from }) => [name, value, from])),
    kernel.flatMap(({ what, state, detail }) => wrap(detail, 22, `${MARKS[state]}  ${what}`.padEnd(21))),
    warnings.flatMap((warning) => wrap(`warning: ${warning}`, 2)),
    problems.flatMap((problem) => wrap(`error: ${problem}`, 2)),
    [problems.length === 0 ? "the daemon would start with these settings" : "the daemon would not start with these settings"],
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}
