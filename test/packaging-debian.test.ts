import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { ImageFile } from "../scripts/image-archive.mjs";
import { debianFiles } from "../scripts/image-debian.mjs";

// The first run fetches 4 MB from Debian into dist/cache; the lab, which has no network, finds them there.
let files: readonly ImageFile[] = [];
let refusal: string | undefined;
beforeAll(async () => {
  try {
    files = await debianFiles("x64");
  } catch (error) {
    if (!(error instanceof Error) || !/could not be fetched|to unpack Debian packages/.test(error.message)) throw error;
    refusal = error.message;
  }
}, 120_000);

describe("what Debian gives to the image", () => {
  test("is the loader where executables look for it, what Node is linked against, and the certificates", ({ skip }) => {
    skip(refusal !== undefined, refusal);
    const used = files.map(({ path }) => path).filter((path) => !/^(usr\/share\/doc|var\/lib\/dpkg\/status\.d)\/[^/]+(\/copyright)?$/.test(path));
    expect(used.toSorted()).toEqual([
      "etc/ssl/certs/ca-certificates.crt",
      ...["libatomic.so.1", "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "libstdc++.so.6"].map((name) => `lib/x86_64-linux-gnu/${name}`),
      "lib64/ld-linux-x86-64.so.2",
    ]);
    for (const { path, bytes } of files.filter((file) => /\.so/.test(file.path))) expect(bytes.subarray(0, 4), path).toEqual(Buffer.from("\x7fELF", "latin1"));
  });

  test("is accompanied by copyrights, and by records that tell a scanner the versions", ({ skip }) => {
    skip(refusal !== undefined, refusal);
    const record = files.find(({ path }) => path === "var/lib/dpkg/status.d/libc6");
    expect(record?.bytes.toString()).toMatch(/^Package: libc6\n(.*\n)*Version: 2\.41-/);
    const copyrights = files.map(({ path }) => path).filter((path) => path.endsWith("/copyright"));
    expect(copyrights.map((path) => basename(dirname(path))).toSorted()).toEqual(["ca-certificates", "gcc-14-base", "libc6"]);
  });

  test("has certificates of authorities, one after the other", ({ skip }) => {
    skip(refusal !== undefined, refusal);
    const pem = files.find(({ path }) => path === "etc/ssl/certs/ca-certificates.crt")?.bytes.toString() ?? "";
    const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
    expect(certificates.length).toBeGreaterThan(100);
    expect(certificates.join("")).toBe(pem);
    for (const one of certificates) expect(new X509Certificate(one).ca).toBe(true);
  });
});

test("a package that is not what is pinned is refused by name", () => {
  const cache = mkdtempSync(join(tmpdir(), "vip-cache-"));
  try {
    const bad = join(cache, "debian/libc6_2.41-12+deb13u4_amd64.deb");
    mkdirSync(dirname(bad), { recursive: true });
    writeFileSync(bad, "something else");
    const script = 'import("./scripts/image-debian.mjs").then(({ debianFiles }) => debianFiles("x64")).catch((error) => { console.log(error.message); })';
    const root = dirname(dirname(fileURLToPath(import.meta.url)));
    const said = execFileSync(process.execPath, ["-e", script], { cwd: root, env: { ...process.env, VIP_BUILD_CACHE: cache }, encoding: "utf8" });
    expect(said).toContain(`${bad} is not what is pinned (SHA-256 967aa62605721081c3eb2a17650611a792aa802d76a6511d1840242623d204c9). Remove it to fetch it again.`);
  } finally {
    rmSync(cache, { recursive: true });
  }
});
