import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../../lab/wait.js";

/** USER_HZ: the unit of times in /proc/PID/stat, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** What a process used. */
export interface Usage {
  /** Memory of its own that is in RAM (RssAnon) at the end, MB. */
  readonly rssAnonMb: number;
  /** Shares of one core. System time is the kernel's on its behalf: in the lab also what all other hosts do with a packet that it sends. */
  readonly cpu: { readonly user: number; readonly system: number };
}

/** Memory that belongs to the process alone and is not backed by a file, in MB. */
export function rssAnonMb(pid: number): number {
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (found === null) throw new Error(`/proc/${pid}/status has no RssAnon`);
  return Number(found[1]) / 1024;
}

/** CPU time of all its threads since it started, in seconds. */
export function cpuSeconds(pid: number): { readonly user: number; readonly system: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // proc(5): the second field is a name in parentheses that may hold anything; fields 14 and 15 are utime and stime.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { user: Number(fields[11]) / TICKS_PER_SECOND, system: Number(fields[12]) / TICKS_PER_SECOND };
}

/** What these processes use while nothing is done to them. */
export async function usageOver(ms: number, pids: readonly number[]): Promise<readonly Usage[]> {
  const start = monotonicMs();
  const before = pids.map(cpuSeconds);
  await sleep(ms);
  const after = pids.map(cpuSeconds);
  const seconds = (monotonicMs() - start) / 1000;
  return pids.map((pid, at) => {
    const share = (kind: "user" | "system"): number => (((after[at]?.[kind] ?? 0) - (before[at]?.[kind] ?? 0)) / seconds) * 100;
    return { rssAnonMb: rssAnonMb(pid), cpu: { user: share("user"), system: share("system") } };
  });
}
