import { isatty } from "node:tty";
import pino from "pino";
import type { Log, LogFields } from "../ports/log.js";
import { writeAll } from "./io.js";
import { readable } from "./log-text.js";

/** A log whose debug lines can be switched on and off while it is in use, with all that were made from it. */
export interface SwitchableLog extends Log {
  with(fields: LogFields): SwitchableLog;
  /** Debug lines from now on; a second time: as it was started. Returns the level from now on. */
  toggleDebug(): Level;
}

export type Level = "debug" | "info" | "warn" | "error";

/** Takes whole lines, each with its newline. */
export interface LogOutput {
  write(line: string): void;
}

const SEVERITY: Readonly<Record<Level, number>> = { debug: -4, info: 0, warn: 4, error: 8 };

/** What all logs that were made from one have in common. */
interface Switch {
  level: Level;
}

/** kube-vip's scale (Go slog): -4 debug, 0 info, 4 warn, 8 error. */
function levelName(severity: number): Level {
  if (severity < 0) return "debug";
  if (severity < 4) return "info";
  return severity < 8 ? "warn" : "error";
}

/** JSON lines on stdout, or lines for people where stdout is a terminal; written at once so that the last line before a crash is there. */
export function createLog(severity: number, base: LogFields, output: LogOutput = standardOutput()): SwitchableLog {
  const options = {
    // The switch decides: levels of loggers that were made from one another do not follow each other.
    level: "debug",
    base,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    messageKey: "message",
  };
  const level = levelName(severity);
  return wrap(pino(options, output), { level }, level);
}

/** Toggles debug lines by SIGUSR1, and says so, until disposed of. (Node would open its debugger on that signal.) */
export function debugBySignal(log: SwitchableLog): Disposable {
  const toggle = (): void => {
    const level = log.toggleDebug();
    log.warn("log level changed by SIGUSR1", { to: level });
  };
  process.on("SIGUSR1", toggle);
  return { [Symbol.dispose]: () => void process.off("SIGUSR1", toggle) };
}

function standardOutput(): LogOutput {
  if (!isatty(1)) return pino.destination({ fd: 1, sync: true });
  const colours = (process.env["NO_COLOR"] ?? "") === "";
  return { write: (line) => writeAll(1, `${readable(line, colours)}\n`) };
}

function wrap(logger: pino.Logger, shared: Switch, usual: Level): SwitchableLog {
  const at = (level: Level, message: string, fields: LogFields | undefined): void => {
    if (SEVERITY[level] >= SEVERITY[shared.level]) logger[level](fields ?? {}, message);
  };
  return {
    debug: (message, fields) => at("debug", message, fields),
    info: (message, fields) => at("info", message, fields),
    warn: (message, fields) => at("warn", message, fields),
    error: (message, fields) => at("error", message, fields),
    with: (fields) => wrap(logger.child(fields), shared, usual),
    toggleDebug: () => {
      // Where debug is usual, the other level is info.
      const other = usual === "debug" ? "info" : "debug";
      shared.level = shared.level === usual ? other : usual;
      return shared.level;
    },
  };
}
