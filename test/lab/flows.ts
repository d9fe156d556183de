import type { LabContext } from "./context.js";
import { lastJson } from "./probe.js";
import type { LabProcess } from "./process.js";

/** One TCP connection, as its client saw it. */
export interface Flow {
  /** Who answered: a connection stays with one node, or ends. */
  readonly node: string;
  readonly answered: number;
  /** The longest time from a question to its answer. */
  readonly longestGapMs: number;
  /** How it ended before it was to; undefined: it lasted. */
  readonly end?: string;
}

/** Connections that are in use all the time. */
export interface Flows extends AsyncDisposable {
  readonly process: LabProcess;
  /** Ends them and returns what they saw. */
  stop(): Promise<readonly Flow[]>;
}

/** Opens connections to HTTP at this address from the client; resolves when each has had an answer. */
export async function startFlows(lab: LabContext, vip: string, { count = 30, intervalMs = 20 }: { readonly count?: number; readonly intervalMs?: number } = {}): Promise<Flows> {
  const program = await lab.spawnProgram("client", "flows", [JSON.stringify({ vip, count, intervalMs })]);
  await program.waitFor(/^ready$/, 20_000);
  return {
    process: program,
    async stop() {
      await program.stop("SIGINT");
      return (lastJson(program) as { readonly flows: readonly Flow[] }).flows;
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
    },
  };
}
