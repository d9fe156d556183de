import pino from "pino";
import type { Log, LogFields } from "../ports/log.js";

/** kube-vip's scale (Go slog): -4 debug, 0 info, 4 warn, 8 error. */
function levelName(severity: number): string {
  if (severity < 0) return "debug";
  if (severity < 4) return "info";
  return severity < 8 ? "warn" : "error";
}

/** JSON lines on stdout, written at once so that the last line before a crash is there. */
export function createLog(severity: number, base: LogFields): Log {
  const options = {
    level: levelName(severity),
    base,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    messageKey: "message",
  };
  return wrap(pino(options, pino.destination({ fd: 1, sync: true })));
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    with: (fields) => wrap(logger.child(fields)),
  };
}
