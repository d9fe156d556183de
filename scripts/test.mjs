// npm test: packages, types, build, unit tests, lab tests. `--full` runs only what is beyond that: test/lab/**/*.full.test.ts.
// Other arguments go to vitest: file filters, -t NAME and so on.
import { mkdirSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { inCi, labRefusal, labWrapper, nodePath, PrepareError, preparePackages, prepareSystem, root, run, say, shout, toolEnv } from "./prepare.mjs";

const full = process.argv.includes("--full");
const forVitest = process.argv.slice(2).filter((argument) => argument !== "--full");
const results = join(root, "dist/test-results");
const totals = { passed: 0, failed: 0, skipped: 0 };

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
  if (!ok) totals.failed += 1;
  return ok;
}

/** Adds what a vitest JSON report says. A file that could not be loaded has no tests and counts as one failure. */
function addReport(file, ok) {
  let failed = 0;
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    totals.passed += report.numPassedTests;
    totals.skipped += report.numPendingTests + (report.numTodoTests ?? 0);
    failed = report.numFailedTests;
    for (const one of report.testResults) {
      if (one.status === "failed" && !one.assertionResults.some((test) => test.status === "failed")) failed += 1;
    }
  } catch (error) {
    console.error(`no readable report of the tests at ${file}: ${error.message}`);
  }
  totals.failed += ok ? failed : Math.max(failed, 1);
}

/** Runs the tests of one project, in so many processes at once. Their output comes one after the other. */
async function vitest(project, wrap, env, shards = 1) {
  await step(`tests: ${project}${full ? " (full)" : ""}`, async () => {
    const parts = Array.from({ length: shards }, (_, i) => part(project, wrap, { env, shard: i + 1, shards }));
    return (await Promise.all(parts)).every((ok) => ok);
  });
}

async function part(project, wrap, { env, shard, shards }) {
  const name = shards === 1 ? project : `${project}-${shard}`;
  const report = join(results, `${name}.json`);
  rmSync(report, { force: true });
  const vitestArgs = ["node_modules/vitest/vitest.mjs", "run", "--project", project, "--passWithNoTests"];
  if (shards > 1) vitestArgs.push(`--shard=${shard}/${shards}`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const [program, ...args] = wrap([nodePath(), ...vitestArgs, ...reporters, ...forVitest]);
  const log = join(results, `${name}.log`);
  const output = shard === 1 ? undefined : openSync(log, "w");
  const ok = (await run(program, args, { env: toolEnv(env), ...(output === undefined ? {} : { stdio: ["ignore", output, output] }) })) === 0;
  if (output !== undefined) process.stdout.write(readFileSync(log));
  addReport(report, ok);
  return ok;
}

function fullTests(dir = join(root, "test/lab")) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return fullTests(join(dir, entry.name));
    return entry.name.endsWith(".full.test.ts") ? [join(dir, entry.name)] : [];
  });
}

/** Runs the lab where that is possible; says loudly where it is not. */
async function lab() {
  const refusal = labRefusal();
  if (refusal !== undefined) {
    shout(`The lab tests were NOT run: ${refusal}.`);
    if (inCi()) totals.failed += 1;
    return;
  }
  // Most of the time goes by in waiting: each part has namespaces of its own, and none of them minds the other.
  const shards = forVitest.length === 0 && !full ? 2 : 1;
  await vitest("lab", labWrapper, { VIP_LAB: "1", ...(full ? { VIP_FULL: "1" } : {}) }, shards);
}

async function main() {
  if (full && fullTests().length === 0) {
    say("There is no test/lab/**/*.full.test.ts: nothing beyond `npm test`.");
    return;
  }
  await preparePackages();
  const canLab = process.getuid?.() === 0 || inCi();
  if (canLab) await prepareSystem();
  mkdirSync(results, { recursive: true });
  if (!full) await command("types", ["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"]);
  const built = await command("build", ["build.mjs"]);
  if (!full) await vitest("unit", (argv) => argv, {});
  if (built) await lab();
  else shout("The lab tests were NOT run: there is no build to test.");
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
  if (totals.failed > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}
