import { readdirSync, readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, type Registry } from "prom-client";
import type { Clock } from "../ports/clock.js";

/** How often Node looks whether its loop is on time, ms. Ten wake-ups a second cost nothing that can be measured; a delay above this is always seen. */
const RESOLUTION_MS = 100;

/** Octets by the name in /proc/self/status. */
const MEMORY = { process_resident_memory_bytes: "VmRSS", vip_anonymous_memory_bytes: "RssAnon", process_virtual_memory_bytes: "VmSize" } as const;

/**
 * What Prometheus wants of every process (its own names), and how late the event loop is. Not prom-client's defaults: those wake the process a hundred times a
 * second to look at the loop.
 */
export function registerProcess(registry: Registry, clock: Pick<Clock, "wallTime">): Disposable {
  const startedAt = clock.wallTime() / 1000 - process.uptime();
  registry.registerMetric(
    new Counter({
      name: "process_cpu_seconds_total",
      help: "User and system time.",
      registers: [],
      collect() {
        // Somebody else counts.
        this.reset();
        this.inc(cpuSeconds());
      },
    }),
  );
  gauge(registry, "process_start_time_seconds", "When the process started, seconds since 1970.", () => startedAt);
  gauge(registry, "process_open_fds", "Open file descriptors.", () => readdirSync("/proc/self/fd").length);
  for (const [name, field] of Object.entries(MEMORY)) gauge(registry, name, `${field} of /proc/self/status.`, () => statusBytes(field));
  gauge(registry, "nodejs_heap_size_used_bytes", "Heap in use.", () => process.memoryUsage().heapUsed);
  return registerLoopDelay(registry);
}

function registerLoopDelay(registry: Registry): Disposable {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  const shown = new Gauge({
    name: "vip_loop_delay_seconds",
    help: "How late the event loop was, since the last time that this was read.",
    labelNames: ["quantile"],
    registers: [registry],
    collect: () => {
      const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000);
      shown.set({ quantile: "0.5" }, late(delays.percentile(50)));
      shown.set({ quantile: "0.99" }, late(delays.percentile(99)));
      shown.set({ quantile: "1" }, late(delays.max));
      delays.reset();
    },
  });
  return { [Symbol.dispose]: () => void delays.disable() };
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  registry.registerMetric(
    new Gauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(read());
      },
    }),
  );
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** 0 where the kernel does not say. */
function statusBytes(field: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/self/status", "utf8"));
  return Number(found?.[1] ?? 0) * 1024;
}
