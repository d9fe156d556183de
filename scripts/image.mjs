// npm run image [-- --out FILE] [--arch x64|arm64] [--no-build]: an OCI image archive with dist/vip, and dist/vip-arm64 where that is built, made without
// a container engine. Plain JavaScript without dependencies.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isFresh, stampOf, writeSums } from "./checksums.mjs";
import { archiveOf } from "./image-archive.mjs";
import { DEBIAN, debianFiles } from "./image-debian.mjs";
import { nodePath, PrepareError, preparePackages, root, run, say, toolEnv } from "./prepare.mjs";

const dist = join(root, "dist");
const NAME = "vip-image.tar";
const PACK = "--pack";

/** Users for those who look one up, name resolution as the C library should do it, and what scanners need to know whose packages these are. */
const TEXTS = {
  "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
  "etc/group": "root:x:0:\nnobody:x:65534:\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "etc/os-release": `PRETTY_NAME="vip on libraries of Debian ${DEBIAN.version}"\nNAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="${DEBIAN.version}"\nVERSION_CODENAME=${DEBIAN.codename}\n`,
};

function option(name) {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : process.argv[at + 1];
}

function labelsOf({ description, version, license }) {
  const labels = { title: "vip", description, version, licenses: license };
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [`org.opencontainers.image.${key}`, value]));
}

/** The layers for one architecture: the libraries, which seldom change, and the program upon them. */
async function layersOf(arch, binary) {
  const texts = Object.entries(TEXTS).map(([path, text]) => ({ path, bytes: Buffer.from(text), executable: false }));
  const licenses = { path: "usr/share/doc/vip/THIRD_PARTY_LICENSES.txt", bytes: readFileSync(join(dist, "THIRD_PARTY_LICENSES.txt")), executable: false };
  return [[...(await debianFiles(arch)), ...texts], [licenses, { path: "vip", bytes: readFileSync(binary), executable: true }]];
}

/** The executables that go in, all of the same sources: { arch, file }. `only` is the one architecture that was asked for, if one was. */
function binaries(hash, only) {
  const all = [
    { arch: "x64", name: "vip", how: "npm run build" },
    { arch: "arm64", name: "vip-arm64", how: "node build.mjs --arch arm64" },
  ];
  if (only !== undefined && all.every(({ arch }) => arch !== only)) throw new PrepareError(`image: --arch ${only}: expected ${all.map(({ arch }) => arch).join(" or ")}`);
  const found = [];
  for (const { arch, name, how } of all.filter((one) => only === undefined || one.arch === only)) {
    const fault = `dist/${name} is not there or of older sources (${how})`;
    if (isFresh(dist, name, hash)) found.push({ arch, file: join(dist, name) });
    else if (only !== undefined || name === "vip") throw new PrepareError(`image: ${fault}`);
    else say(`without ${arch}: ${fault}`);
  }
  return found;
}

/** Writes the archive; in dist it gets its stamp and its sum. */
async function pack(out) {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const hash = existsSync(stampOf(dist, "vip")) ? readFileSync(stampOf(dist, "vip"), "utf8") : "";
  const images = [];
  for (const { arch, file } of binaries(hash, option("--arch"))) images.push({ arch, layers: await layersOf(arch, file) });
  const config = { Entrypoint: ["/vip"], Cmd: ["start"], Env: ["PATH=/"], WorkingDir: "/" };
  const name = `localhost/vip:${manifest.version}`;
  const { archive, digest } = await archiveOf({ name, images, config, labels: labelsOf(manifest) });
  mkdirSync(dirname(out), { recursive: true });
  const part = `${out}.${process.pid}`;
  writeFileSync(part, archive);
  renameSync(part, out);
  if (out === join(dist, NAME)) {
    writeFileSync(stampOf(dist, NAME), hash);
    await writeSums(dist, hash);
  }
  console.log(`image: ${out}\nimage: ${name}, ${digest}, ${(archive.length / 1e6).toFixed(1)} MB`);
}

async function main() {
  const out = resolve(option("--out") ?? join(dist, NAME));
  if (process.argv.includes(PACK)) {
    await pack(out);
    return;
  }
  if (!process.argv.includes("--no-build")) {
    await preparePackages();
    if ((await run(nodePath(), ["build.mjs"], { env: toolEnv() })) !== 0) throw new PrepareError("image: the build failed.");
  }
  // On the toolchain's own Node: another one may compress differently, and the digest would be another.
  process.exitCode = await run(nodePath(), [fileURLToPath(import.meta.url), PACK, ...process.argv.slice(2)], { env: toolEnv() });
}

try {
  await main();
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
