import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LabContext } from "./context.js";
import type { LabProcess } from "./process.js";
import { signalPid } from "./reap.js";

/** How keepalived holds an address. */
export interface KeepalivedOptions {
  readonly vip: string;
  readonly priority: number;
  /** VRRPv3 with 100 ms between advertisements; otherwise the default, VRRPv2 with 1 s. */
  readonly fast: boolean;
}

/** A running keepalived: two processes. */
export interface Keepalived extends AsyncDisposable {
  readonly process: LabProcess;
  /** kill -9 of both processes; the address stays on the interface. */
  crash(): Promise<void>;
  /** SIGTERM: it gives the address up with priority 0. */
  stop(): Promise<void>;
}

function config({ vip, priority, fast }: KeepalivedOptions, prefix: number): string {
  return [
    ...(fast ? ["global_defs {", "  vrrp_version 3", "}"] : []),
    "vrrp_instance VI {",
    "  state BACKUP",
    "  interface eth0",
    "  virtual_router_id 51",
    `  priority ${priority}`,
    ...(fast ? ["  advert_int 0.1"] : []),
    "  virtual_ipaddress {",
    `    ${vip}/${prefix} dev eth0`,
    "  }",
    "}",
    "",
  ].join("\n");
}

/** Starts keepalived on a node; the first to start or the one with the higher priority becomes master after 3 advertisements. */
export async function startKeepalived(lab: LabContext, node: string, options: KeepalivedOptions): Promise<Keepalived> {
  const dir = join(lab.dir, node);
  mkdirSync(dir, { recursive: true });
  const file = (name: string) => join(dir, name);
  writeFileSync(file("keepalived.conf"), config(options, options.vip.includes(":") ? 128 : 32), { mode: 0o600 });
  const argv = ["keepalived", "-n", "-l", "-P", "-f", file("keepalived.conf"), "-p", file("keepalived.pid"), "-r", file("vrrp.pid")];
  const daemon = await lab.spawn(node, argv, { name: `keepalived-${node}` });
  await daemon.waitFor(/Entering BACKUP STATE/i);
  const vrrp = (): number[] => readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, "utf8").split(" ").map(Number).filter((pid) => pid > 0);
  const crash = async () => {
    const children = daemon.ended ? [] : vrrp();
    daemon.kill("SIGKILL"); // the parent first, or it would start a new child
    for (const pid of children) signalPid(pid, "SIGKILL");
    await daemon.exited;
  };
  return {
    process: daemon,
    crash,
    async stop() {
      await daemon.stop("SIGTERM");
    },
    [Symbol.asyncDispose]: crash,
  };
}
