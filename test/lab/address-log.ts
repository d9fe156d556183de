import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";
import { waitFor } from "./wait.js";

/** Something that happened to an address of a node; `at` by the machine's monotonic clock (`lab.now()`). */
export interface AddressChange {
  readonly node: string;
  readonly address: string;
  readonly what: "added" | "removed";
  readonly at: number;
}

/** Writes down, on every node, which addresses come and go, as `ip monitor` sees it. */
export class AddressLog implements AsyncDisposable {
  private constructor(private readonly monitors: ReadonlyMap<string, LabProcess>) {}

  static async start(lab: Lab): Promise<AddressLog> {
    const monitors = new Map<string, LabProcess>();
    for (const { name } of lab.nodes) {
      const monitor = await lab.spawn(name, ["ip", "-ts", "-o", "-4", "monitor", "address"], { name: `addresses-${name}` });
      monitors.set(name, monitor);
    }
    // The monitor says nothing when it is ready; an address of loopback that comes and goes does.
    for (const [node, monitor] of monitors) {
      await waitFor(
        async () => {
          await lab.exec(node, ["ip", "addr", "add", "127.9.9.9/32", "dev", "lo"], { mayFail: true });
          await lab.exec(node, ["ip", "addr", "del", "127.9.9.9/32", "dev", "lo"], { mayFail: true });
          return monitor.output().includes("127.9.9.9");
        },
        2000,
        `the address monitor of ${node}`,
      );
    }
    return new AddressLog(monitors);
  }

  /** What happened to an address of a node so far. An address that is set anew counts as added only where it was not there. */
  of(node: string, address: string, what: AddressChange["what"]): readonly AddressChange[] {
    const monitor = this.monitors.get(node);
    if (monitor === undefined) throw new Error(`no address log of ${node}`);
    let there: boolean | undefined;
    const found: AddressChange[] = [];
    for (const line of monitor.lines()) {
      const change = parse(node, line);
      if (change?.address !== address) continue;
      const news = change.what === "removed" || there === false || (there === undefined && node !== "");
      there = change.what === "added";
      if (news && change.what === what) found.push(change);
    }
    return found;
  }

  /** When that happened first; waits for it. */
  async when(node: string, address: string, what: AddressChange["what"]): Promise<number> {
    const [first] = await waitFor(() => this.of(node, address, what), 2000, `${address} ${what} on ${node}`);
    if (first === undefined) throw new Error(`${address} was not ${what} on ${node}`);
    return first.at;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const monitor of this.monitors.values()) await monitor.stop("SIGKILL");
  }
}

/** `[2026-01-02T03:04:05.123456] Deleted 2: eth0    inet 10.77.0.200/32 scope host ...` */
function parse(node: string, line: string): AddressChange | undefined {
  const match = /^\[(\S+?)\]\s*(Deleted )?.*\binet ([0-9.]+)(?:\/\d+)? /.exec(line);
  const [, stamp, deleted, address] = match ?? [];
  if (stamp === undefined || address === undefined) return undefined;
  // ip prints the wall clock in local time; both clocks of this machine are read here, so their difference is exact enough.
  const offset = Number(process.hrtime.bigint()) / 1e6 - Date.now();
  return { node, address, what: deleted === undefined ? "added" : "removed", at: new Date(stamp).getTime() + offset };
}
