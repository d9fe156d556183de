// npm run bench [NAME...] [OPTION...]: measures the built binary in the test lab. One line of JSON per figure on stdout, all else on stderr.
// NAME is a program test/bench/NAME.ts; without one, the standard ones run in turn. Options go to the programs as they are:
// --quick (fewer and shorter runs, about 5 minutes), --runs N, --node "FLAGS" (the bundle on plain Node with these flags instead of the binary,
// such as "--max-semi-space-size=1 --cpu-prof --cpu-prof-dir=/tmp/p"). `npm run -s` keeps npm's own lines off stdout.
// VIP_BENCH_BINARY names another binary than the one that is built here, for comparison.
import { bundlePrograms } from "./bundle-lab.mjs";
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { labRefusal, labWrapper, nodePath, PrepareError, preparePackages, prepareSystem, root, run, toolEnv } from "./prepare.mjs";

const STANDARD = ["plan", "start", "announce", "failover", "keepalived", "memory", "requests", "services", "bgp", "metrics"];
const source = join(root, "test/bench");
const out = join(root, "dist/bench");
const PREPARE = "--prepare";

/** Every program in test/bench; folders and names that begin with an underscore are none. */
function programs() {
  return readdirSync(source, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.startsWith("_") && !entry.name.endsWith(".test.ts"))
    .map(({ name }) => name.slice(0, -3))
    .sort();
}

/** Names come first; from the first option on, everything is for the programs. A lone `--` may stand between. */
function parse(args) {
  const first = args.findIndex((arg) => arg.startsWith("-"));
  const names = first === -1 ? args : args.slice(0, first);
  const rest = first === -1 ? [] : args.slice(args[first] === "--" ? first + 1 : first);
  const unknown = names.filter((name) => !programs().includes(name));
  if (unknown.length > 0) throw new PrepareError(`no benchmark ${unknown.join(", ")}: there are ${programs().join(", ")}.`);
  return { names: names.length === 0 ? STANDARD : names, rest };
}

/** Writes dist/bench/NAME.mjs; only what will run, so that one unfinished program stops no other. */
async function bundle(names) {
  await bundlePrograms(Object.fromEntries(names.map((name) => [name, join(source, `${name}.ts`)])), out);
}

/** What stands before a run, in a process of its own: what npm, apt and the build say on stdout must not come among the figures. */
async function prepare(names) {
  await preparePackages();
  await prepareSystem();
  if ((await run(nodePath(), ["build.mjs"], { env: toolEnv() })) !== 0) throw new PrepareError("the build failed.");
  mkdirSync(out, { recursive: true });
  // A copy: all figures of a run are of one binary, whoever builds meanwhile.
  copyFileSync(join(root, "dist/vip"), join(out, "vip"));
  copyFileSync(join(root, "dist/work/vip.cjs"), join(out, "vip.cjs"));
  await bundle(names);
}

/** Runs one program in namespaces of its own; passes its figures on and returns them with whether it ended well. */
async function measure(name, rest) {
  const file = join(out, `${name}.mjs`);
  if (!existsSync(file)) throw new PrepareError(`${file} is missing.`);
  const [program, ...args] = labWrapper([nodePath(), "--disable-warning=ExperimentalWarning", "--enable-source-maps", file, ...rest]);
  const env = toolEnv({ VIP_LAB: "1", VIP_BENCH_BINARY: process.env.VIP_BENCH_BINARY ?? join(out, "vip") });
  const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] });
  const stop = (signal) => child.kill(signal);
  process.once("SIGTERM", stop).once("SIGINT", stop);
  const ended = new Promise((resolve, reject) => child.once("error", reject).once("exit", (code) => resolve(code === 0)));
  const figures = [];
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line);
    const figure = asFigure(line);
    if (figure !== undefined) figures.push(figure);
  }
  const ok = await ended;
  process.off("SIGTERM", stop).off("SIGINT", stop);
  return { ok, figures };
}

function asFigure(line) {
  try {
    const value = JSON.parse(line);
    return typeof value?.figure === "string" ? value : undefined;
  } catch {
    return undefined; // a program may say other things on stdout: they are passed on and are no figures
  }
}

const HIDDEN = new Set(["figure", "value", "unit", "budget", "samples"]);

function row(figure) {
  const parameters = Object.entries(figure).filter(([key, value]) => !HIDDEN.has(key) && typeof value !== "object");
  const { value, unit, budget } = figure;
  const verdict = typeof budget !== "number" || typeof value !== "number" ? "" : value <= budget ? "ok" : "MISSED";
  return [figure.figure, parameters.map(([key, one]) => `${key} ${one}`).join(", "), String(value), String(unit), budget === undefined ? "" : `<= ${budget}`, verdict];
}

/** The figures once more, for people. */
function table(figures) {
  const rows = [["figure", "of", "value", "unit", "budget", ""], ...figures.map(row)];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const line = (cells) => cells.map((cell, column) => (column === 2 ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join("  ").trimEnd();
  return rows.map(line).join("\n");
}

async function main(args) {
  const { names, rest } = parse(args);
  const prepared = spawn(process.execPath, [fileURLToPath(import.meta.url), PREPARE, ...names], { cwd: root, stdio: ["ignore", 2, 2] });
  const code = await new Promise((resolve, reject) => prepared.once("error", reject).once("exit", resolve));
  if (code !== 0) throw new PrepareError("nothing was measured.");
  const refusal = labRefusal();
  if (refusal !== undefined) throw new PrepareError(`the lab cannot run here: ${refusal}.`);
  const all = [];
  for (const name of names) {
    const start = performance.now();
    console.error(`▸ ${name}`);
    const { ok, figures } = await measure(name, rest);
    all.push(...figures);
    if (!ok) process.exitCode = 1;
    console.error(`${ok ? "✓" : "✗"} ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)\n`);
  }
  if (all.length > 0) console.error(table(all));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const args = process.argv.slice(2);
  try {
    if (args[0] === PREPARE) await prepare(args.slice(1));
    else await main(args);
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error;
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}
