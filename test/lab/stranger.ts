import { familyOf, parseIp } from "../../src/lib/ip.js";
import { BROADCAST_MAC, parseMac, type MacAddress } from "../../src/lib/mac.js";
import { ARP_REQUEST, encodeArp } from "../../src/wire/arp.js";
import { encodeNa, unsolicitedNa } from "../../src/wire/ndp.js";
import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";
import { ROUTER_NS } from "./topology.js";

/** What a host of the LAN that is no node does with frames. */
export interface StrangerOptions {
  /** Addresses that it announces as its own, again and again. Default none. */
  readonly claims?: readonly string[];
  /** From one announcement to the next, in ms. Default 1,000. */
  readonly everyMs?: number;
  /** Answer every ARP request. Default false. */
  readonly answerAll?: boolean;
}

/** A host of the LAN that is no node: the router's namespace. */
export class Stranger {
  private constructor(
    private readonly lab: Lab,
    readonly mac: MacAddress,
  ) {}

  static async of(lab: Lab): Promise<Stranger> {
    const mac = parseMac(await lab.mac(ROUTER_NS));
    if (mac === undefined) throw new Error("the router has no MAC");
    return new Stranger(lab, mac);
  }

  /** Its kernel has this address from now on, and says nothing of it unasked. */
  async take(address: string): Promise<void> {
    await this.#address("add", address);
  }

  /** Its kernel has this address no more. */
  async drop(address: string): Promise<void> {
    await this.#address("del", address);
  }

  /** Starts sending and answering frames. */
  async start({ claims = [], everyMs = 1000, answerAll = false }: StrangerOptions): Promise<LabProcess> {
    const shown = await this.lab.exec(ROUTER_NS, ["ip", "-j", "link", "show", "dev", "eth0"]);
    const [link] = JSON.parse(shown.stdout) as readonly { readonly ifindex: number }[];
    const frames = claims.map((address) => Buffer.from(claimOf(address, this.mac)).toString("hex"));
    const task = { ifindex: link?.ifindex, mac: this.mac, claims: frames, everyMs, answerAll };
    const program = await this.lab.spawnProgram(ROUTER_NS, "stranger", [JSON.stringify(task)]);
    await program.waitFor(/^ready$/);
    return program;
  }

  async #address(verb: "add" | "del", address: string): Promise<void> {
    const [prefix, ...more] = address.includes(":") ? [128, ...(verb === "add" ? ["nodad"] : [])] : [32];
    await this.lab.exec(ROUTER_NS, ["ip", "addr", verb, `${address}/${prefix}`, "dev", "eth0", ...more.map(String)]);
  }
}

/** Gratuitous ARP (RFC 5227 2.3), or an unsolicited Neighbor Advertisement (RFC 4861 7.2.6). */
function claimOf(text: string, mac: MacAddress): Uint8Array {
  const address = parseIp(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  if (familyOf(address) === 6) return encodeNa(unsolicitedNa(mac, address, { router: false }));
  const nobody = parseMac("00:00:00:00:00:00") ?? BROADCAST_MAC;
  return encodeArp({ destination: BROADCAST_MAC, source: mac, operation: ARP_REQUEST, senderMac: mac, senderIp: address, targetMac: nobody, targetIp: address });
}
