// dist/SHA256SUMS: the checksums of what can be handed on, in the format of sha256sum(1). Plain JavaScript without dependencies.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

const BUILT = ["vip", "vip-arm64", "vip-image.tar"];

/** The file that holds the hash of the sources of which DIST/NAME was built. */
export function stampOf(dist, name) {
  return join(dist, name === "vip" ? ".stamp" : `.stamp-${name}`);
}

/** Whether DIST/NAME is there and of the sources with this hash. */
export function isFresh(dist, name, hash) {
  return existsSync(stampOf(dist, name)) && readFileSync(stampOf(dist, name), "utf8") === hash && existsSync(join(dist, name));
}

/** SHA-256 of a file, in hexadecimal. */
export async function sha256Of(file) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** Writes DIST/SHA256SUMS over what is of the sources with this hash: something of older ones has no place beside it. */
export async function writeSums(dist, hash) {
  const names = [...BUILT.filter((name) => isFresh(dist, name, hash)), "vip.cdx.json", "THIRD_PARTY_LICENSES.txt"].filter((name) => existsSync(join(dist, name))).sort();
  const lines = await Promise.all(names.map(async (name) => `${await sha256Of(join(dist, name))}  ${name}\n`));
  writeFileSync(join(dist, "SHA256SUMS"), lines.join(""));
}
