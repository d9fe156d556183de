import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Leftover } from "./leftovers.js";

/** Sockets of daemons, and the record of addresses. */
const OURS = /^(vip(-\d+)?\.sock|addresses\.json)$/;

/** Files of daemons that ended without a goodbye; only to be asked for where none lives. Folders stay: they are mounted. */
export function fileLeftovers(directory: string): readonly Leftover[] {
  return namesIn(directory)
    .filter((name) => OURS.test(name))
    .toSorted()
    .map((name) => ({ what: join(directory, name), remove: async () => rmSync(join(directory, name), { force: true }) }));
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
