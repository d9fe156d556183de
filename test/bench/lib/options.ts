import { join } from "node:path";
import { parseArgs } from "node:util";
import type { VipOptions } from "../../lab/daemons.js";

/** How a benchmark was asked for. */
export interface BenchOptions {
  /** Fewer and shorter runs. */
  readonly quick: boolean;
  /** How often the crash of a node and its like are repeated. */
  readonly runs: number;
  /** How the program under test is started. */
  readonly vip: VipOptions;
  /** One of two values: the first for a full run, the second for a quick one. */
  readonly choose: <T>(full: T, quick: T) => T;
}

/** Reads the arguments of this process. Unknown ones are for other benchmarks of the same run. */
export function benchOptions(): BenchOptions {
  const { values } = parseArgs({
    strict: false,
    options: { quick: { type: "boolean", default: false }, runs: { type: "string" }, node: { type: "string" } },
  });
  const quick = values.quick === true;
  const runs = values.runs === undefined ? (quick ? 3 : 7) : Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${String(values.runs)}: expected a whole number from 1`);
  const vip = typeof values.node === "string" ? onNode(values.node) : binary();
  return { quick, runs, vip, choose: (full, short) => (quick ? short : full) };
}

function binary(): VipOptions {
  const path = process.env["VIP_BENCH_BINARY"];
  return path === undefined ? {} : { binary: path };
}

/** The same program on plain Node with these options in place of the binary's own. A profiler writes its file when the program ends by SIGTERM. */
function onNode(flags: string): VipOptions {
  const bundle = join(process.env["VIP_BENCH_BINARY"] ?? "dist/bench/vip", "../vip.cjs");
  return { binary: process.execPath, args: [...flags.split(" ").filter((flag) => flag !== ""), bundle, "start"] };
}
