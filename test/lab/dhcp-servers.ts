import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";
import { ROUTER_NS } from "./topology.js";

/** What a DHCP server gives, and for how long. */
export interface DhcpOptions {
  /** First and last address. Default 10.77.0.150 to 10.77.0.199, where the pods serve. */
  readonly range?: readonly [first: string, last: string];
  /** Lease time; dnsmasq makes at least 120 of it. Default 120. */
  readonly seconds?: number;
  /** More lines of its configuration. */
  readonly more?: readonly string[];
  /** Keep the leases of the server before. Default false. */
  readonly keepLeases?: boolean;
  /** Where it serves. Default: the namespace of the router. */
  readonly ns?: string;
}

/** A dnsmasq, in the namespace of the router (10.77.0.1) where nothing else is said. */
export class Dnsmasq {
  private constructor(
    readonly process: LabProcess,
    private readonly leaseFile: string,
  ) {}

  /** Resolves when it serves. */
  static async start(lab: Lab, { range: [first, last] = ["10.77.0.150", "10.77.0.199"], seconds = 120, more = [], keepLeases = false, ns = ROUTER_NS }: DhcpOptions = {}): Promise<Dnsmasq> {
    const leases = join(lab.dir, "dnsmasq.leases");
    if (!keepLeases) await lab.exec(ROUTER_NS, ["rm", "-f", leases]);
    const args = ["port=0", "interface=eth0", "bind-interfaces", "no-ping", "dhcp-authoritative", `dhcp-leasefile=${leases}`, "log-dhcp", "log-facility=-", "user=root", "no-resolv", "no-hosts", `dhcp-range=${first},${last},255.255.255.0,${seconds}`, "dhcp-option=3,10.77.0.1", ...more];
    const started = await lab.spawn(ns, ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", ...args.map((arg) => `--${arg}`)], { name: "dnsmasq" });
    await started.waitFor(/DHCP, sockets bound|DHCP, IP range/);
    return new Dnsmasq(started, leases);
  }

  /** The messages that it has seen and sent: `DHCPREQUEST 10.77.0.150 02:…`, in order. */
  messages(): readonly string[] {
    return this.process.lines().flatMap((line) => /(DHCP[A-Z]+)\(eth0\) (.*)$/.exec(line)?.slice(1).join(" ").trim() ?? []);
  }

  /** Waits until it has written a line that matches. */
  async logged(what: RegExp, ms = 3000): Promise<string> {
    return await this.process.waitFor(what, ms);
  }

  /** Its leases by address: MAC, name, client id. */
  leases(): ReadonlyMap<string, { readonly mac: string; readonly hostname: string; readonly clientId: string }> {
    if (!existsSync(this.leaseFile)) return new Map();
    const rows = readFileSync(this.leaseFile, "utf8").split("\n").map((line) => line.split(" "));
    return new Map(rows.flatMap(([, mac = "", address = "", hostname = "", clientId = ""]) => (address === "" ? [] : [[address, { mac, hostname, clientId }]])));
  }

  async stop(): Promise<void> {
    await this.process.stop("SIGKILL");
  }
}

/** The macvlans of a node. */
export async function macvlans(lab: Lab, node: string): Promise<readonly { readonly name: string; readonly mac: string }[]> {
  const { stdout } = await lab.exec(node, ["ip", "-j", "-d", "link", "show", "type", "macvlan"]);
  const shown = JSON.parse(stdout === "" ? "[]" : stdout) as readonly { readonly ifname?: string; readonly address?: string }[];
  return shown.flatMap(({ ifname, address }) => (ifname === undefined ? [] : [{ name: ifname, mac: address ?? "" }]));
}
