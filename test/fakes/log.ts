import type { Log, LogFields } from "../../src/ports/log.js";

export interface LogLine extends LogFields {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
}

/** A log that remembers. */
export class FakeLog implements Log {
  constructor(
    readonly lines: LogLine[] = [],
    private readonly base: LogFields = {},
  ) {}

  debug(message: string, fields?: LogFields): void {
    this.#add("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#add("info", message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#add("warn", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#add("error", message, fields);
  }
  with(fields: LogFields): Log {
    return new FakeLog(this.lines, { ...this.base, ...fields });
  }

  #add(level: LogLine["level"], message: string, fields: LogFields = {}): void {
    this.lines.push({ ...this.base, ...fields, level, message });
  }
}
