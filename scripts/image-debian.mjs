// The Debian packages whose libraries and certificates go into the image: pinned, fetched, unpacked without dpkg. Plain JavaScript without dependencies.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { cache } from "./node-binary.mjs";
import { hasProgram, PrepareError, say } from "./prepare.mjs";

const APT_HELPER = "/usr/lib/apt/apt-helper";
// deb.debian.org forgets a version when its successor is there, the archive of snapshots never does.
const MIRRORS = [(path) => `http://deb.debian.org/${path}`, (path) => `http://snapshot.debian.org/archive/${path.replace("/", "/20261121T000000Z/")}`];

/** The release of Debian that the packages are of. */
export const DEBIAN = { version: "13", codename: "trixie" };

const GCC = "debian/pool/main/g/gcc-14";
const GLIBC = "debian/pool/main/g/glibc";

/** Path below a mirror, SHA-256. To bump: `apt-get download --print-uris NAME:ARCH` on that release prints both. */
const COMMON = [
  ["debian-security/pool/updates/main/c/ca-certificates/ca-certificates_20250419+deb13u1_all.deb", "c10585ac22c7f617a73d394eea29ba71d0356f350ae973b19043d1b017f80f54"],
];
const PACKAGES = {
  x64: [
    [`${GLIBC}/libc6_2.41-12+deb13u4_amd64.deb`, "967aa62605721081c3eb2a17650611a792aa802d76a6511d1840242623d204c9"],
    [`${GCC}/libstdc++6_14.2.0-19_amd64.deb`, "ab1fa05837aa7a92aae748fd07a18a35f7d18bb4a71c4724fe2bbf0e32089de0"],
    [`${GCC}/libgcc-s1_14.2.0-19_amd64.deb`, "3c71917b490d1a17aed43196a2787a256ecf060526cdb20216a74bedc061b150"],
    [`${GCC}/libatomic1_14.2.0-19_amd64.deb`, "212b399aae2f7299203d261a57e49372e09565a9a5ea971905f94a3960366c05"],
    [`${GCC}/gcc-14-base_14.2.0-19_amd64.deb`, "5b6825de4263824b78c4c51f6476414f3b4e89c2ab63e81dc8b9b5501e867cf6"],
  ],
  arm64: [
    [`${GLIBC}/libc6_2.41-12+deb13u4_arm64.deb`, "8784eda966b189c777a384dac5ce009e8fc9b52d006926c5a013e7fa8aa688cc"],
    [`${GCC}/libstdc++6_14.2.0-19_arm64.deb`, "6669b0c52a2e7c6af9adfdabce3ff6e286065cdfbc7b85280862b5f799daebee"],
    [`${GCC}/libgcc-s1_14.2.0-19_arm64.deb`, "1108bc87879833d6d9a145f22a4a15cddb34e065b4b5f4b97bee586adbac2851"],
    [`${GCC}/libatomic1_14.2.0-19_arm64.deb`, "7ccff90234484bf21ae5ecb79d25b6a84b2f4038f65dd139085b2e3a937cd8dc"],
    [`${GCC}/gcc-14-base_14.2.0-19_arm64.deb`, "34ee90679b018c0e64234747a4c4c0ae6b7f63541115037465a8627c2dfbc594"],
  ],
};

/** Where an executable looks for its loader (ELF PT_INTERP), and the folder in which the loader looks for the rest. */
const LOADERS = {
  x64: { loader: "lib64/ld-linux-x86-64.so.2", folder: "lib/x86_64-linux-gnu" },
  arm64: { loader: "lib/ld-linux-aarch64.so.1", folder: "lib/aarch64-linux-gnu" },
};
/** What Node is linked against, beside the loader. */
const LIBRARIES = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1", "libatomic.so.1"];

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Fetches one address into a file, with apt's own client where there is one: it knows the proxy of this machine. Returns what went wrong, or nothing. */
async function fetchTo(url, file) {
  if (existsSync(APT_HELPER)) {
    const done = spawnSync(APT_HELPER, ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=0", "download-file", url, file], { encoding: "utf8" });
    if (done.status === 0) return undefined;
    return (done.stderr ?? String(done.error)).split("\n").find((line) => line.startsWith("E:")) ?? `apt-helper ended with ${done.status}`;
  }
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
    if (!response.ok) return `HTTP ${response.status}`;
    writeFileSync(file, Buffer.from(await response.arrayBuffer()));
    return undefined;
  } catch (error) {
    return error.cause?.message ?? error.message;
  }
}

/** Fetches a package unless a copy is there; returns the path of the checked file. */
async function fetchPackage([path, expected]) {
  const file = join(cache, "debian", basename(path));
  const faults = [];
  for (const mirror of existsSync(file) ? [] : MIRRORS) {
    const part = `${file}.${process.pid}`;
    mkdirSync(dirname(file), { recursive: true });
    const fault = await fetchTo(mirror(path), part);
    if (fault === undefined && sha256(readFileSync(part)) === expected) {
      renameSync(part, file);
      break;
    }
    rmSync(part, { force: true });
    faults.push(`  ${mirror(path)}: ${fault ?? "not the file whose SHA-256 is pinned"}`);
  }
  if (!existsSync(file)) throw new PrepareError(`image: ${basename(path)} could not be fetched; a copy at ${file} (SHA-256 ${expected}) will do:\n${faults.join("\n")}`);
  if (sha256(readFileSync(file)) !== expected) throw new PrepareError(`image: ${file} is not what is pinned (SHA-256 ${expected}). Remove it to fetch it again.`);
  return file;
}

/** The members of an ar(1) archive, which is what a .deb is: a map from name to bytes. */
function membersOf(archive) {
  const members = new Map();
  for (let at = 8; at + 60 <= archive.length; ) {
    const name = archive.toString("latin1", at, at + 16).trimEnd().replace(/\/$/, "");
    const size = Number(archive.toString("latin1", at + 48, at + 58));
    members.set(name, archive.subarray(at + 60, at + 60 + size));
    at += 60 + size + (size % 2); // members begin at even offsets
  }
  return members;
}

/** Unpacks a .deb with tar: its files to DIR/data, what dpkg would record of it to DIR/control. */
function unpack(file, dir) {
  for (const [name, bytes] of membersOf(readFileSync(file))) {
    const [, part] = /^(data|control)\.tar/.exec(name) ?? [];
    if (part === undefined) continue;
    const tarball = join(dir, name);
    mkdirSync(join(dir, part), { recursive: true });
    writeFileSync(tarball, bytes);
    execFileSync("tar", ["-xf", tarball, "--no-same-owner", "-C", join(dir, part)], { stdio: ["ignore", "ignore", "inherit"] });
    rmSync(tarball);
  }
}

/** Certificates as one PEM file, in the order of their names. */
function certificateBundle(data) {
  const dir = join(data, "usr/share/ca-certificates/mozilla");
  const names = readdirSync(dir).filter((name) => name.endsWith(".crt")).sort();
  if (names.length === 0) throw new Error("image: no certificates in the package ca-certificates");
  return Buffer.concat(names.map((name) => readFileSync(join(dir, name))));
}

/** A library may lie in /lib or in /usr/lib: releases differ. */
function library(data, path) {
  const found = [join(data, path), join(data, "usr", path)].find((one) => existsSync(one));
  return found === undefined ? undefined : readFileSync(found);
}

/** The files of one unpacked package that go into the image: [path, bytes, executable?]. */
function filesOf(dir, arch) {
  const data = join(dir, "data");
  const control = readFileSync(join(dir, "control/control"));
  const [, name] = /^Package: (\S+)$/m.exec(control.toString()) ?? [];
  const { loader, folder } = LOADERS[arch];
  const files = [[`var/lib/dpkg/status.d/${name}`, control]]; // where scanners of images look for what is installed
  const copyright = join(data, "usr/share/doc", name, "copyright");
  if (existsSync(copyright)) files.push([`usr/share/doc/${name}/copyright`, readFileSync(copyright)]);
  for (const path of LIBRARIES.map((one) => `${folder}/${one}`)) {
    const bytes = library(data, path);
    if (bytes !== undefined) files.push([path, bytes]);
  }
  // In the package the loader's own file is in the folder of the libraries; the path that executables name leads to it.
  const loaderBytes = library(data, `${folder}/${basename(loader)}`);
  if (loaderBytes !== undefined) files.push([loader, loaderBytes, true]);
  if (name === "ca-certificates") files.push(["etc/ssl/certs/ca-certificates.crt", certificateBundle(data)]);
  return files;
}

/** All files from Debian for `arch`, as a list of { path, bytes, executable }. Throws PrepareError where a package cannot be had. */
export async function debianFiles(arch) {
  const missing = ["tar", "xz"].filter((program) => !hasProgram(program));
  if (missing.length > 0) throw new PrepareError(`image: needs ${missing.join(" and ")} to unpack Debian packages (Debian: tar, xz-utils).`);
  const pinned = [...PACKAGES[arch], ...COMMON];
  if (pinned.some(([path]) => !existsSync(join(cache, "debian", basename(path))))) say(`fetching Debian packages for ${arch}`);
  const files = [];
  for (const one of pinned) {
    const file = await fetchPackage(one);
    const dir = mkdtempSync(join(cache, "unpack-"));
    try {
      unpack(file, dir);
      files.push(...filesOf(dir, arch));
    } finally {
      rmSync(dir, { recursive: true });
    }
  }
  const absent = [...LIBRARIES, basename(LOADERS[arch].loader)].filter((name) => !files.some(([path]) => basename(path) === name));
  if (absent.length > 0) throw new Error(`image: no pinned package has ${absent.join(", ")}`);
  return files.map(([path, bytes, executable = false]) => ({ path, bytes, executable }));
}

const EMULATORS = { arm64: ["qemu-aarch64-static", "qemu-aarch64"] };

/** Runs a foreign executable under qemu with the libraries of the image: { emulator, output }, or { reason } where that is not possible here. */
export async function runForeign(arch, file, args) {
  const emulator = EMULATORS[arch]?.find(hasProgram);
  if (emulator === undefined) return { reason: `${EMULATORS[arch]?.join(" or ")} is not installed, Debian: qemu-user-static` };
  const sysroot = mkdtempSync(join(cache, "sysroot-"));
  try {
    for (const { path, bytes, executable } of await debianFiles(arch)) {
      mkdirSync(join(sysroot, dirname(path)), { recursive: true });
      writeFileSync(join(sysroot, path), bytes, { mode: executable ? 0o755 : 0o644 });
    }
    return { emulator, output: execFileSync(emulator, ["-L", sysroot, file, ...args], { encoding: "utf8" }) };
  } catch (error) {
    if (error instanceof PrepareError) return { reason: error.message };
    throw error;
  } finally {
    rmSync(sysroot, { recursive: true });
  }
}
