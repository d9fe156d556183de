import { ConfigError, type Given, type Loaded } from "../../config/load.js";
import { OFF } from "../../config/setting-types.js";
import { SETTING_ROWS, type Setting, type SettingName } from "../../config/settings.js";

/** A variable of a container or unit. */
export interface Variable {
  readonly name: string;
  readonly value: string;
}

/**
 * Every setting that somebody gave, by whichever way, as an environment variable, in the order of the table. A config file is not named: what it says is
 * among them. Throws ConfigError where a value cannot be said by a variable.
 */
export function givenVariables({ sources }: Pick<Loaded, "sources">): readonly Variable[] {
  return SETTING_ROWS.flatMap(([key, setting]) => {
    const given = sources[key];
    return given.kind === "default" || key === "configFile" ? [] : variable(key, setting, given);
  });
}

function variable(key: SettingName, { env, type, fallback, emptyCounts }: Setting<unknown>, { name, text }: Given): readonly Variable[] {
  const [first = key] = env;
  if (text !== "" || emptyCounts === true) return [{ name: first, value: text }];
  if (fallback === "") return [];
  // An empty variable counts as unset, so that the default would come back.
  const parsed = type.parse(OFF);
  if ("value" in parsed && parsed.value === undefined) return [{ name: first, value: OFF }];
  throw new ConfigError([`${name}="": expected a text, for an empty variable in a manifest counts as unset`]);
}
