import { readdirSync, readlinkSync, statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { run } from "./command.js";
import { TEST_IFACE } from "./topology.js";
import { waitFor } from "./wait.js";

const NETNS_DIR = "/run/netns";

/** The namespaces of labs that exist now. */
export function labNamespaces(): string[] {
  try {
    return readdirSync(NETNS_DIR).filter((name) => name.startsWith("lab-"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // `ip netns` makes the folder with the first namespace
    throw error;
  }
}

function netnsOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return ""; // it ended between the listing and the reading
  }
}

function isZombie(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === "";
  } catch {
    return true; // a zombie has no exe, and a process that is gone neither
  }
}

/** The processes that live in any of these namespaces, also those that were forked twice. */
export function processesIn(names: readonly string[]): number[] {
  const wanted = new Set(names.map((name) => `net:[${statSync(`${NETNS_DIR}/${name}`).ino}]`));
  const pids = readdirSync("/proc").map(Number).filter((pid) => pid > 0);
  return pids.filter((pid) => wanted.has(netnsOf(pid)) && !isZombie(pid));
}

/** Sends a signal; a process that is gone already is fine. */
export function signalPid(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Kills all that lives in the lab's namespaces and deletes these; fails when something stays. Returns what it found. */
export async function reap(): Promise<{ readonly namespaces: string[]; readonly pids: number[] }> {
  if (TEST_IFACE in networkInterfaces()) await run(["ip", "link", "del", TEST_IFACE]);
  const names = labNamespaces();
  if (names.length === 0) return { namespaces: [], pids: [] };
  const found = processesIn(names);
  await waitFor(() => {
    const alive = processesIn(names);
    for (const pid of alive) signalPid(pid, "SIGKILL"); // again each time: a killed process may have forked before
    return alive.length === 0 ? true : { ok: false, alive };
  }, 5_000, "the end of all processes of the lab");
  await run(["ip", "-batch", "-"], { input: names.map((name) => `netns del ${name}`).join("\n") });
  const left = labNamespaces();
  if (left.length > 0) throw new Error(`namespaces remain after the lab: ${left.join(", ")}`);
  return { namespaces: names, pids: found };
}
