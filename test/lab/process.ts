import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { waitFor } from "./wait.js";

/** How a program of the lab ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How a program of the lab is started. */
export interface SpawnOptions {
  /** Names the log file in the lab's folder. Default: the program's name. */
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A running program, its output (stdout and stderr together) in a file. */
export class LabProcess implements AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves when the program has ended, however that came. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;

  private constructor(name: string, logFile: string, child: ChildProcess) {
    this.name = name;
    this.logFile = logFile;
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  }

  /** Starts a program; resolves when it runs. */
  static async start(name: string, logFile: string, argv: readonly string[], options: SpawnOptions = {}): Promise<LabProcess> {
    const [program = "", ...args] = argv;
    const log = openSync(logFile, "a");
    try {
      const env = { ...process.env, ...options.env };
      const child = spawn(program, args, { env, cwd: options.cwd, stdio: ["ignore", log, log] });
      const started = new LabProcess(name, logFile, child);
      await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
      return started;
    } finally {
      closeSync(log);
    }
  }

  /** How it ended, undefined while it runs. */
  get ended(): Exit | undefined {
    const { exitCode, signalCode } = this.#child;
    return exitCode === null && signalCode === null ? undefined : { code: exitCode, signal: signalCode };
  }

  /** Sends a signal (default SIGTERM); nothing happens when it has ended. */
  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    this.#child.kill(signal);
  }

  /** Sends a signal and waits for the end; SIGKILL after `ms`, which is then an error. */
  async stop(signal: NodeJS.Signals = "SIGTERM", ms = 10_000): Promise<Exit> {
    this.kill(signal);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.kill("SIGKILL");
    }, ms);
    const exit = await this.exited;
    clearTimeout(timer);
    if (late) throw new Error(`${this.name} did not end within ${ms} ms after ${signal}:\n${this.tail()}`);
    return exit;
  }

  /** User and system time so far, ms (proc(5), fields 14 and 15 of stat, in ticks of 10 ms). */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  /** All that it wrote so far. */
  output(): string {
    return readFileSync(this.logFile, "utf8");
  }

  /** The complete lines that it wrote so far. */
  lines(): string[] {
    return this.output().split("\n").slice(0, -1);
  }

  /** The lines that are JSON objects, parsed. */
  logs(): Record<string, unknown>[] {
    return this.lines().flatMap((line) => {
      if (!line.startsWith("{")) return [];
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        return []; // not a log line: other text may begin with a brace
      }
    });
  }

  /** The end of its output, for error messages. */
  tail(lines = 20): string {
    return this.output().trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Waits for a line that matches; fails when the program ends before or `ms` have passed. */
  async waitFor(what: RegExp | ((line: string) => boolean), ms = 5_000): Promise<string> {
    const matches = typeof what === "function" ? what : (line: string) => what.test(line);
    const look = () => {
      const ended = this.ended; // asked before the lines are read, so that its last words count
      const line = this.lines().find(matches);
      if (line !== undefined) return { line };
      return ended && { ended };
    };
    const answer = await waitFor(look, ms, `${String(what)} in the output of ${this.name}`).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n${this.tail()}`, { cause: error });
    });
    if (answer.line === undefined) throw new Error(`${this.name} ended (${JSON.stringify(answer.ended)}) before ${String(what)}:\n${this.tail()}`);
    return answer.line;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.exited;
  }
}
