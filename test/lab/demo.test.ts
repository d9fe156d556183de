import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const DEMO = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "dist/lab/demo.mjs");

test("the demo ends well: a Service, a crash and a hand-over, shown in plain lines with the figures", () => {
  // A process of its own, as `npm run demo` starts it; it builds its own lab, so there is none here.
  const { status, stdout, stderr } = spawnSync(process.execPath, [DEMO], { encoding: "utf8", timeout: 50_000 });
  expect(stderr.replaceAll(/^.*ExperimentalWarning.*\n.*--trace-warnings.*\n/gm, "")).toBe("");
  expect(status, stdout).toBe(0);
  const [, crash, handOver] = stdout.split(/^\d\. The owner is .*$/m);
  expect(crash).toMatch(/s {2}n\d {2}process KILLED; its kernel still has 10\.77\.0\.200, for \d s$/m);
  expect(crash).toMatch(/ms {2}n\d {6}its kernel dropped 10\.77\.0\.200 by itself: the lifetime was over\n.*ms {2}n\d {6}writes its name into the Lease\n/);
  expect(crash).toMatch(/The client was without an answer for: UDP [\d,]+ ms, ICMP [\d,]+ ms, TCP [\d,]+ ms$/m);
  expect(handOver).toMatch(/ms {2}client {2}gets the first answer of n\d$/m);
  expect(handOver).toMatch(/The client was without an answer for: UDP [\d,]+ ms, ICMP [\d,]+ ms, TCP [\d,]+ ms$/m);
  expect(handOver).toMatch(/^The demo went well/m);
  expect(stdout).not.toContain("\u001b");
});
