// npm test: packages, types, build, unit tests, lab tests. `--full` runs what is beyond that: test/lab/*.full.test.ts, and the unit
// tests with all runs of their models (test/runs.ts).
// Other arguments go to vitest: file filters, -t NAME and so on.
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { inCi, labRefusal, labWrapper, nodePath, PrepareError, preparePackages, prepareSystem, root, run, say, shout, toolEnv } from "./prepare.mjs";

const full = process.argv.includes("--full");
const forVitest = process.argv.slice(2).filter((argument) => argument !== "--full");
const results = join(root, "dist/test-results");
const LAB_AT_ONCE = 3;
/** More files than that do not fail by chance. */
const MOST_UNSTEADY = 3;
const totals = { passed: 0, skipped: 0 };
/** What failed, a line each. */
const failures = [];
/** Lab files that failed beside others and passed alone, and what failed in them at first. */
const unsteady = [];

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** Runs one step and says how long it took. A failed step that is not a test run counts as one failure. */
async function step(name, work) {
  say(name);
  const start = performance.now();
  const ok = await work();
  console.log(`${ok ? "✓" : "✗"} ${name} (${seconds(start)})\n`);
  return ok;
}

async function command(name, args, env = {}) {
  const ok = await step(name, async () => (await run(nodePath(), args, { env: toolEnv(env) })) === 0);
  if (!ok) failures.push(name);
  return ok;
}

/** What a vitest JSON report says. A file that could not be loaded has no tests and counts as one failure. */
function readReport(file, ok) {
  const read = { passed: 0, skipped: 0, failures: [] };
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    read.passed = report.numPassedTests;
    read.skipped = report.numPendingTests + (report.numTodoTests ?? 0);
    for (const one of report.testResults) {
      const failed = one.assertionResults.filter((test) => test.status === "failed");
      const name = relative(root, one.name);
      read.failures.push(...failed.map((test) => `${name} > ${test.fullName}: ${firstLine(test.failureMessages?.[0])}`));
      if (one.status === "failed" && failed.length === 0) read.failures.push(`${name}: ${firstLine(one.message)}`);
    }
  } catch (error) {
    console.error(`no readable report of the tests at ${file}: ${error.message}`);
  }
  if (!ok && read.failures.length === 0) read.failures.push(`${basename(file, ".json")}: it ended with an error`);
  return read;
}

function firstLine(text) {
  return (text ?? "no reason given").trim().split("\n", 1)[0];
}

function add(read) {
  totals.passed += read.passed;
  totals.skipped += read.skipped;
  failures.push(...read.failures);
}

/** Runs the tests of one project in one process. */
async function vitest(project, wrap, env) {
  await step(`tests: ${project}${full ? " (full)" : ""}`, async () => {
    const read = await part({ name: project, project, wrap, env, args: ["--passWithNoTests", ...forVitest] });
    add(read);
    return read.failures.length === 0;
  });
}

/**
 * Runs each lab file in a process and namespaces of its own, so many at once. Most of their time goes by in waiting. What a file prints comes when it has
 * ended. A bound in time says nothing on a machine that is busy with other files: where few failed, each is run again, alone, and that counts; both are told.
 */
async function eachFile(files, wrap, env) {
  const failed = [];
  const runFile = async (file) => {
    const name = `lab-${basename(file, ".test.ts")}`;
    const log = join(results, `${name}.log`);
    const output = openSync(log, "w");
    const read = await part({ name, project: "lab", wrap, env, args: [file], stdio: ["ignore", output, output] });
    closeSync(output);
    process.stdout.write(readFileSync(log));
    return read;
  };
  await step("tests: lab", async () => {
    const left = [...files];
    const work = async () => {
      for (let file = left.shift(); file !== undefined; file = left.shift()) {
        const read = await runFile(file);
        if (read.failures.length === 0) add(read);
        else failed.push({ file, first: read.failures });
      }
    };
    await Promise.all(Array.from({ length: LAB_AT_ONCE }, work));
    return failed.length === 0;
  });
  if (failed.length > MOST_UNSTEADY) failures.push(...failed.flatMap(({ first }) => first));
  else if (failed.length > 0) await step("tests: lab, alone, what failed beside others", async () => {
    for (const { file, first } of failed) {
      const read = await runFile(file);
      add(read);
      if (read.failures.length === 0) unsteady.push({ file, first });
    }
    return unsteady.length === failed.length;
  });
}

async function part({ name, project, wrap, env, args, stdio }) {
  const report = join(results, `${name}.json`);
  rmSync(report, { force: true });
  const vitestArgs = ["node_modules/vitest/vitest.mjs", "run", "--project", project];
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const [program, ...rest] = wrap([nodePath(), ...vitestArgs, ...reporters, ...args]);
  const ok = (await run(program, rest, { env: toolEnv(env), ...(stdio === undefined ? {} : { stdio }) })) === 0;
  return readReport(report, ok);
}

/** Paths from the root, the larger files first: they tend to take longer, and the last one to end should be a short one. */
function labFiles(isWanted) {
  const files = readdirSync(join(root, "test/lab")).filter((file) => file.endsWith(".test.ts") && isWanted(file.endsWith(".full.test.ts")));
  const size = (file) => statSync(join(root, "test/lab", file)).size;
  return files.sort((a, b) => size(b) - size(a)).map((file) => join("test/lab", file));
}

/** Runs the lab where that is possible; says loudly where it is not. */
async function lab() {
  const refusal = labRefusal();
  if (refusal !== undefined) {
    shout(`The lab tests were NOT run: ${refusal}.`);
    if (inCi()) failures.push(`lab: ${refusal}`);
    return;
  }
  if (full) await vitest("lab", labWrapper, { VIP_LAB: "1", VIP_FULL: "1" });
  else if (forVitest.length > 0) await vitest("lab", labWrapper, { VIP_LAB: "1" });
  else await eachFile(labFiles((isFull) => !isFull), labWrapper, { VIP_LAB: "1" });
}

async function main() {
  await preparePackages();
  const canLab = process.getuid?.() === 0 || inCi();
  if (canLab) await prepareSystem();
  mkdirSync(results, { recursive: true });
  if (!full) await command("types", ["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"]);
  const built = await command("build", ["build.mjs"]);
  await vitest("unit", (argv) => argv, full ? { VIP_FULL: "1" } : {});
  if (built) await lab();
  else shout("The lab tests were NOT run: there is no build to test.");
  for (const line of unsteady.flatMap(({ first }) => first)) console.log(`failed beside others, passed alone: ${line}`);
  for (const line of failures) console.log(`failed: ${line}`);
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
  console.log(`${totals.passed} passed, ${failures.length} failed${skipped}`);
  if (failures.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}
