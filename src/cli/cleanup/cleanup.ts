import { messageOf } from "../../lib/errors.js";
import { EXIT, type CommandIo } from "../io.js";
import type { Found } from "./leftovers.js";

export interface CleanupOptions {
  /** Removes; without it things are only named. */
  readonly yes: boolean;
}

export interface CleanupDeps {
  /** Names of daemons that answer on this node. */
  daemons(): Promise<readonly string[]>;
  /** What is there, in the order in which it is taken away; rejects where it cannot be told, or somebody still owns it. */
  find(signal: AbortSignal): Promise<Found>;
}

/**
 * `vip cleanup`: names what earlier lives of the program left, and with `--yes` removes it. Nothing is removed while a daemon runs here, which would put it
 * back. Exit code 1 where something could not be removed.
 */
export async function runCleanup({ yes }: CleanupOptions, deps: CleanupDeps, io: CommandIo): Promise<number> {
  const { signal } = new AbortController();
  try {
    const daemons = await deps.daemons();
    if (yes && daemons.length > 0) {
      io.err(`vip: a daemon answers at ${daemons.join(", ")}: stop it first, it would put back what is removed`);
      return EXIT.error;
    }
    const { leftovers, problems } = await deps.find(signal);
    for (const problem of problems) io.err(`vip: not looked at: ${problem}`);
    let failed = 0;
    for (const leftover of leftovers) {
      try {
        if (yes) await leftover.remove(signal);
        io.out(`${yes ? "removed" : "would remove"} ${leftover.what}`);
      } catch (error) {
        failed += 1;
        io.err(`vip: not removed: ${leftover.what}: ${messageOf(error)}`);
      }
    }
    io.out(summary(leftovers.length, { yes, busy: daemons.length > 0 }));
    return failed === 0 ? EXIT.ok : EXIT.error;
  } catch (error) {
    io.err(`vip: ${messageOf(error)}`);
    return EXIT.error;
  }
}

function summary(count: number, { yes, busy }: { readonly yes: boolean; readonly busy: boolean }): string {
  if (count === 0) return "nothing is left";
  if (yes) return `${count} found`;
  return busy ? "nothing was removed: a daemon runs here, and this is in use" : "nothing was removed: `vip cleanup --yes` removes it";
}
