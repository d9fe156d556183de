import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { run, type Finished } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import { Lab } from "./lab.js";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DIST = join(ROOT, "dist");
/** The lab has no network: test/packaging-debian.test.ts fetches what is not here yet. */
const fetched = existsSync(join(DIST, "cache/debian")) && readdirSync(join(DIST, "cache/debian")).some((name) => name.startsWith("libc6_") && name.endsWith("_amd64.deb"));

async function makeImage(out: string, env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  return await run([process.execPath, join(ROOT, "scripts/image.mjs"), "--no-build", "--arch", "x64", "--out", out], { env, mayFail: true, timeout: 60_000 });
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** The bytes that a descriptor refers to, which have its size and its digest. */
function blob(layout: string, { digest, size }: Descriptor): Buffer {
  const bytes = readFileSync(join(layout, "blobs", digest.replace(":", "/")));
  expect(bytes.length).toBe(size);
  expect(`sha256:${createHash("sha256").update(bytes).digest("hex")}`).toBe(digest);
  return bytes;
}

function json(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString());
}

interface Manifests {
  readonly manifests: readonly Descriptor[];
}

interface ImageConfig {
  readonly architecture: string;
  readonly config: { readonly Entrypoint: readonly string[]; readonly Labels: Readonly<Record<string, string>> };
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

/** Unpacks an archive as a container engine does, from the index down; returns the root of its container and its configuration. */
async function unpack(archive: string, dir: string): Promise<{ readonly root: string; readonly config: ImageConfig }> {
  const layout = join(dir, "layout");
  const root = join(dir, "root");
  for (const folder of [layout, root]) mkdirSync(folder, { recursive: true });
  await run(["tar", "-xf", archive, "-C", layout]);
  const outer = json(readFileSync(join(layout, "index.json"))) as Manifests;
  expect(outer.manifests.length).toBe(1);
  const index = json(blob(layout, outer.manifests[0] as Descriptor)) as Manifests;
  const manifest = json(blob(layout, index.manifests[0] as Descriptor)) as { readonly config: Descriptor; readonly layers: readonly Descriptor[] };
  const config = json(blob(layout, manifest.config)) as ImageConfig;
  expect(manifest.layers.length).toBe(config.rootfs.diff_ids.length);
  for (const [at, layer] of manifest.layers.entries()) {
    const file = join(dir, `layer-${at}.tar.gz`);
    writeFileSync(file, blob(layout, layer));
    const tar = join(dir, `layer-${at}.tar`);
    await run(["sh", "-c", 'gzip -dc "$1" > "$2"', "sh", file, tar]);
    expect(`sha256:${createHash("sha256").update(readFileSync(tar)).digest("hex")}`).toBe(config.rootfs.diff_ids[at]);
    await run(["tar", "-xf", tar, "-C", root]);
  }
  return { root, config };
}

describe.skipIf(!fetched)("the image (skipped where dist/cache has no Debian packages: `npm run image` fetches them)", () => {
  test("has a root that is all that a node needs to serve a Service", async () => {
    await using cluster = await Cluster.bare(1);
    const { lab, api } = cluster;
    const archive = join(lab.dir, "image.tar");
    expect(await makeImage(archive)).toMatchObject({ code: 0, stderr: "" });
    const { root, config } = await unpack(archive, lab.dir);
    const { version } = json(readFileSync(join(ROOT, "package.json"))) as { readonly version: string };
    expect(config).toMatchObject({ architecture: "amd64", config: { Entrypoint: ["/vip"], Labels: { "org.opencontainers.image.version": version } } });
    expect(readdirSync(root).toSorted()).toEqual(["etc", "lib", "lib64", "usr", "var", "vip"]);
    expect((await run(["chroot", root, "/vip", "version"])).stdout).toBe(`${version}\n`);

    writeFileSync(join(root, "admin.conf"), readFileSync(api.adminConf));
    const env = { vip_arp: "true", svc_enable: "true", vip_interface: "eth0", vip_nodename: "n1", k8s_config_file: "/admin.conf" };
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    const daemon = await lab.spawn("n1", ["chroot", root, ...config.config.Entrypoint, "start"], { name: "vip-image", env });
    await cluster.heldBy(VIP, 5000);
    expect(await daemon.stop("SIGTERM")).toEqual({ code: 0, signal: null });
  });
});

test("without network and without packages, the image is refused with what is missing and where a copy may be put", async () => {
  await using lab = await Lab.create({ nodes: 1 });
  const cache = join(lab.dir, "empty-cache");
  const refused = await makeImage(join(lab.dir, "image.tar"), { VIP_BUILD_CACHE: cache });
  expect(refused.code).toBe(1);
  const lines = refused.stderr.trim().split("\n");
  expect(lines[0]).toMatch(/^image: libc6_\S+\.deb could not be fetched; a copy at \S+\/empty-cache\/debian\/libc6_\S+\.deb \(SHA-256 [0-9a-f]{64}\) will do:$/);
  expect(lines.slice(1).map((line) => line.trim().split("/")[2])).toEqual(["deb.debian.org", "snapshot.debian.org"]);
});

interface Bill {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly components: readonly { readonly type: string; readonly "bom-ref": string; readonly name: string; readonly version: string; readonly purl: string; readonly licenses: readonly unknown[] }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

interface Package {
  readonly name?: string;
  readonly version?: string;
}

function packageIn(folder: string): Package {
  const file = join(ROOT, folder, "package.json");
  return existsSync(file) ? (json(readFileSync(file)) as Package) : {};
}

/** The nearest folder above a file with a package.json that has a version: some packages have others inside, which only say how files are read. */
function packageFolder(path: string): string {
  const folder = dirname(path);
  return folder === "." || packageIn(folder).version !== undefined ? folder : packageFolder(folder);
}

describe("beside dist/vip", () => {
  const bill = json(readFileSync(join(DIST, "vip.cdx.json"))) as Bill;

  test("the bill of materials has every package of which a file is in the bundle, and no other", () => {
    const { outputs } = json(readFileSync(join(DIST, "work/vip.meta.json"))) as { readonly outputs: Record<string, { readonly inputs: Record<string, { readonly bytesInOutput: number }> }> };
    const inputs = Object.values(outputs).flatMap((output) => Object.entries(output.inputs));
    const folders = new Set(inputs.filter(([path, { bytesInOutput }]) => bytesInOutput > 0 && path.startsWith("node_modules/")).map(([path]) => packageFolder(path)));
    expect(folders.size).toBeGreaterThan(5);
    const installed = [...folders].map(packageIn);
    const listed = bill.components.filter(({ purl }) => purl.startsWith("pkg:npm/"));
    expect(listed.map(({ name, version }) => `${name} ${version}`).toSorted()).toEqual(installed.map(({ name, version }) => `${name} ${version}`).toSorted());
    expect(bill.components.map(({ name }) => name)).toEqual(expect.arrayContaining(["node", "commander", "pino", "ip-address"]));
  });

  test("it is CycloneDX 1.5 in shape: known types, a license each, references that are unique and lead somewhere", () => {
    expect(bill).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5", version: 1, metadata: { component: { type: "application", name: "vip" } } });
    const refs = ["vip", ...bill.components.map((component) => component["bom-ref"])];
    expect(new Set(refs).size).toBe(refs.length);
    for (const component of bill.components) {
      expect(["library", "platform"], component.name).toContain(component.type);
      expect(component.licenses.length, component.name).toBeGreaterThan(0);
      expect(component.purl, component.name).toMatch(/^pkg:(npm|generic)\/(%40[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+$/);
    }
    expect(bill.dependencies.map(({ ref }) => ref).toSorted()).toEqual(refs.toSorted());
    for (const { dependsOn } of bill.dependencies) expect(refs).toEqual(expect.arrayContaining([...dependsOn]));
  });

  test("the license texts of all of them are there, and Node's", () => {
    const text = readFileSync(join(DIST, "THIRD_PARTY_LICENSES.txt"), "utf8");
    for (const { purl, name, version } of bill.components) if (purl.startsWith("pkg:npm/")) expect(text).toContain(`\n${name} ${version} (`);
    expect(text).toMatch(/\nnode-linux-x64 \d+\.\d+\.\d+ \(/);
    expect(text).toContain("Permission is hereby granted, free of charge");
  });

  test("sha256sum finds the checksums right, and the binary and its bill among them", async () => {
    const { stdout } = await run(["sh", "-c", 'cd "$1" && sha256sum --strict -c SHA256SUMS', "sh", DIST]);
    expect(stdout.split("\n")).toEqual(expect.arrayContaining(["vip: OK", "vip.cdx.json: OK", "THIRD_PARTY_LICENSES.txt: OK"]));
  });
});
