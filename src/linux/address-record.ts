import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { messageOf } from "../lib/errors.js";
import { parseIp } from "../lib/ip.js";
import type { AddressId } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";

const FILE = "addresses.json";
const VERSION = 1;

export interface AddressRecordDeps {
  readonly log: Log;
  /** Folder of the file; made when it is needed. */
  readonly dir: string;
}

/**
 * Which addresses are ours, in a file that the next life of this program reads. It may name addresses that are gone; it never lacks one that is
 * there. Reading and writing block, so that a record is on disk before the address is in the kernel: the folder is expected in memory (/run).
 */
export class AddressRecord {
  readonly #deps: AddressRecordDeps;
  #loaded: Map<string, number> | undefined;
  #dirty = false;
  #failed = false;

  constructor(deps: AddressRecordDeps) {
    this.#deps = deps;
  }

  /** The mark recorded for this address, or undefined. */
  mark(id: AddressId): number | undefined {
    return this.#marks().get(keyOf(id));
  }

  /** In the file with the next `flush`. */
  add(id: AddressId, mark: number): void {
    const key = keyOf(id);
    if (this.#marks().get(key) === mark) return;
    this.#marks().set(key, mark);
    this.#dirty = true;
  }

  /** Out of the file with the next `flush`. */
  remove(id: AddressId): void {
    if (this.#marks().delete(keyOf(id))) this.#dirty = true;
  }

  /** Writes the file anew where something changed. The first failure is logged, each is tried again: the address is of more use than its record. */
  flush(): void {
    if (!this.#dirty) return;
    const { dir, log } = this.#deps;
    const path = join(dir, FILE);
    try {
      mkdirSync(dir, { recursive: true });
      writeFileSync(`${path}.new`, `${JSON.stringify({ version: VERSION, addresses: Object.fromEntries(this.#marks()) })}\n`);
      renameSync(`${path}.new`, path);
      this.#dirty = false;
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) log.warn("record of addresses not written", { path, error: messageOf(error) });
      this.#failed = true;
    }
  }

  #marks(): Map<string, number> {
    return (this.#loaded ??= this.#load());
  }

  #load(): Map<string, number> {
    const { dir, log } = this.#deps;
    const path = join(dir, FILE);
    try {
      return parseRecord(readFileSync(path, "utf8"));
    } catch (error) {
      // No file is no record: the usual case.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) log.warn("record of addresses not read", { path, error: messageOf(error) });
      return new Map();
    }
  }
}

/** `3 2001:db8::10/128`: index of the link, address, prefix. */
function keyOf({ linkIndex, address, prefix }: AddressId): string {
  return `${linkIndex} ${address}/${prefix}`;
}

function parseRecord(text: string): Map<string, number> {
  const value: unknown = JSON.parse(text);
  if (!isObject(value) || value["version"] !== VERSION || !isObject(value["addresses"])) throw new Error(`not a record of version ${VERSION}`);
  return new Map(
    Object.entries(value["addresses"]).map(([key, mark]) => {
      const address = /^\d+ ([^/]+)\/\d+$/.exec(key)?.[1];
      if (address === undefined || parseIp(address) !== address || !isMark(mark)) throw new Error(`not an address of a record: ${key}`);
      return [key, mark];
    }),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function isMark(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value < 256;
}
