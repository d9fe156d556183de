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
