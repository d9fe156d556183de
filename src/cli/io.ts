import { writeSync } from "node:fs";

/** How a command speaks. */
export interface CommandIo {
  /** Whole lines for stdout, without the last newline. */
  out(text: string): void;
  /** The same for stderr. */
  err(text: string): void;
}

/** `-o`. */
export type OutputFormat = "text" | "json";

/** What a command ends the process with. */
export const EXIT = { ok: 0, error: 1, notServed: 2, unknown: 3 } as const;

/** How long to wait for the reader of a full pipe that does not block, ms. */
const FULL_MS = 5;

/**
 * stdout and stderr, written at once: what `process.stdout` has not handed to a pipe yet when the process exits is lost, and the report of a large node is
 * more than a pipe holds.
 */
export function processIo(): CommandIo {
  return { out: (text) => writeAll(1, `${text}\n`), err: (text) => writeAll(2, `${text}\n`) };
}

/** Where the reader has gone (`vip status | head`) the rest is of interest to nobody. */
export function writeAll(fd: number, text: string): void {
  let rest: Uint8Array = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") return;
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_MS);
    }
  }
}
