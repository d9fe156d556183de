import { spawn } from "node:child_process";

/** What a finished command left. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface CommandOptions {
  /** Written to the command's stdin, which is closed otherwise. */
  readonly input?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Return the exit code instead of throwing when it is not 0. Default false. */
  readonly mayFail?: boolean;
  /** Time until it is killed, in ms. Default 20,000. */
  readonly timeout?: number;
}

/** A command of the lab that did not end well. */
export class CommandError extends Error {
  /** The exit code, 1 for a signal. */
  readonly code: number;
  constructor(argv: readonly string[], finished: Finished) {
    super(`${argv.join(" ")}: exit ${finished.code}: ${finished.stderr.trim() || finished.stdout.trim()}`);
    this.code = finished.code;
  }
}

/** Runs a command to its end; throws CommandError unless it ends with 0 or `mayFail` is set. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { env: { ...process.env, ...options.env }, timeout: options.timeout ?? 20_000, killSignal: "SIGKILL" });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin.on("error", () => undefined); // the command ended without reading all of its input: its exit code tells
  child.stdin.end(options.input ?? "");
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...ended) => resolve(ended));
  });
  const killed = signal === null ? "" : `\nkilled by ${signal}`;
  const finished = { code: code ?? 1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() + killed };
  if (finished.code !== 0 && options.mayFail !== true) throw new CommandError(argv, finished);
  return finished;
}

/** The path of a namespace made by `ip netns`. */
export function netnsPath(ns: string): string {
  return `/run/netns/${ns}`;
}

/** Puts a command into a network namespace; nsenter becomes the command, so the pid stays. */
export function inNamespace(ns: string, argv: readonly string[]): string[] {
  return ["nsenter", `--net=${netnsPath(ns)}`, ...argv];
}
