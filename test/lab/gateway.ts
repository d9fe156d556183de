import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.js";
import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";
import type { NatUpnpMapping } from "./programs/nat-upnp.js";
import { ROUTER_NS } from "./topology.js";

/** A host behind the router, on its outside: 198.51.100.2. */
export const INTERNET_NS = "lab-inet";
/** The router's address on the outside. */
export const OUTSIDE = "198.51.100.1";
/**
 * What the router says is its address: of those that are for documentation or private it would say that no port can be opened. It is only told, the rules match
 * the link.
 */
export const TOLD = "192.0.3.1";

/** How the router's miniupnpd is configured. */
export interface GatewayOptions {
  /** A mapping may only lead to who asks for it, as routers have it by default. Default true. */
  readonly secure?: boolean;
  /** Speak version 1 of InternetGatewayDevice only. Default false: version 2. */
  readonly igd1?: boolean;
  /** Default 192.0.3.1. */
  readonly told?: string;
  /** What it speaks: UPnP by default, or PCP with NAT-PMP, or NAT-PMP alone. */
  readonly speaks?: "upnp" | "pcp" | "nat-pmp";
  /** Whether it hears PCP of IPv6, which miniupnpd does whatever it speaks. Default true. */
  readonly pcpOfIpv6?: boolean;
}

/** A mapping as the router's own list has it. */
export interface ListedMapping {
  readonly protocol: "TCP" | "UDP";
  readonly externalPort: number;
  /** `10.77.0.200:80`. */
  readonly target: string;
  readonly leaseSeconds: number;
}

const RULES = `table inet igd {}
delete table inet igd
table inet igd {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "eth0" accept
    jump miniupnpd
  }
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain prerouting {
    type nat hook prerouting priority -100;
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    jump postrouting_miniupnpd
    oifname "wan0" masquerade
  }
}
`;

const INPUT = "add chain inet igd input { type filter hook input priority 0; }\n";
/** As a router that passes over what is newer than NAT-PMP: the first octet of a datagram is its version. */
const NO_PCP = "add rule inet igd input udp dport 5351 @th,64,8 2 drop\n";
const NO_PCP_OF_IPV6 = "add rule inet igd input meta nfproto ipv6 udp dport 5351 drop\n";

/** The lab's router as a gateway to an Internet of one host, with miniupnpd. */
export class LabGateway {
  #daemon: LabProcess | undefined;

  private constructor(
    private readonly lab: Lab,
    private readonly options: GatewayOptions,
  ) {}

  /** Makes the way out; no daemon runs yet. */
  static async create(lab: Lab, options: GatewayOptions = {}): Promise<LabGateway> {
    await run(["ip", "netns", "add", INTERNET_NS]);
    await lab.exec(ROUTER_NS, ["ip", "-batch", "-"], { input: [`link add wan0 type veth peer name eth0 netns ${INTERNET_NS}`, `addr add ${OUTSIDE}/24 dev wan0`, "addr add fd98::1/64 dev wan0 nodad", "link set wan0 up"].join("\n") });
    await lab.exec(INTERNET_NS, ["ip", "-batch", "-"], { input: ["link set lo up", "addr add 198.51.100.2/24 dev eth0", "addr add fd98::2/64 dev eth0 nodad", "link set eth0 up", "route add fd77::/64 via fd98::1"].join("\n") });
    return new LabGateway(lab, options);
  }

  get daemon(): LabProcess {
    if (this.#daemon === undefined) throw new Error("the gateway was not started");
    return this.#daemon;
  }

  /** Starts miniupnpd with no mappings, as after a restart of the router; `changed`: other options from now on. */
  async start(changed: GatewayOptions = {}): Promise<void> {
    const options = { ...this.options, ...changed };
    const dir = join(this.lab.dir, "gateway");
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "leases"), "");
    writeFileSync(join(dir, "igd.conf"), config(dir, options));
    await this.lab.exec(ROUTER_NS, ["nft", "-f", "-"], { input: `${RULES}${INPUT}${options.speaks === "nat-pmp" ? NO_PCP : ""}${options.pcpOfIpv6 === false ? NO_PCP_OF_IPV6 : ""}` });
    const daemon = await this.lab.spawn(ROUTER_NS, ["miniupnpd", "-d", "-f", join(dir, "igd.conf"), "-P", join(dir, "pid")], { name: "miniupnpd" });
    this.#daemon = daemon;
    await daemon.waitFor(options.speaks === undefined || options.speaks === "upnp" ? /HTTP listening on port/ : /[Ll]istening for NAT-PMP\/PCP/);
  }

  /** What the router has, by its own file of leases. */
  leases(): readonly string[] {
    return readFileSync(join(this.lab.dir, "gateway", "leases"), "utf8").split("\n").filter((line) => line !== "");
  }

  /** What upnpc lists, by port: an independent reader. */
  async listed(from = "client"): Promise<readonly ListedMapping[]> {
    const { stdout } = await this.lab.exec(from, ["upnpc", "-u", "http://10.77.0.1:5000/rootDesc.xml", "-l"], { mayFail: true });
    const mappings = [...stdout.matchAll(/^\s*\d+ (TCP|UDP)\s+(\d+)->(\S+)\s+'.*' '.*' (\d+)$/gm)].map(([, protocol, port, target, lease]): ListedMapping => ({
      protocol: protocol === "UDP" ? "UDP" : "TCP",
      externalPort: Number(port),
      target: target ?? "",
      leaseSeconds: Number(lease),
    }));
    return mappings.toSorted((a, b) => a.externalPort - b.externalPort);
  }

  /** What the package `nat-upnp` finds and lists, by port, asked from a host of the LAN: a reader that is not miniupnpd's own. It knows IGD 1 only. */
  async listedByNatUpnp(): Promise<readonly NatUpnpMapping[]> {
    const { stdout } = await this.lab.exec("client", [process.execPath, "--no-deprecation", this.lab.built("lab/nat-upnp.mjs")]);
    return (JSON.parse(stdout) as readonly NatUpnpMapping[]).toSorted((a, b) => a.public.port - b.public.port);
  }

  /** IPv6 addresses and ports that the router's firewall lets through, by its rules: an independent reader. nft shows what miniupnpd made as raw octets. */
  async pinholes(): Promise<readonly string[]> {
    const { stdout } = await this.lab.exec(ROUTER_NS, ["nft", "list", "chain", "inet", "igd", "miniupnpd"]);
    return [...stdout.matchAll(/dport (\d+) @nh,192,128 0x([\da-f]+) .*accept/g)].map(([, port = "", octets = ""]) => `${new URL(`http://[${octets.padStart(32, "0").match(/.{4}/g)?.join(":") ?? ""}]/`).hostname}:${port}`);
  }

  /** Who answers HTTP at this port of the router's outside (or of `host`), asked from the Internet; undefined when nobody does within a second. */
  async answering(port: number, host = OUTSIDE): Promise<string | undefined> {
    const { code, stdout } = await this.lab.exec(INTERNET_NS, ["curl", "-s", "-m", "1", `http://${host}:${port}/`], { mayFail: true });
    return code === 0 ? stdout.trim() : undefined;
  }
}

function config(dir: string, { secure = true, igd1 = false, told = TOLD, speaks = "upnp" }: GatewayOptions): string {
  const lines = {
    ext_ifname: "wan0",
    listening_ip: "eth0",
    http_port: 5000,
    ext_ip: told,
    secure_mode: secure ? "yes" : "no",
    enable_upnp: speaks === "upnp" ? "yes" : "no",
    enable_natpmp: speaks === "upnp" ? "no" : "yes",
    force_igd_desc_v1: igd1 ? "yes" : "no",
    upnp_table_name: "igd",
    upnp_nat_table_name: "igd",
    upnp_forward_chain: "miniupnpd",
    upnp_nat_chain: "prerouting_miniupnpd",
    upnp_nat_postrouting_chain: "postrouting_miniupnpd",
    lease_file: join(dir, "leases"),
    min_lifetime: 5,
    notify_interval: 60,
    uuid: "4d6e7b3c-8a77-4c5b-9c0e-2f1f6a1d0a77",
  };
  return `${Object.entries(lines).map(([key, value]) => `${key}=${value}`).join("\n")}\nallow 1-65535 10.77.0.0/24 1-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n`;
}
