import { connect } from "node:net";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";
import { ROUTER_NS } from "./topology.js";
import { waitFor } from "./wait.js";

/** Where the package of the distribution puts what takes commands about leases. */
const LEASE_COMMANDS = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/kea/hooks/libdhcp_lease_cmds.so`;

/** Seconds of T1, T2 and the end. */
export interface KeaTimes {
  readonly renew: number;
  readonly rebind: number;
  readonly valid: number;
}

/** What it gives, and where. */
export interface KeaOptions {
  /** Default 4. */
  readonly family?: 4 | 6;
  /** First and last address. Default 10.77.0.150 to 10.77.0.159, fd77::1:150 to fd77::1:159. */
  readonly range?: readonly [first: string, last: string];
  /** The namespace that it serves in. Default: that of the router. */
  readonly ns?: string;
}

/** A lease as Kea tells it. */
export interface KeaLease {
  readonly "ip-address": string;
  /** Of DHCPv4. */
  readonly "hw-address"?: string;
  readonly "client-id"?: string;
  /** Of DHCPv6. */
  readonly duid?: string;
  readonly hostname?: string;
  /** When it was last given or renewed, seconds since 1970. */
  readonly cltt: number;
  /** 0 given, 1 declined, 2 expired. */
  readonly state: number;
}

const RANGES = { 4: ["10.77.0.150", "10.77.0.159"], 6: ["fd77::1:150", "fd77::1:159"] } as const;

/** A Kea server of DHCPv4 or DHCPv6, whose leases are seconds long and are not kept when it ends. */
export class Kea {
  private constructor(
    readonly process: LabProcess,
    private readonly socket: string,
    private readonly family: 4 | 6,
  ) {}

  /** Resolves when it takes commands. */
  static async start(lab: Lab, times: KeaTimes, { family = 4, range = RANGES[family], ns = ROUTER_NS }: KeaOptions = {}): Promise<Kea> {
    const dir = join(lab.dir, `kea-${ns}`);
    mkdirSync(dir, { recursive: true });
    const file = (ending: string): string => join(dir, `kea${family}.${ending}`);
    rmSync(file("sock"), { force: true });
    writeFileSync(file("json"), JSON.stringify(configOf(family, { ...times, range, socket: file("sock") })));
    const started = await lab.spawn(ns, [`kea-dhcp${family}`, "-c", file("json")], { name: "kea", env: { KEA_LOCKFILE_DIR: dir, KEA_PIDFILE_DIR: dir } });
    const kea = new Kea(started, file("sock"), family);
    await waitFor(async () => existsSync(file("sock")) && (await kea.leases()), 5000, "Kea to take commands").catch((error: unknown) => {
      throw new Error(`${String(error)}\n${started.tail()}`);
    });
    return kea;
  }

  /** Its leases by address, without those that have ended. An empty map counts as an answer. */
  async leases(): Promise<ReadonlyMap<string, KeaLease>> {
    const { arguments: answer } = (await this.command(`lease${this.family}-get-all`)) as { readonly arguments?: { readonly leases: readonly KeaLease[] } };
    return new Map((answer?.leases ?? []).map((lease) => [lease["ip-address"], lease]));
  }

  /** One command of its control socket. */
  async command(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    return await new Promise((resolve, reject) => {
      let text = "";
      const link = connect(this.socket, () => link.end(JSON.stringify({ command, ...(args && { arguments: args }) })));
      link.on("data", (chunk) => (text += chunk.toString()));
      link.on("end", () => resolve(JSON.parse(text)));
      link.on("error", reject);
    });
  }

  async stop(): Promise<void> {
    await this.process.stop("SIGKILL");
  }
}

function configOf(family: 4 | 6, { renew, rebind, valid, range, socket }: KeaTimes & { readonly range: readonly [string, string]; readonly socket: string }): unknown {
  const common = {
    "control-socket": { "socket-type": "unix", "socket-name": socket },
    "lease-database": { type: "memfile", persist: false },
    "hooks-libraries": [{ library: LEASE_COMMANDS }],
    "renew-timer": renew,
    "rebind-timer": rebind,
    "valid-lifetime": valid,
  };
  const subnet = { id: 1, interface: "eth0", pools: [{ pool: range.join("-") }] };
  if (family === 4) {
    return { Dhcp4: { ...common, "interfaces-config": { interfaces: ["eth0"], "dhcp-socket-type": "raw" }, authoritative: true, subnet4: [{ ...subnet, subnet: "10.77.0.0/24" }] } };
  }
  // Without a name server that it may tell, it still writes the name down.
  return { Dhcp6: { ...common, "interfaces-config": { interfaces: ["eth0"] }, "server-id": { type: "LL", persist: false }, "preferred-lifetime": valid, subnet6: [{ ...subnet, subnet: "fd77::/64" }] } };
}
