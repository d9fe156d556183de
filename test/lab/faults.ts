import { inNamespace, run } from "./command.js";
import { BRIDGE_NS, NETWORKS, portName, type NetworkName } from "./topology.js";

/** How a cable is cut. */
export interface CutOptions {
  /** Take the carrier away as well, as when the cable is pulled; otherwise the switch just stops forwarding. Default false. */
  readonly carrier?: boolean;
}

/** A connection that is dead in one direction or for some packets only. */
export interface DropRule {
  readonly network: NetworkName;
  /** Drop what comes from this host (n1, rt, cl, api). */
  readonly from?: string;
  /** Drop what goes to this host. */
  readonly to?: string;
  /** Only packets that match this nftables expression, such as `tcp dport 6443` or `ether type arp`. */
  readonly match?: string;
}

/** Makes the networks of a lab fail, at the bridges: the nodes see nothing of how it is done. */
export class Faults {
  readonly #rules = new Set<DropRule>();

  /** Cuts a host from a network. */
  async cut(network: NetworkName, host: string, { carrier = false }: CutOptions = {}): Promise<void> {
    await this.#link(network, host, carrier ? "down" : "nomaster");
  }

  /** Undoes `cut`, whichever way it was cut. */
  async heal(network: NetworkName, host: string): Promise<void> {
    await this.#link(network, host, `master ${NETWORKS[network].bridge} up`);
  }

  /** Drops packets in the bridge until the returned function is called. */
  async drop(rule: DropRule): Promise<() => Promise<void>> {
    this.#rules.add(rule);
    await this.#writeRules();
    return async () => {
      if (this.#rules.delete(rule)) await this.#writeRules();
    };
  }

  async #link(network: NetworkName, host: string, change: string): Promise<void> {
    await run(inNamespace(BRIDGE_NS, ["ip", "link", "set", portName(network, host), ...change.split(" ")]));
  }

  async #writeRules(): Promise<void> {
    const rules = [...this.#rules].map(({ network, from, to, match }) => {
      const incoming = from === undefined ? "" : `iifname "${portName(network, from)}"`;
      const outgoing = to === undefined ? "" : `oifname "${portName(network, to)}"`;
      return `    ${incoming} ${outgoing} ${match ?? ""} counter drop`;
    });
    // Declared, deleted and declared again: one transaction replaces the table whether it existed or not.
    const table = ["table bridge faults {}", "delete table bridge faults", "table bridge faults {", "  chain faults {", "    type filter hook forward priority 0;", ...rules, "  }", "}", ""];
    await run(inNamespace(BRIDGE_NS, ["nft", "-f", "-"]), { input: table.join("\n") });
  }
}
