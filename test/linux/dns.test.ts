import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { ipToBytes, parseIp, type Family } from "../../src/lib/ip.js";
import { createDns, type DnsConfig } from "../../src/linux/dns.js";

const never = new AbortController().signal;

interface Zone {
  readonly addresses?: readonly (readonly [address: string, ttlSeconds: number])[];
  /** 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED; 0 without addresses is NODATA. */
  readonly code?: number;
  /** Lets so many queries go unanswered before. */
  readonly ignore?: number;
}

/** A name server on loopback for one name, the same for both families; `asked` has the types of the queries (A, AAAA). */
async function nameServer(zone: Zone): Promise<{ readonly server: string; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => {
    asked.push(query.readUInt16BE(query.indexOf(0, 12) + 1) === 1 ? "A" : "AAAA");
    if (asked.length > (zone.ignore ?? 0)) socket.send(answerTo(query, zone), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  onTestFinished(async () => {
    socket.close();
    await once(socket, "close");
  });
  return { server: `127.0.0.1:${socket.address().port}`, asked };
}

/** RFC 1035 4.1: header and question as asked, QR and RA set, a record for each address of the type that is asked for. */
function answerTo(query: Buffer, { addresses = [], code = 0 }: Zone): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const type = query.readUInt16BE(end - 4);
  const records = addresses.flatMap(([text, ttlSeconds]) => {
    const octets = octetsOf(text);
    if ((octets.length === 4 ? 1 : 28) !== type) return [];
    const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, octets.length]);
    head.writeUInt32BE(ttlSeconds, 6);
    return [Buffer.concat([head, octets])];
  });
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, query.subarray(12, end), ...records]);
}

function octetsOf(text: string): Uint8Array {
  const address = parseIp(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return ipToBytes(address);
}

function hosts(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "vip-hosts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "hosts"), text);
  return join(folder, "hosts");
}

/** Nothing in /etc/hosts, and a getaddrinfo that nobody may ask, unless `config` says otherwise. */
async function resolve(family: Family, config: DnsConfig, name = "web.example.org"): Promise<readonly (readonly [string, number])[]> {
  const noLookup = async (): Promise<never> => expect.unreachable("getaddrinfo was asked");
  const found = await createDns({ hostsPath: "/nonexistent", lookup: noLookup, ...config }).resolve(name, family, never);
  return found.map(({ address, ttlSeconds }) => [address, ttlSeconds]);
}

function failing(code: string): () => Promise<never> {
  return async () => {
    throw Object.assign(new Error(`getaddrinfo ${code}`), { code });
  };
}

describe("the name servers", () => {
  const addresses = [
    ["192.0.2.1", 17],
    ["192.0.2.2", 300],
    ["2001:db8::1", 0],
  ] as const;

  test("say the addresses of the family that is asked for, each with its TTL", async () => {
    const { server, asked } = await nameServer({ addresses });
    expect(await resolve(4, { servers: [server] })).toEqual([
      ["192.0.2.1", 17],
      ["192.0.2.2", 300],
    ]);
    expect(await resolve(6, { servers: [server] })).toEqual([["2001:db8::1", 0]]);
    expect(asked).toEqual(["A", "AAAA"]);
  });

  test("a name without records of that family is an empty answer", async () => {
    const { server } = await nameServer({ addresses: [["192.0.2.1", 17]] });
    expect(await resolve(6, { servers: [server] })).toEqual([]);
  });

  test.each([
    ["SERVFAIL", 2, "ESERVFAIL"],
    ["REFUSED", 5, "EREFUSED"],
  ])("%s is a failure with its code, and getaddrinfo is not asked", async (_name, code, expected) => {
    const { server } = await nameServer({ code });
    await expect(resolve(4, { servers: [server] })).rejects.toMatchObject({ code: expected, message: `resolve A web.example.org: ${expected}` });
  });

  test("a query that is lost is asked again after 2 s", { timeout: 15_000 }, async () => {
    const { server, asked } = await nameServer({ addresses, ignore: 1 });
    const start = performance.now();
    expect(await resolve(6, { servers: [server] })).toEqual([["2001:db8::1", 0]]);
    expect(asked).toEqual(["AAAA", "AAAA"]);
    expect(performance.now() - start).toBeGreaterThan(1500);
  });

  test("silence is a failure after two tries", { timeout: 15_000 }, async () => {
    const { server, asked } = await nameServer({ ignore: Infinity });
    await expect(resolve(4, { servers: [server] })).rejects.toMatchObject({ code: "ETIMEOUT" });
    expect(asked).toEqual(["A", "A"]);
  });

  test("a query can be aborted: the reason of the signal, at once", async () => {
    const { server, asked } = await nameServer({ ignore: Infinity });
    const abort = new AbortController();
    const resolving = createDns({ servers: [server], hostsPath: "/nonexistent" }).resolve("web.example.org", 4, abort.signal);
    await expect.poll(() => asked.length).toBe(1);
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(resolving).rejects.toBe(reason);
    await expect(createDns().resolve("web.example.org", 4, abort.signal)).rejects.toBe(reason);
    expect(asked).toHaveLength(1);
  });
});

describe("getaddrinfo", () => {
  const known = async (): Promise<readonly string[]> => ["2001:db8::7", "192.0.2.7", "fe80::1%eth0"];

  test("is asked where the name servers know no such name", async () => {
    const { server } = await nameServer({ code: 3 });
    expect(await resolve(4, { servers: [server], lookup: known })).toEqual([["192.0.2.7", 30]]);
    expect(await resolve(6, { servers: [server], lookup: known })).toEqual([["2001:db8::7", 30]]);
  });

  test("is asked where no name server listens", async () => {
    expect(await resolve(4, { servers: ["127.0.0.1:1"], lookup: known })).toEqual([["192.0.2.7", 30]]);
  });

  test.each<readonly [string, string, string]>([
    ["that knows no such name either: there is none", "ENOTFOUND", "ENOTFOUND"],
    ["that cannot say: a failure, not an absence", "EAI_AGAIN", "EAI_AGAIN"],
  ])("%s", async (_name, code, expected) => {
    const { server } = await nameServer({ code: 3 });
    await expect(resolve(4, { servers: [server], lookup: failing(code) })).rejects.toMatchObject({ code: expected });
  });

  test("that knows no such name where no name server listens: a failure, not an absence", async () => {
    await expect(resolve(4, { servers: ["127.0.0.1:1"], lookup: failing("ENOTFOUND") })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("that takes long does not hold up an abort", async () => {
    const abort = new AbortController();
    let asked = false;
    const lookup = async (): Promise<never> => {
      asked = true;
      return await new Promise(() => undefined);
    };
    const resolving = createDns({ servers: ["127.0.0.1:1"], hostsPath: "/nonexistent", lookup }).resolve("web", 4, abort.signal);
    await expect.poll(() => asked).toBe(true);
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(resolving).rejects.toBe(reason);
  });

  test("of this machine knows localhost, which a name server may not", async () => {
    const { server } = await nameServer({ code: 3 });
    const found = await createDns({ servers: [server], hostsPath: "/nonexistent" }).resolve("localhost", 4, never);
    expect(found).toContainEqual({ address: "127.0.0.1", ttlSeconds: 30 });
  });
});

describe("the hosts file", () => {
  const text = "# 192.0.2.1 web.example.org\n192.0.2.2\tother WEB.example.org # the second\n2001:db8::2 web.example.org.\n\n192.0.2.3 sub.web.example.org\nnonsense web.example.org\n";

  test("is all there is for a name in it: no name server is asked", async () => {
    const hostsPath = hosts(text);
    expect(await resolve(4, { servers: ["127.0.0.1:1"], hostsPath })).toEqual([["192.0.2.2", 30]]);
    expect(await resolve(6, { servers: ["127.0.0.1:1"], hostsPath }, "web.example.org.")).toEqual([["2001:db8::2", 30]]);
    expect(await resolve(6, { servers: ["127.0.0.1:1"], hostsPath }, "other")).toEqual([]);
  });

  test("says nothing of a name that is not in it", async () => {
    const { server, asked } = await nameServer({ addresses: [["192.0.2.9", 5]] });
    expect(await resolve(4, { servers: [server], hostsPath: hosts(text) }, "example.org")).toEqual([["192.0.2.9", 5]]);
    expect(asked).toEqual(["A"]);
  });
});
