import { parseIp, type Family } from "../../src/lib/ip.js";
import type { Dns, DnsAddress, DnsErrorShape } from "../../src/ports/dns.js";

class FakeDnsError extends Error implements DnsErrorShape {
  constructor(
    readonly code: string,
    what: string,
  ) {
    super(`${what}: ${code}`);
  }
}

/** What is said of a name for one family: addresses with a TTL, an error code, or nothing at all until somebody aborts. */
export type FakeRecords = { readonly addresses: readonly string[]; readonly ttlSeconds?: number } | { readonly code: string } | "silent";

/** A name server in memory. A name without a record of that family: NODATA where it has the other one, ENOTFOUND where it has none. */
export class FakeDns implements Dns {
  readonly #records = new Map<string, FakeRecords>();
  /** `A web.example`, in order. */
  readonly asked: string[] = [];
  /** Queries that were aborted before they had an answer. */
  aborted = 0;

  set(name: string, family: Family, records: FakeRecords): void {
    this.#records.set(`${family} ${name}`, records);
  }

  /** Both families at once: these addresses, each with the same TTL in seconds (60). */
  put(name: string, addresses: readonly string[], ttlSeconds = 60): void {
    this.set(name, 4, { addresses: addresses.filter((address) => !address.includes(":")), ttlSeconds });
    this.set(name, 6, { addresses: addresses.filter((address) => address.includes(":")), ttlSeconds });
  }

  /** Both families fail with this code. */
  fail(name: string, code: string): void {
    this.set(name, 4, { code });
    this.set(name, 6, { code });
  }

  remove(name: string): void {
    this.#records.delete(`4 ${name}`);
    this.#records.delete(`6 ${name}`);
  }

  async resolve(name: string, family: Family, signal: AbortSignal): Promise<readonly DnsAddress[]> {
    signal.throwIfAborted();
    const what = `${family === 4 ? "A" : "AAAA"} ${name}`;
    this.asked.push(what);
    const records = this.#records.get(`${family} ${name}`);
    if (records === "silent") return await this.#silence(signal);
    if (records === undefined) {
      if (this.#records.has(`${family === 4 ? 6 : 4} ${name}`)) return [];
      throw new FakeDnsError("ENOTFOUND", `resolve ${what}`);
    }
    if ("code" in records) throw new FakeDnsError(records.code, `resolve ${what}`);
    const { addresses, ttlSeconds = 60 } = records;
    return addresses.map((text) => ({ address: parsed(text), ttlSeconds }));
  }

  async #silence(signal: AbortSignal): Promise<never> {
    return await new Promise((_resolve, reject) => {
      const end = (): void => {
        this.aborted += 1;
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", end, { once: true });
    });
  }
}

function parsed(text: string): DnsAddress["address"] {
  const address = parseIp(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}
