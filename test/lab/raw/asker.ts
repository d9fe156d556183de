import type { RoundBook } from "./rounds.js";

/** The books of all addresses by their bytes in hex. */
export type Books = ReadonlyMap<string, RoundBook>;

/** Asks in one protocol who has an address, so that every holder answers, and reads the answers. Nothing of `src/` is used: two witnesses. */
export interface Asker {
  readonly etherType: number;
  /** The frame that asks for this address. */
  request(vip: string): Buffer;
  /** Books a frame that came. */
  take(frame: Buffer, books: Books): void;
}

/** Who asks. */
export interface Self {
  readonly mac: Buffer;
  /** The address of the interface. */
  readonly ip: Buffer;
}
