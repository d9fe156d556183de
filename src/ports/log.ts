export type LogFields = Readonly<Record<string, unknown>>;

/** Constant lower-case messages plus fields. */
export interface Log {
  /** Packets and decisions. */
  debug(message: string, fields?: LogFields): void;
  /** State changes that an operator acts on. */
  info(message: string, fields?: LogFields): void;
  /** Something failed and is tried again. */
  warn(message: string, fields?: LogFields): void;
  /** A person is needed. */
  error(message: string, fields?: LogFields): void;
  /** The same log with `fields` in every line. */
  with(fields: LogFields): Log;
}
