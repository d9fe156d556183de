import { readFileSync } from "node:fs";
import { ConfigError, examineSettings, flagsOf, type Examined, type Loaded, type SettingsFile, type SettingsInput } from "../config/load.js";
import { SETTINGS, type Settings } from "../config/settings.js";
import { parsePools } from "../core/pools.js";
import { messageOf } from "../lib/errors.js";

/** What the settings are made of, with the file that flag or environment name. Throws ConfigError where that cannot be read. */
export function settingsInput(env: SettingsInput["env"], flags: Readonly<Record<string, string | undefined>>): SettingsInput {
  return { env, flags, file: settingsFile(env, flags) };
}

/** Everything that can be said about the settings, the pool of addresses among them. */
export function examineAll(input: SettingsInput): Examined {
  const examined = examineSettings(input);
  const { addresses } = examined.settings;
  return typeof addresses === "string" ? { ...examined, problems: [...examined.problems, ...parsePools(undefined, addresses).problems] } : examined;
}

/** Settings with which a daemon starts. Throws ConfigError. */
export function loadAll(input: SettingsInput): Loaded {
  const { settings, sources, warnings, problems } = examineAll(input);
  if (problems.length > 0) throw new ConfigError(problems);
  return { settings: settings as Settings, sources, warnings };
}

function settingsFile(env: SettingsInput["env"], flags: Readonly<Record<string, string | undefined>>): SettingsFile | undefined {
  const { configFile } = SETTINGS;
  const fromFlag = flagsOf(configFile).flatMap((name) => flags[name] ?? [])[0];
  const path = fromFlag ?? configFile.env.flatMap((name) => env[name] ?? [])[0] ?? "";
  if (path === "") return undefined;
  try {
    return { path, text: readFileSync(path, "utf8") };
  } catch (error) {
    throw new ConfigError([`${fromFlag === undefined ? configFile.env[0] : `--${configFile.flag}`}="${path}": expected a file that can be read: ${(error as NodeJS.ErrnoException).code ?? messageOf(error)}`]);
  }
}
