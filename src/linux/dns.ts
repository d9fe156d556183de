import dns from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { messageOf } from "../lib/errors.js";
import { familyOf, parseIp, type Family, type IpAddress } from "../lib/ip.js";
import type { Dns, DnsAddress, DnsErrorShape } from "../ports/dns.js";

/** Answers without a TTL of their own (/etc/hosts, getaddrinfo) are good for so long. */
const TTL_SECONDS = 30;
const TIMEOUT_MS = 2000;
const TRIES = 2;
/** The name servers know no such name, or there are none: getaddrinfo may still know it, by a search domain or another source. */
const ASK_SYSTEM: ReadonlySet<string> = new Set(["ENOTFOUND", "ECONNREFUSED"]);

export interface DnsConfig {
  /** `192.0.2.53` or `192.0.2.53:5353`. Default: those of /etc/resolv.conf, read for each query, since it may change. */
  readonly servers?: readonly string[];
  /** Default: /etc/hosts. */
  readonly hostsPath?: string;
  /** getaddrinfo, for tests: all addresses of a name, as text. */
  readonly lookup?: (name: string) => Promise<readonly string[]>;
}

/** A name that was not resolved; message `resolve A web.example.org: ENOTFOUND`. */
export class DnsError extends Error implements DnsErrorShape {
  override readonly name = "DnsError";

  constructor(
    tried: string,
    readonly code: string,
  ) {
    super(`${tried}: ${code}`);
  }
}

/**
 * Names as other programs of this machine see them: /etc/hosts first (where a static pod's hostAliases are; it works without any name server, and a
 * name in it is all there), then the name servers, 2 s for each of two tries, and where these know no such name, getaddrinfo.
 * `ENOTFOUND` only where both say so: what cannot be asked is never taken for "no such name".
 */
export function createDns(config: DnsConfig = {}): Dns {
  return {
    resolve: async (name, family, signal) => {
      signal.throwIfAborted();
      const what = `resolve ${family === 4 ? "A" : "AAAA"} ${name}`;
      const local = await inHosts(name, config.hostsPath ?? "/etc/hosts");
      signal.throwIfAborted();
      if (local.length > 0) return ofFamily(local, family);
      try {
        return await fromServers({ name, family, config }, signal);
      } catch (error) {
        signal.throwIfAborted();
        const code = codeOf(error);
        if (code === "ENODATA") return [];
        if (!ASK_SYSTEM.has(code)) throw new DnsError(what, code);
        return ofFamily(await fromSystem({ name, config, code, what }, signal), family);
      }
    },
  };
}

interface Question {
  readonly name: string;
  readonly family: Family;
  readonly config: DnsConfig;
}

/** A resolver for each query: one can only be cancelled as a whole. Making one takes some 0.05 ms. */
async function fromServers({ name, family, config }: Question, signal: AbortSignal): Promise<readonly DnsAddress[]> {
  const resolver = new dns.Resolver({ timeout: TIMEOUT_MS, tries: TRIES, maxTimeout: TIMEOUT_MS });
  if (config.servers !== undefined) resolver.setServers(config.servers);
  const cancel = (): void => resolver.cancel();
  signal.addEventListener("abort", cancel);
  try {
    const records = family === 4 ? await resolver.resolve4(name, { ttl: true }) : await resolver.resolve6(name, { ttl: true });
    signal.throwIfAborted();
    return records.flatMap(({ address, ttl }) => parsed(address).map((ip) => ({ address: ip, ttlSeconds: ttl })));
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

interface Failed {
  readonly name: string;
  readonly config: DnsConfig;
  /** What the name servers said. */
  readonly code: string;
  readonly what: string;
}

async function fromSystem({ name, config, code, what }: Failed, signal: AbortSignal): Promise<readonly IpAddress[]> {
  try {
    const found = await untilAborted((config.lookup ?? lookupAll)(name), signal);
    return found.flatMap(parsed);
  } catch (error) {
    signal.throwIfAborted();
    throw new DnsError(what, code === "ENOTFOUND" ? codeOf(error) : code);
  }
}

async function lookupAll(name: string): Promise<readonly string[]> {
  return (await dns.lookup(name, { all: true })).map(({ address }) => address);
}

/** getaddrinfo cannot be stopped: it goes on by itself, and nobody listens. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let aborted = (): void => undefined;
  const abort = new Promise<never>((_resolve, reject) => {
    aborted = () => reject(signal.reason as Error);
    signal.addEventListener("abort", aborted, { once: true });
  });
  try {
    return await Promise.race([work, abort]);
  } finally {
    signal.removeEventListener("abort", aborted);
  }
}

/** hosts(5): address, names, `#` begins a comment. A file that cannot be read knows no name. */
async function inHosts(name: string, path: string): Promise<readonly IpAddress[]> {
  const wanted = withoutDot(name).toLowerCase();
  const text = await readFile(path, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return names.some((known) => withoutDot(known).toLowerCase() === wanted) ? parsed(address) : [];
  });
}

function withoutDot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

function ofFamily(addresses: readonly IpAddress[], family: Family): readonly DnsAddress[] {
  return addresses.filter((address) => familyOf(address) === family).map((address) => ({ address, ttlSeconds: TTL_SECONDS }));
}

/** Nothing for what is no plain address (one with a zone). */
function parsed(text: string): readonly IpAddress[] {
  const address = parseIp(text);
  return address === undefined ? [] : [address];
}

function codeOf(error: unknown): string {
  return (error as Partial<NodeJS.ErrnoException>).code ?? messageOf(error);
}
