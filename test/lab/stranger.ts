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
    readonly mac: string,
  ) {}

  static async of(lab: Lab): Promise<Stranger> {
    return new Stranger(lab, await lab.mac(ROUTER_NS));
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
    const task = { ifindex: link?.ifindex, mac: this.mac, claims, everyMs, answerAll };
    const program = await this.lab.spawnProgram(ROUTER_NS, "stranger", [JSON.stringify(task)]);
    await program.waitFor(/^ready$/);
    return program;
  }

  async #address(verb: "add" | "del", address: string): Promise<void> {
    const [prefix, ...more] = address.includes(":") ? [128, ...(verb === "add" ? ["nodad"] : [])] : [32];
    await this.lab.exec(ROUTER_NS, ["ip", "addr", verb, `${address}/${prefix}`, "dev", "eth0", ...more.map(String)]);
  }
}
