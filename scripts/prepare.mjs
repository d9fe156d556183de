// What a fresh clone needs before it can be built and tested: npm packages, and on Debian the programs that the lab runs.
// Plain JavaScript without dependencies, for Node 18 and later.
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the project. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Binary that the lab or the build calls, and the Debian package that has it. */
const needed = [
  ["conntrack", "conntrack"],
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["ping", "iputils-ping"],
  ["curl", "curl"],
  ["openssl", "openssl"],
  ["ps", "procps"],
  ["unshare", "util-linux"],
  ["nsenter", "util-linux"],
  ["setpriv", "util-linux"],
  ["mount", "mount"],
  ["strip", "binutils"],
  ["keepalived", "keepalived"],
  ["bird", "bird2"],
  ["vtysh", "frr"],
  ["miniupnpd", "miniupnpd-nftables"],
  ["upnpc", "miniupnpc"],
  ["dnsmasq", "dnsmasq-base"],
  ["kea-dhcp4", "kea-dhcp4-server"],
  ["kea-dhcp6", "kea-dhcp6-server"],
  // It has dhcpd, too, a name that a package of npm has as well.
  ["dhcp-lease-list", "isc-dhcp-server"],
  ["udhcpd", "udhcpd"],
  ["gobgpd", "gobgpd"],
  ["bgpctl", "openbgpd"],
  ["exabgp", "exabgp"],
  ["tcpdump", "tcpdump"],
];

/** Wanted by some tests, which are skipped without them. */
const wanted = [["kubectl", "kubernetes-client"]];

/** A failure that the reader can do something about: printed without a stack. */
export class PrepareError extends Error {}

/** Says a line about what is being done. */
export function say(text) {
  console.log(`▸ ${text}`);
}

/** Says a line that nobody should miss, on stderr. */
export function shout(text) {
  console.error(`\n!!! ${text}\n`);
}

/** Whether a failure to prepare anything has to fail the whole run. */
export function inCi() {
  return process.env.CI === "true" || process.env.CI === "1";
}

/** Whether this process is root. */
export function isRoot() {
  return process.getuid?.() === 0;
}

function searchPath() {
  const dirs = (process.env.PATH ?? "").split(delimiter).filter((dir) => dir !== "");
  for (const dir of ["/usr/local/sbin", "/usr/sbin", "/sbin"]) if (!dirs.includes(dir)) dirs.push(dir);
  return dirs;
}

/** Whether a program with this name is on the PATH or in a system folder. */
export function hasProgram(name) {
  return searchPath().some((dir) => {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder: the next one is asked
    }
  });
}

/** The path of the toolchain's own Node, an optional dependency that exists per architecture. */
export function nodePath() {
  const path = join(root, `node_modules/node-linux-${process.arch}/bin/node`);
  if (existsSync(path)) return path;
  throw new PrepareError(
    `${path} is missing. The tests and the build run on the Node that comes with the package node-linux-${process.arch}; ` +
      `package.json has it for linux x64 only, this is ${process.platform} ${process.arch}.`,
  );
}

/** Environment for everything that is run: our own Node and the system folders are on the PATH. */
export function toolEnv(extra = {}) {
  const path = [dirname(nodePath()), join(root, "node_modules/.bin"), ...searchPath()].join(delimiter);
  return { ...process.env, PATH: path, ...extra };
}

/** Runs a command with its output shown; resolves with the exit code (a signal counts as 1). Ends with this process. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], ...options });
    const stop = (signal) => child.kill(signal);
    process.once("SIGTERM", stop).once("SIGINT", stop);
    const done = () => process.off("SIGTERM", stop).off("SIGINT", stop);
    child.once("error", (error) => {
      done();
      reject(error);
    });
    child.once("exit", (code, signal) => {
      done();
      resolve(signal === null ? (code ?? 1) : 1);
    });
  });
}

/** Whether what is installed is what the lock file names; a package that is optional may be missing. */
function sameAsLocked(installedFile, lockFile) {
  const installed = JSON.parse(readFileSync(installedFile, "utf8")).packages ?? {};
  const locked = JSON.parse(readFileSync(lockFile, "utf8")).packages ?? {};
  const same = (path) => installed[path]?.version === locked[path]?.version && installed[path]?.integrity === locked[path]?.integrity;
  const wanted = Object.keys(locked).filter((path) => path !== "" && (path in installed || !(locked[path].optional || locked[path].devOptional)));
  return wanted.every(same) && Object.keys(installed).every((path) => path in locked);
}

function packagesAreCurrent() {
  const installed = join(root, "node_modules/.package-lock.json");
  const lock = join(root, "package-lock.json");
  if (!existsSync(installed)) return false;
  // `npm ci` deletes node_modules, perhaps under a running editor or build: a lock file that git only wrote anew is no reason.
  return statSync(lock).mtimeMs <= statSync(installed).mtimeMs || sameAsLocked(installed, lock);
}

/** `npm ci` when node_modules is missing or older than the lock file. */
export async function preparePackages() {
  if (packagesAreCurrent()) return;
  say("npm ci");
  // `npm run` puts node_modules/.bin first, which `npm ci` deletes while it runs: it must not run on the Node in there.
  const path = searchPath().filter((dir) => !dir.includes("node_modules")).join(delimiter);
  const env = { ...process.env, PATH: path };
  const code = await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { env });
  if (code !== 0) throw new PrepareError(`npm ci failed (exit ${code}): either the npm registry is not reachable, or package-lock.json does not fit package.json; npm says which above.`);
}

/** The needed Debian packages of which a program is missing here. */
export function missingPackages() {
  return [...new Set(needed.filter(([program]) => !hasProgram(program)).map(([, name]) => name))];
}

/** What Debian's packages ask whether they may start their service (exit code 101: no). The lab starts its own, in namespaces. */
const servicePolicy = "/usr/sbin/policy-rc.d";

async function aptInstall(packages) {
  if (existsSync(servicePolicy)) return aptInstallAsAllowed(packages);
  writeFileSync(servicePolicy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return await aptInstallAsAllowed(packages);
  } finally {
    rmSync(servicePolicy);
  }
}

async function aptInstallAsAllowed(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", PATH: searchPath().join(delimiter) };
  const quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"];
  if ((await run("apt-get", ["update", ...quiet], { env })) !== 0) return false;
  return (await run("apt-get", ["install", "-y", "--no-install-recommends", ...quiet, ...packages], { env })) === 0;
}

async function prepareWanted() {
  const missing = wanted.filter(([program]) => !hasProgram(program));
  if (missing.length === 0) return;
  const names = missing.map(([, name]) => name);
  say(`apt-get install ${names.join(" ")} (optional)`);
  if (!(await aptInstall(names))) shout(`${names.join(", ")} could not be installed: tests that use ${missing.map(([program]) => program).join(", ")} are SKIPPED.`);
}

/** Installs the Debian packages that the lab needs and that are missing. */
export async function prepareSystem() {
  const missing = missingPackages();
  if (missing.length > 0) {
    const what = `the lab needs the Debian packages ${missing.join(", ")}`;
    if (!isRoot()) throw new PrepareError(`${what}: install them, or run this as root.`);
    if (!hasProgram("apt-get")) throw new PrepareError(`${what}, and there is no apt-get here: install them by hand.`);
    say(`apt-get install ${missing.join(" ")}`);
    if (!(await aptInstall(missing))) throw new PrepareError(`${what}, and apt-get could not install them: is the network reachable?`);
    const still = missingPackages();
    if (still.length > 0) throw new PrepareError(`apt-get ran, and programs of ${still.join(", ")} are still missing.`);
  }
  if (isRoot() && hasProgram("apt-get")) await prepareWanted();
}

/** What the lab runs in: namespaces of its own for mounts, processes and network, which end with it. */
export function labWrapper(command) {
  const script = [
    "set -e",
    "mkdir -p /run/netns /run/vip",
    "mount -t tmpfs lab-netns /run/netns",
    "mount -t tmpfs lab-vip /run/vip",
    // The shell stays as process 1 of the namespace: it reaps what loses its parent.
    'status=0; "$@" || status=$?; exit $status',
  ].join("\n");
  const unshare = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "lab"];
  return ["setpriv", "--pdeathsig", "KILL", ...unshare, ...command];
}

/** Says why the lab cannot run on this machine, or nothing when it can. */
export function labRefusal() {
  if (process.platform !== "linux") return `it needs Linux, this is ${process.platform}`;
  if (!isRoot()) return "it needs root";
  const [command, ...args] = labWrapper(["true"]);
  const tried = spawnSync(command, args, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8", env: { ...process.env, PATH: searchPath().join(delimiter) } });
  if (tried.status === 0) return undefined;
  return `namespaces cannot be made here (${(tried.stderr ?? String(tried.error)).trim()}); in a container it needs --privileged`;
}
