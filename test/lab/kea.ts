import { connect } from "node:net";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
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

/** What it gives. */
export interface KeaOptions {
  /** First and last address. Default 10.77.0.150 to 10.77.0.159. */
  readonly range?: readonly [first: string, last: string];
}

/** A lease as Kea tells it. */
export interface KeaLease {
  readonly "ip-address": string;
  readonly "hw-address": string;
  readonly "client-id"?: string;
  readonly hostname?: string;
  /** When it was last given or renewed, seconds since 1970. */
  readonly cltt: number;
}

/** A Kea DHCPv4 server in the namespace of the router, whose leases are seconds long and are not kept when it ends. */
export class Kea {
  private constructor(
    readonly process: LabProcess,
    private readonly socket: string,
  ) {}

  /** Resolves when it takes commands. */
  static async start(lab: Lab, { renew, rebind, valid }: KeaTimes, { range: [first, last] = ["10.77.0.150", "10.77.0.159"] }: KeaOptions = {}): Promise<Kea> {
    const dir = join(lab.dir, "kea");
    mkdirSync(dir, { recursive: true });
    const socket = join(dir, "kea4.sock");
    const config = {
      Dhcp4: {
        "interfaces-config": { interfaces: ["eth0"], "dhcp-socket-type": "raw" },
        "control-socket": { "socket-type": "unix", "socket-name": socket },
        "lease-database": { type: "memfile", persist: false },
        authoritative: true,
        "hooks-libraries": [{ library: LEASE_COMMANDS }],
        "renew-timer": renew,
        "rebind-timer": rebind,
        "valid-lifetime": valid,
        subnet4: [{ id: 1, subnet: "10.77.0.0/24", interface: "eth0", pools: [{ pool: `${first}-${last}` }] }],
      },
    };
    writeFileSync(join(dir, "kea4.json"), JSON.stringify(config));
    const started = await lab.spawn(ROUTER_NS, ["kea-dhcp4", "-c", join(dir, "kea4.json")], { name: "kea", env: { KEA_LOCKFILE_DIR: dir, KEA_PIDFILE_DIR: dir } });
    const kea = new Kea(started, socket);
    await waitFor(async () => existsSync(socket) && (await kea.leases()), 5000, "Kea to take commands").catch((error: unknown) => {
      throw new Error(`${String(error)}\n${started.tail()}`);
    });
    return kea;
  }

  /** Its leases by address. An empty map counts as an answer. */
  async leases(): Promise<ReadonlyMap<string, KeaLease>> {
    const { arguments: answer } = (await this.command("lease4-get-all")) as { readonly arguments?: { readonly leases: readonly KeaLease[] } };
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
