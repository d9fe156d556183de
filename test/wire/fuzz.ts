import fc from "fast-check";

import { DecodeError } from "../../src/wire/reader.js";

const RUNS = { seed: 20261121, numRuns: 2000 } as const;

/** `decode` of anything, and of `samples` with a few octets changed and the end cut off, throws nothing but DecodeError. */
export function fuzzDecode(samples: readonly Uint8Array[], decode: (bytes: Uint8Array) => unknown): { readonly decoded: number } {
  let decoded = 0;
  const attempt = (bytes: Uint8Array): void => {
    try {
      decode(bytes);
      decoded += 1;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      if (error.offset < 0 || error.offset > bytes.length) throw new Error(`offset ${error.offset} of ${bytes.length}`, { cause: error });
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), attempt), RUNS);
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  const mutated = fc.tuple(fc.constantFrom(...samples), changes, fc.oneof(fc.constant(0), fc.nat(40))).map(([sample, edits, cut]) => {
    const bytes = sample.slice(0, Math.max(0, sample.length - cut));
    for (const [at, value] of edits) if (bytes.length > 0) bytes[at % bytes.length] = value;
    return bytes;
  });
  fc.assert(fc.property(mutated, attempt), RUNS);
  return { decoded };
}
