import { Command, Option } from "commander";
import { createLog } from "./cli/log.js";
import { start } from "./cli/start.js";
import { ConfigError, loadSettings } from "./config/load.js";
import { SETTINGS, type SettingName, type Setting } from "./config/settings.js";
import { messageOf } from "./lib/errors.js";

declare const VIP_VERSION: string;
const version = typeof VIP_VERSION === "string" ? VIP_VERSION : "source";

function program(): Command {
  const command = new Command("vip").description("Virtual IP addresses for Kubernetes Services and the control plane").version(version);
  const run = command.command("start").alias("manager").description("run the daemon").action(async (flags: Readonly<Record<string, string>>) => runStart(flags));
  for (const setting of Object.values(SETTINGS) as Setting<unknown>[]) {
    if (setting.flag === undefined) continue;
    const { name } = setting.type;
    const option = new Option(`--${setting.flag} ${name === "true or false" ? "[value]" : "<value>"}`, `${setting.doc} (${name}; ${setting.env[0]})`);
    run.addOption(name === "true or false" ? option.preset("true") : option);
  }
  command.command("version").description("print the version").action(() => void process.stdout.write(`${version}\n`));
  return command;
}

async function runStart(flags: Readonly<Record<string, string>>): Promise<void> {
  const { settings, warnings } = loadSettings(process.env, settingFlags(flags));
  const log = createLog(settings.logLevel, {});
  for (const warning of warnings) log.warn("setting", { warning });
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort(new DOMException(name, "AbortError")));
  try {
    await start(settings, log.with({ version }), stop.signal);
  } catch (error) {
    if (error === stop.signal.reason) return;
    log.error("the program cannot go on", { error: messageOf(error) });
    process.exitCode = 1;
  }
}

/** Commander names options in camel case; the table goes by the names of settings. */
function settingFlags(flags: Readonly<Record<string, string>>): Partial<Record<SettingName, string>> {
  const found: Partial<Record<SettingName, string>> = {};
  for (const [key, setting] of Object.entries(SETTINGS) as [SettingName, Setting<unknown>][]) {
    const value = setting.flag === undefined ? undefined : flags[setting.flag];
    if (value !== undefined) found[key] = value;
  }
  return found;
}

program()
  .parseAsync()
  .then(
    () => process.exit(),
    (error: unknown) => {
      const text = error instanceof ConfigError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.stderr.write(`vip: ${text.replaceAll("\n", "\nvip: ")}\n`);
      process.exit(1);
    },
  );
