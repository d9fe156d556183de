import type { Family, IpAddress } from "../lib/ip.js";

/** One address of a name, and for how long the answer may be kept, in seconds. */
export interface DnsAddress {
  readonly address: IpAddress;
  readonly ttlSeconds: number;
}

export interface Dns {
  /** The A (4) or AAAA (6) records of a name; empty where it has none of that family (NODATA). Throws DnsErrorShape. */
  resolve(name: string, family: Family, signal: AbortSignal): Promise<readonly DnsAddress[]>;
}

/** Message: `resolve A web.example.org: ENOTFOUND`. */
export interface DnsErrorShape extends Error {
  /** As in Node: `ENOTFOUND` (no such name), `ETIMEOUT`, `ESERVFAIL`, `ECONNREFUSED` ... */
  readonly code: string;
}
