import type { Nft, NftVip } from "../../src/ports/nft.js";

/** The table of nf_tables in memory. */
export class FakeNft implements Nft {
  readonly table = new Map<string, NftVip>();
  /** Transactions so far. */
  writes = 0;
  /** Thrown by the next calls while set. */
  refuse: Error | undefined;

  async putVip(vip: NftVip, signal: AbortSignal): Promise<void> {
    await this.#turn(signal);
    this.writes += 1;
    this.table.set(vip.key, vip);
  }

  async removeVip(key: string, signal: AbortSignal): Promise<boolean> {
    await this.#turn(signal);
    this.writes += 1;
    return this.table.delete(key);
  }

  async vips(signal: AbortSignal): Promise<readonly { readonly key: string; readonly describe: string }[]> {
    await this.#turn(signal);
    return [...this.table.keys()].map((key) => ({ key, describe: `${key} in memory` }));
  }

  /** `TCP 192.0.2.10:80 -> 10.0.0.1:8080, 10.0.0.2:8080`, sorted: what the rules say. */
  shown(): readonly string[] {
    return [...this.table.values()]
      .flatMap(({ address, ports }) =>
        ports
          .filter(({ targets }) => targets.length > 0)
          .map(({ protocol, port, targets }) => `${protocol} ${address}:${port} -> ${targets.map((target) => `${target.address}:${target.port}`).join(", ")}`),
      )
      .sort();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    if (this.refuse !== undefined) throw this.refuse;
  }
}
