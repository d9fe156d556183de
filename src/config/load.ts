import { SETTINGS, type Setting, type SettingName, type Settings } from "./settings.js";

/** The start ends with this: one line for each thing that is wrong, naming the setting, the value and what was expected. */
export class ConfigError extends Error {
  readonly code = "config";
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
  }
}

export interface Loaded {
  readonly settings: Settings;
  /** Things that work but are not what somebody meant. */
  readonly warnings: readonly string[];
}

interface Found {
  readonly source: string;
  readonly text: string;
}

/** Reads every setting: flag before environment before default. An empty environment variable counts as unset. Throws ConfigError. */
export function loadSettings(env: Readonly<Record<string, string | undefined>>, flags: Readonly<Partial<Record<SettingName, string>>>): Loaded {
  const problems: string[] = [];
  const warnings: string[] = [];
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const [key, setting] of Object.entries(SETTINGS) as [SettingName, Setting<unknown>][]) {
    const fromEnv = envValue(setting, env);
    const flag = flags[key];
    const fromFlag: Found | undefined = flag === undefined ? undefined : { source: `--${setting.flag ?? key}`, text: flag };
    if (fromFlag !== undefined && fromEnv !== undefined && fromFlag.text !== fromEnv.text) {
      warnings.push(`${fromFlag.source}=${fromFlag.text} is used, ${fromEnv.source}=${fromEnv.text} is not (kube-vip does it the other way round)`);
    }
    const found = fromFlag ?? fromEnv ?? { source: "default", text: setting.fallback };
    const parsed = setting.type.parse(found.text);
    if ("expected" in parsed) problems.push(`${found.source}="${found.text}": expected ${parsed.expected}`);
    else values[key] = parsed.value;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const settings = values as unknown as Settings;
  const wrong = contradictions(settings);
  if (wrong.length > 0) throw new ConfigError(wrong);
  return { settings, warnings };
}

function envValue(setting: Setting<unknown>, env: Readonly<Record<string, string | undefined>>): Found | undefined {
  for (const name of setting.env) {
    const value = env[name];
    if (value !== undefined && value !== "") return { source: name, text: value };
  }
  return undefined;
}

/** How late the kernel may remove an address whose lifetime is over: its worker runs once a second, and 1.4 s were seen on a busy machine. */
export const KERNEL_LATENESS_MS = 1600;
/** How far the rates of two clocks may differ. */
export const CLOCK_DRIFT = 0.01;

/** Settings that parse but cannot work together; each names the inequality with its values. */
function contradictions(s: Settings): readonly string[] {
  const wrong: string[] = [];
  const lateness = KERNEL_LATENESS_MS / 1000;
  const [lease, renew, retry] = [s.leaseSeconds, s.renewDeadlineSeconds, s.retrySeconds];
  const timings = `(vip_leaseduration=${lease}, vip_renewdeadline=${renew}, vip_retryperiod=${retry})`;
  if (lease - lateness < 2 * retry) wrong.push(`vip_leaseduration - ${lateness} must be at least 2 x vip_retryperiod ${timings}`);
  const share = 1 - 2 * CLOCK_DRIFT;
  if (lease * share - lateness < renew) wrong.push(`vip_leaseduration x ${share} - ${lateness} must be at least vip_renewdeadline ${timings}`);
  if (renew <= 2 * retry) wrong.push(`vip_renewdeadline must be more than 2 x vip_retryperiod ${timings}`);
  if (!s.arp) wrong.push(`vip_arp="false": expected true, ARP is the mode that there is`);
  if (!s.services && !s.controlPlane) wrong.push(`svc_enable="false", cp_enable="false": expected one of them to be true, or there is nothing to do`);
  if (s.controlPlane && s.address.length === 0) wrong.push(`address="": expected the address of the control-plane VIP, for cp_enable is true`);
  return wrong;
}
