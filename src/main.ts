// oxlint-disable-next-line import/no-unassigned-import -- it has to come before what takes time to read
import "./cli/early-signal.js";
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { runBgpPeers, runBgpRoutes, type BgpOptions } from "./cli/bgp.js";
import { runCleanup, type CleanupOptions } from "./cli/cleanup/cleanup.js";
import { cleanupDeps, type CleanupPlaces } from "./cli/cleanup/deps.js";
import { loadAll, settingsInput } from "./cli/config-file.js";
import { CONTROL_DIRECTORY } from "./cli/control-socket.js";
import { runCheck } from "./cli/check.js";
import { runDrain, runRebalance, type DrainOptions } from "./cli/drain.js";
import { runExplain } from "./cli/explain.js";
import { processIo, writeAll, type OutputFormat } from "./cli/io.js";
import { capabilityProblem, kernelFacts, missingCapabilities } from "./cli/kernel-facts.js";
import { createLog } from "./cli/log.js";
import { IMAGE, MANIFEST_KINDS, runManifest, type ManifestKind, type ManifestOptions } from "./cli/manifest/manifest.js";
import { runMigrate, type MigrateOptions } from "./cli/migrate/migrate.js";
import { nodeFacts } from "./cli/node-facts.js";
import { start } from "./cli/start.js";
import { runStatus, type StatusOptions } from "./cli/status.js";
import { runWhy, type WhyOptions } from "./cli/why.js";
import { ConfigError, flagsOf } from "./config/load.js";
import { SETTING_ROWS, SETTINGS } from "./config/settings.js";
import { UNSUPPORTED } from "./config/unsupported.js";
import { Cleanup } from "./lib/cleanup.js";
import { messageOf } from "./lib/errors.js";

declare const VIP_VERSION: string;
const version = typeof VIP_VERSION === "string" ? VIP_VERSION : "source";

/** By commander's names of options. */
type Flags = Readonly<Record<string, string | undefined>>;

function program(): Command {
  const command = new Command("vip").description("Virtual IP addresses for Kubernetes Services and the control plane").version(version);
  // Inherited by the commands that are added from here on.
  command.configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "vip: ")) }).showHelpAfterError("vip: `--help` lists what there is");
  const run = command.command("start").alias("manager").description("run the daemon");
  addSettings(run).action(async (flags: Flags) => runStart(flags));
  addManifests(command);
  addQuestions(command);
  addMoves(command);
  command
    .command("migrate")
    .description("turn manifests of kube-vip, from standard input, into ours; what changes is said in comments and on stderr")
    .option("--image <name>", `image of the container; default ${IMAGE}:${version}`)
    .action((options: Pick<MigrateOptions, "image">) => {
      process.exitCode = runMigrate(readFileSync(0, "utf8"), { ...options, version }, IO);
    });
  command
    .command("cleanup")
    .description("name what earlier daemons left on this node (or with --api in the cluster), and with --yes remove it")
    .option("--yes", "remove it", false)
    .option("--api", "what was written to Services and Nodes, instead of what is in the kernel of this node", false)
    .option("--directory <path>", "where the daemons of this node have their sockets", CONTROL_DIRECTORY)
    .option("--kubeconfig <path>", "with --api: the kubeconfig; default $KUBECONFIG, then as the daemon with this environment")
    .option("-n, --namespace <name>", "with --api: namespace of the Leases", "kube-system")
    .option("--lease <name>", "with --api: Lease of the Services", SETTINGS.servicesLease.fallback)
    .action(async (options: CleanupOptions & Omit<CleanupPlaces, "env">) => {
      await using cleanup = new Cleanup();
      process.exitCode = await runCleanup(options, cleanupDeps({ ...options, env: process.env }, cleanup), IO);
    });
  addSettings(command.command("check").description("show every setting with its source, what is wrong, and what this node's kernel can do"))
    .addOption(outputOption())
    .action(async (flags: Flags & { readonly output: OutputFormat }) => {
      process.exitCode = await runCheck({ env: process.env, flags: settingFlags(flags), output: flags.output }, { kernel: kernelFacts, node: nodeFacts }, IO);
    });
  command
    .command("explain [name]")
    .description("what a setting or an annotation means; without a name: all of them")
    .action((name: string | undefined) => {
      process.exitCode = runExplain(name, IO);
    });
  command.command("version").description("print the version").action(() => IO.out(version));
  return command;
}

const ABOUT: Readonly<Record<ManifestKind, string>> = {
  pod: "a static pod, for a control-plane node",
  daemonset: "a DaemonSet",
  rbac: "a ServiceAccount, and the rights that these settings need",
  systemd: "a unit for systemd, for a node without containers",
};

/** `vip manifest`, with the settings of the daemon as flags and from the environment. */
function addManifests(command: Command): void {
  const manifest = command.command("manifest").description("print a manifest that runs the daemon with the given settings");
  for (const kind of MANIFEST_KINDS) {
    const one = addSettings(manifest.command(kind).description(ABOUT[kind]))
      .option("--inCluster", "daemonset: use a ServiceAccount instead of a kubeconfig of the node", false)
      .option("--image <name>", `image of the container; default ${IMAGE}:${version}`)
      .option("--taint", "run on control-plane nodes only", false)
      .option("--role", "rbac: a Role for the namespace svc_namespace instead of a ClusterRole", false)
      .addOption(new Option("--rolebinding", "as --role").hideHelp())
      .option("--romana", "rbac: with what Romana VIPs by spec.externalIPs need", false);
    one.action((flags: Flags & Omit<ManifestOptions, "input" | "version">) => {
      const input = settingsInput(process.env, settingFlags(flags));
      process.exitCode = runManifest(kind, { ...flags, role: flags.role === true || flags["rolebinding"] !== undefined, input, version }, IO);
    });
  }
}

function outputOption(): Option {
  return new Option("-o, --output <format>", "text or json").choices(["text", "json"]).default("text");
}

/** A command that asks the daemons of this node. */
function asking(command: Command): Command {
  return command
    .addOption(outputOption())
    .option("--socket <path>", "one socket, instead of all of the directory")
    .addOption(new Option("--directory <path>", "where the daemons of this node have their sockets").env("vip_control_dir").default(CONTROL_DIRECTORY));
}

/** The commands that ask a running daemon, or the API. */
function addQuestions(command: Command): void {
  asking(command.command("status"))
    .description("what this node holds, and who owns what")
    .option("--cluster", "ask the API instead of the daemon of this node", false)
    .option("--kubeconfig <path>", "with --cluster: the kubeconfig; default $KUBECONFIG, then as the daemon with this environment")
    .option("-n, --namespace <name>", "with --cluster: namespace of the Leases", "kube-system")
    .action(async (options: Omit<StatusOptions, "env">) => {
      process.exitCode = await runStatus({ ...options, env: process.env }, IO);
    });
  asking(command.command("why <namespace/service>"))
    .description("why a Service is served, and where, or why it is not")
    .action(async (service: string, options: WhyOptions) => {
      process.exitCode = await runWhy(service, options, IO);
    });
  const bgp = command.command("bgp").description("BGP sessions of this node, and what their peers have of it");
  asking(bgp.command("peers"))
    .description("each peer: state, last error, what both sides agreed on")
    .action(async (options: BgpOptions) => {
      process.exitCode = await runBgpPeers(options, IO);
    });
  asking(bgp.command("routes [peer]"))
    .description("each route as a peer has it, with next hop, AS path and communities")
    .action(async (peer: string | undefined, options: BgpOptions) => {
      process.exitCode = await runBgpRoutes(peer, options, IO);
    });
}

/** The commands that move VIPs. */
function addMoves(command: Command): void {
  asking(command.command("drain [node]"))
    .description("hand the VIPs of this node, or of another one, over to others, until it is called off; exit code 2 where something stays")
    .option("--undo", "call it off", false)
    .option("--kubeconfig <path>", "for another node: the kubeconfig, with the right to patch nodes; default $KUBECONFIG, then as the daemon with this environment")
    .action(async (node: string | undefined, options: Omit<DrainOptions, "env">) => {
      process.exitCode = await runDrain(node, { ...options, env: process.env }, IO);
    });
  asking(command.command("rebalance"))
    .description("with svc_election: spread the VIPs evenly over the nodes now")
    .action(async (options: Omit<DrainOptions, "env" | "undo">) => {
      process.exitCode = await runRebalance(options, IO);
    });
}

const IO = processIo();

async function runStart(flags: Flags): Promise<void> {
  const { settings, warnings } = loadAll(settingsInput(process.env, settingFlags(flags)));
  const powerless = capabilityProblem(missingCapabilities());
  if (powerless !== undefined) throw new ConfigError([powerless]);
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

/** Every flag of kube-vip; those that we do not act on are taken and spoken about, as their environment variables are. */
function addSettings(command: Command): Command {
  for (const [, setting] of SETTING_ROWS) {
    const { name, isSwitch = false } = setting.type;
    const about = `${setting.doc} (${name}; ${setting.env[0]})`;
    flagsOf(setting).forEach((flag, index) => {
      const short = index === 0 && setting.short !== undefined ? `-${setting.short}, ` : "";
      command.addOption(settingOption(`${short}--${flag}`, about, isSwitch).hideHelp(index > 0));
    });
  }
  for (const flag of UNSUPPORTED.flatMap(({ flags }) => flags)) command.addOption(settingOption(`--${flag}`, "not supported", true).hideHelp());
  return command;
}

function settingOption(flag: string, about: string, isSwitch: boolean): Option {
  const option = new Option(`${flag} ${isSwitch ? "[value]" : "<value>"}`, about);
  return isSwitch ? option.preset("true") : option;
}

/** Commander names options in camel case; settings go by the flag as it is written. */
function settingFlags(flags: Flags): Readonly<Record<string, string | undefined>> {
  const names = [...SETTING_ROWS.flatMap(([, setting]) => flagsOf(setting)), ...UNSUPPORTED.flatMap((row) => row.flags)];
  return Object.fromEntries(names.map((name) => [name, flags[new Option(`--${name}`).attributeName()]]));
}

program()
  .parseAsync()
  .then(
    () => process.exit(),
    (error: unknown) => {
      const text = error instanceof ConfigError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
      writeAll(2, `vip: ${text.replaceAll("\n", "\nvip: ")}\n`);
      process.exit(1);
    },
  );
