import { constants } from "node:os";

import type { KernelErrorShape } from "../ports/kernel.js";

const NAMES: ReadonlyMap<number, string> = namesByErrno();

/** What the kernel refused; message `add 192.0.2.10/32 to link 3: EPERM: text of the kernel`. */
export class KernelError extends Error implements KernelErrorShape {
  override readonly name = "KernelError";
  readonly code: string;

  /** `tried` is what we tried and on what; `text` the kernel's own words (or ours where it has none). */
  constructor(
    tried: string,
    readonly errno: number,
    text?: string,
  ) {
    const code = errnoName(errno);
    super(text === undefined || text === "" ? `${tried}: ${code}` : `${tried}: ${code}: ${text}`);
    this.code = code;
  }
}

/** `EPERM` for 1; `E524` for a number that has no name here. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

function namesByErrno(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  // Of two names for one number (EAGAIN, EWOULDBLOCK) the first in the alphabet is the usual one.
  for (const [name, errno] of Object.entries(constants.errno).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (!names.has(errno)) names.set(errno, name);
  }
  return names;
}
