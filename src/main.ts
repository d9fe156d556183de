import { Command, Option } from "commander";
import { CONTROL_DIRECTORY } from "./cli/control-socket.js";
import { processIo } from "./cli/io.js";
import { createLog } from "./cli/log.js";
import { start } from "./cli/start.js";
import { runStatus, type StatusOptions } from "./cli/status.js";
import { runWhy, type WhyOptions } from "./cli/why.js";
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
  addQuestions(command);
  command.command("version").description("print the version").action(() => void process.stdout.write(`${version}\n`));
  return command;
}

/** The commands that ask a running daemon, or the API. */
function addQuestions(command: Command): void {
  const output = (): Option => new Option("-o, --output <format>", "text or json").choices(["text", "json"]).default("text");
  const socket = (): Option => new Option("--socket <path>", "one socket, instead of all of the directory");
  const directory = (): Option => new Option("--directory <path>", "where the daemons of this node have their sockets").env("vip_control_dir").default(CONTROL_DIRECTORY);
  command
    .command("status")
    .description("what this node holds, and who owns what")
    .addOption(output())
    .addOption(socket())
    .addOption(directory())
    .option("--cluster", "ask the API instead of the daemon of this node", false)
    .option("--kubeconfig <path>", "with --cluster: the kubeconfig; default $KUBECONFIG, then the standard places")
    .option("-n, --namespace <name>", "with --cluster: namespace of the Leases", "kube-system")
    .action(async (options: Omit<StatusOptions, "environmentKubeconfig">) => {
      process.exitCode = await runStatus({ ...options, environmentKubeconfig: process.env["KUBECONFIG"] }, IO);
    });
  command
    .command("why <namespace/service>")
    .description("why a Service is served, and where, or why it is not")
    .addOption(output())
    .addOption(socket())
    .addOption(directory())
    .action(async (service: string, options: WhyOptions) => {
      process.exitCode = await runWhy(service, options, IO);
    });
}

const IO = processIo();

async function runStart(flags: Readonly<Record<string, string>>): Promise<void> {
  const { settings, warnings } = loadSettings(process.env, settingFlags(flags));
  const log = createLog(settings.logLevel, {});
  for (const warning of warnings) log.warn("setting", { warning });
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort(new DOMException(name, "AbortError")));
  try {
    await start(settings, { version, log: log.with({ version }) }, stop.signal);
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
