// npm run demo: a cluster in network namespaces, a Service with a virtual IP address, a crash and a planned hand-over, to look at.
// `npm run demo -- --keep` leaves it running, with a kubeconfig. Plain JavaScript without dependencies, for Node 18 and later.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRoot, labRefusal, labWrapper, nodePath, PrepareError, preparePackages, prepareSystem, root, run, toolEnv } from "./prepare.mjs";

const USAGE = `usage: npm run demo [-- --keep]

Shows how a Service of type LoadBalancer gets a virtual IP address, and what happens when its owner crashes or is shut down.
Everything runs in namespaces of its own on this machine and is gone afterwards. Takes less than a minute; needs root on Linux.

  --keep   leave the cluster running until Ctrl-C, and print how to reach it with kubectl`;

async function prepare() {
  if (process.platform !== "linux") throw new PrepareError(`The demo needs Linux, this is ${process.platform}.`);
  if (!isRoot()) throw new PrepareError("The demo needs root, for its network namespaces: sudo npm run demo");
  await prepareSystem();
  const refusal = labRefusal();
  if (refusal !== undefined) throw new PrepareError(`The demo cannot run here: ${refusal}.`);
  await preparePackages();
  const code = await run(nodePath(), ["build.mjs"], { env: toolEnv() });
  if (code !== 0) throw new PrepareError(`The build failed (exit ${code}); it says why above.`);
}

/** A folder that is removed even when this process is killed: a shell waits for the end of a pipe from us. */
function sharedFolder() {
  const dir = mkdtempSync(join(tmpdir(), "vip-demo-"));
  const script = 'trap "" INT TERM HUP; cat >/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$0" 2>/dev/null && exit; sleep 0.3; done';
  const sweeper = spawn("sh", ["-c", script, dir], { stdio: ["pipe", "ignore", "ignore"], detached: true, cwd: "/" });
  sweeper.unref();
  sweeper.stdin.unref();
  return dir;
}

/** A socket of this network that the inner program takes over: a namespace is no hindrance to one that is open. */
async function apiSocket() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once("error", reject).listen({ port: 0, host: "127.0.0.1" }, resolve));
  return server;
}

/** The first child of a process, by its number here. */
function childOf(parent) {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent) return Number(name);
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return undefined;
}

async function innerPid(unshare) {
  for (let tries = 0; tries < 200; tries += 1) {
    const pid = childOf(unshare);
    if (pid !== undefined) return pid;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("the lab's namespaces have no process");
}

/** Runs the inner program in the lab wrapper; resolves with its exit code. Ctrl-C reaches it as the end of the channel, so that it can clean up. */
async function perform(keep) {
  const dir = sharedFolder();
  const inner = [nodePath(), "--disable-warning=ExperimentalWarning", join(root, "dist/lab/demo.mjs"), ...(keep ? ["--keep"] : [])];
  const [command, ...args] = labWrapper(inner);
  const child = spawn(command, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    detached: true, // a session of its own: the terminal's Ctrl-C would end the nodes before the program that looks after them
    env: toolEnv({ VIP_LAB: "1", TMPDIR: dir }),
  });
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
  const stop = () => {
    if (child.connected) child.disconnect();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
  if (keep) await handOver(child, dir);
  const code = await ended;
  if (process.stdout.isTTY) process.stdout.write("\x1b[?25h"); // the cursor, should the inner program have been killed
  rmSync(dir, { recursive: true, force: true });
  if (keep && code === 0) console.log("\nEverything is removed.");
  return code;
}

/** Sends what the inner program needs to keep the cluster reachable. It may have ended already: then its exit code tells. */
async function handOver(child, dir) {
  const server = await apiSocket();
  const pid = await innerPid(child.pid);
  if (child.connected) child.send({ pid, dir }, server, () => server.close());
  else server.close();
}

async function main() {
  const unknown = process.argv.slice(2).filter((argument) => argument !== "--keep");
  if (unknown.length > 0) {
    console.log(USAGE);
    return unknown.every((argument) => argument === "--help" || argument === "-h") ? 0 : 1;
  }
  await prepare();
  return await perform(process.argv.includes("--keep"));
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}
