import type { LabContext } from "./context.js";
import type { LabProcess } from "./process.js";

/** How an address is probed. */
export interface ProbeOptions {
  /** From one round (a UDP packet, an ICMP echo, a new TCP connection) to the next, in ms. Default 5. */
  readonly intervalMs?: number;
  /** Where it is probed from. Default `client`. */
  readonly from?: string;
}

/** What one protocol saw. Times are milliseconds of the machine's monotonic clock (`lab.now()`). */
export interface ProtocolResult {
  readonly sent: number;
  readonly answered: number;
  /** Rounds before the last answered one that were not. */
  readonly lost: number;
  /** The longest silence: from the last answered round before it to the first answered one after it, by the times of sending. */
  readonly gapMs: number;
  /** When the last answered round before that silence was sent. */
  readonly gapStart: number;
  /** From the last answered round to the end: more than some rounds means that it is down at the end. */
  readonly silentAtEndMs: number;
  /** Which nodes answered, in order; `at` is the first answer after the one before. Empty for ICMP. */
  readonly nodes: readonly { readonly node: string; readonly at: number }[];
}

/** What a probe saw. */
export interface ProbeResult {
  readonly vip: string;
  readonly started: number;
  readonly ended: number;
  readonly udp: ProtocolResult;
  readonly icmp: ProtocolResult;
  readonly tcp: ProtocolResult;
}

/** A running probe. */
export interface Probe extends AsyncDisposable {
  readonly process: LabProcess;
  /** Ends it and returns what it saw; fails when a protocol never got an answer. */
  stop(): Promise<ProbeResult>;
}

/** The last line of a program that is a JSON object. */
export function lastJson(program: LabProcess): unknown {
  const line = program.lines().findLast((one) => one.startsWith("{"));
  if (line === undefined) throw new Error(`${program.name} gave no result:\n${program.tail()}`);
  return JSON.parse(line);
}

/** Starts a probe; resolves when it sends. */
export async function startProbe(lab: LabContext, vip: string, { intervalMs = 5, from = "client" }: ProbeOptions): Promise<Probe> {
  const program = await lab.spawnProgram(from, "probe", [JSON.stringify({ vip, intervalMs })]);
  await program.waitFor(/^ready$/);
  return {
    process: program,
    async stop() {
      await program.stop("SIGINT");
      const result = lastJson(program) as ProbeResult;
      const silent = (["udp", "icmp", "tcp"] as const).filter((protocol) => result[protocol].answered === 0);
      if (silent.length > 0) throw new Error(`${vip} never answered ${silent.join(", ")} in ${Math.round(result.ended - result.started)} ms`);
      return result;
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
    },
  };
}
