import type { LeaseWant } from "../core/model.js";
import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { Clock } from "../ports/clock.js";
import type { Packets } from "../ports/kernel.js";
import { Listeners } from "./listeners.js";
import { Probes } from "./probes.js";

export interface LeaseProbeDeps {
  readonly kernel: Packets;
  readonly clock: Clock;
  /** False: nobody is asked. */
  readonly duplicateCheck: boolean;
}

/** Asks the link of a lease whether somebody has the address that a server offers. */
export class LeaseProbe implements AsyncDisposable {
  #mac: MacAddress | undefined;
  #foundAt: MacAddress | undefined;
  readonly #listeners: Listeners;
  readonly #probes: Probes;

  constructor(private readonly deps: LeaseProbeDeps) {
    const { kernel, clock } = deps;
    this.#listeners = new Listeners({
      kernel,
      claimed: (linkIndex, claim) => {
        // Another node of ours has the same MAC until it has let go.
        if (claim.mac !== this.#mac) this.#probes.claimed(linkIndex, claim);
      },
    });
    this.#probes = new Probes({ clock, ask: (linkIndex, address, mac) => this.#listeners.ask(linkIndex, address, mac) });
  }

  /** Who answered for the address that was asked for last. */
  get foundAt(): MacAddress | undefined {
    return this.#foundAt;
  }

  /** The lease is for this link alone from now on. */
  keep(linkIndex: number): void {
    this.#listeners.keep(new Set([linkIndex]));
  }

  /** Rejects with the reason of the signal, or with what the socket said. */
  async isInUse(address: IpAddress, { linkIndex, mac, known }: LeaseWant, signal: AbortSignal): Promise<boolean> {
    this.#mac = mac;
    // What a node of ours announced a moment ago may still be there, and its other links answer for it, too.
    if (!this.deps.duplicateCheck || known?.includes(address) !== false) return false;
    this.#listeners.listen(linkIndex, address);
    const outcome = await this.#probes.run({ linkIndex, address, mac }, signal);
    this.#foundAt = outcome.type === "inUse" ? outcome.mac : undefined;
    // Who answers for every address keeps the server from giving any.
    return outcome.type === "inUse" && !outcome.proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#probes[Symbol.dispose]();
    await this.#listeners[Symbol.asyncDispose]();
  }
}
