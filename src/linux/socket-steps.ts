import { KernelError } from "./errors.js";
import type { Native } from "./native.js";

/** Takes the steps in turn; where one fails the socket is closed. Throws KernelError. */
export function orClose(native: Native, fd: number, tried: string, steps: readonly (() => number)[]): void {
  for (const step of steps) {
    const done = step();
    if (done >= 0) continue;
    native.close(fd);
    throw new KernelError(tried, -done);
  }
}

/** The value of an option that is an `int`. */
export function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/** Octets that V8 never moves. */
export function outside(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}
