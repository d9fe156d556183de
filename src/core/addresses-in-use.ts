import { parseIp, type IpAddress } from "../lib/ip.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Service } from "../ports/kube.js";
import { GRANTED_IN_USE } from "./plan-service.js";

/** An address at which a stranger answered is left alone for so long. */
const IN_USE_MS = 600_000;

/** Addresses that strangers have: the allocator gives out others for a while. */
export class AddressesInUse implements Disposable {
  readonly #timers = new Map<IpAddress, Timer>();
  /** What Services said last, by uid. */
  #said: ReadonlyMap<string, string> = new Map();

  constructor(
    private readonly clock: Clock,
    private readonly learn: (inUse: ReadonlySet<IpAddress>) => void,
  ) {}

  /** A stranger answered at it, here or where another node told of it. */
  seen(...addresses: readonly IpAddress[]): void {
    const known = this.#timers.size;
    for (const address of addresses) {
      this.#timers.get(address)?.cancel();
      this.#timers.set(address, this.clock.after(IN_USE_MS, () => this.#over(address)));
    }
    if (this.#timers.size > known) this.learn(new Set(this.#timers.keys()));
  }

  /** Nodes that found a stranger at an address which this one gave to a Service write it there. */
  told(services: Iterable<Service>): void {
    const said = new Map<string, string>();
    for (const { uid, annotations } of services) {
      const text = annotations[GRANTED_IN_USE];
      if (text !== undefined) said.set(uid, text);
    }
    const news = [...said].filter(([uid, text]) => this.#said.get(uid) !== text);
    this.#said = said;
    this.seen(...news.flatMap(([, text]) => parseIp(text) ?? []));
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers.values()) timer.cancel();
  }

  #over(address: IpAddress): void {
    this.#timers.delete(address);
    this.learn(new Set(this.#timers.keys()));
  }
}
