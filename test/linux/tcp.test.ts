import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import { createClock } from "../../src/linux/clock.js";
import { createNet } from "../../src/linux/tcp.js";
import type { Accepted, Net, TcpCaller, TcpConnection, TcpEvents, TcpServer, TcpTarget } from "../../src/ports/net.js";
import { FakeLog } from "../fakes/log.js";
import { waitFor } from "../lab/wait.js";

const LO4 = "127.0.0.1" as IpAddress;
const LO6 = "::1" as IpAddress;
const PLAIN = { ttl: undefined, leastTtl: undefined, password: undefined, userTimeoutMs: 0, iface: undefined } as const;
const HOLD = 3000;

let log: FakeLog;
let net: Net;
beforeEach(() => {
  log = new FakeLog();
  net = createNet({ clock: createClock(), log });
});
afterEach(async () => {
  await net[Symbol.asyncDispose]();
});

/** What one side of a connection hears. */
class Heard implements TcpEvents {
  text = "";
  up = false;
  end: string | undefined;
  connected(): void {
    this.up = true;
  }
  data(octets: Uint8Array): void {
    this.text += new TextDecoder().decode(octets);
  }
  closed(reason: string): void {
    expect(this.end).toBeUndefined();
    this.end = reason;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

interface Called {
  readonly heard: Heard;
  readonly connection: TcpConnection;
  readonly accepted: Accepted;
}

/** Listens for these callers, and takes whoever comes. */
async function serve(...callers: readonly Partial<TcpCaller>[]): Promise<{ readonly port: number; readonly calls: Called[]; readonly server: TcpServer }> {
  const port = await freePort();
  const calls: Called[] = [];
  const server = net.listen(port, (accepted) => {
    const heard = new Heard();
    calls.push({ accepted, heard, connection: accepted.take(heard) });
  });
  server.allow(callers.map((caller) => ({ ...PLAIN, address: LO4, ...caller })));
  return { port, calls, server };
}

function dial(port: number, given: Partial<TcpTarget> = {}): { readonly heard: Heard; readonly connection: TcpConnection } {
  const heard = new Heard();
  return { heard, connection: net.dial({ ...PLAIN, source: undefined, address: LO4, port, ...given }, heard) };
}

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a connection", () => {
  test.each([
    { name: "over IPv4", address: LO4 },
    { name: "over IPv6", address: LO6 },
    { name: "over IPv4 with an MD5 key", address: LO4, password: "a:b c" },
    { name: "over IPv6 with an MD5 key", address: LO6, password: "a:b c" },
    { name: "over IPv4 with GTSM", address: LO4, ttl: 255, leastTtl: 255 },
    { name: "over IPv6 with GTSM", address: LO6, ttl: 255, leastTtl: 255 },
    { name: "with a link, a source and a time-out", address: LO4, iface: "lo", source: LO4, userTimeoutMs: 9000, ttl: 1 },
  ])("$name carries octets both ways and knows its ends", async ({ source, ...options }) => {
    const { port, calls } = await serve(options);
    const { heard, connection } = dial(port, { ...options, source });
    await waitFor(() => heard.up && calls.length === 1, HOLD, "a connection");
    const [call] = calls;
    connection.send(octets("hello "));
    connection.send(octets("you"));
    call?.connection.send(octets("hello me"));
    await waitFor(() => call?.heard.text === "hello you" && heard.text === "hello me", HOLD, "both texts");
    expect(connection.remote).toEqual({ address: options.address, port });
    expect(connection.local).toEqual({ address: options.address, port: call?.accepted.remote.port });
    connection.close(true);
    await waitFor(() => call?.heard.end, HOLD, "the end");
    expect(call?.heard.end).toMatch(/^connection to .* port \d+: the peer closed the connection$/);
  });

  test.each([
    { name: "another MD5 key", server: { password: "one" }, client: { password: "two" } },
    { name: "an MD5 key that is not expected", server: {}, client: { password: "two" } },
    { name: "no MD5 key where one is expected", server: { password: "one" }, client: {} },
  ])("with $name is not made", async ({ server, client }) => {
    const { port, calls } = await serve(server);
    const { heard, connection } = dial(port, client);
    // Segments are dropped without a word; another dial shows that the listener would have answered by now.
    const other = dial(port, server);
    await waitFor(() => other.heard.up, HOLD, "the right key to connect");
    expect(heard.up).toBe(false);
    expect(calls.map(({ accepted }) => accepted.remote.port)).toEqual([other.connection.local?.port]);
    connection.close(false);
  });

  test("hears nothing of a peer whose packets come with too small a TTL", async () => {
    const { port, calls } = await serve({ ttl: 255, leastTtl: 255 });
    const { heard, connection } = dial(port, { ttl: 64 });
    await waitFor(() => heard.up && calls.length === 1, HOLD, "a connection");
    const good = dial(port, { ttl: 255 });
    await waitFor(() => calls.length === 2, HOLD, "another");
    connection.send(octets("from far"));
    good.connection.send(octets("from near"));
    await waitFor(() => calls[1]?.heard.text === "from near", HOLD, "the good one");
    expect(calls[0]?.heard.text).toBe("");
  });

  test("delivers what was sent before a graceful close, also where input was never read", async () => {
    const { port, calls } = await serve({});
    const { heard, connection } = dial(port);
    await waitFor(() => heard.up && calls.length === 1, HOLD, "a connection");
    calls[0]?.connection.send(octets("x".repeat(100_000)));
    connection.send(octets("y".repeat(500_000)));
    connection.close(true);
    await waitFor(() => calls[0]?.heard.text.length === 500_000 && calls[0].heard.end !== undefined, HOLD, "all of it");
    expect(heard.end).toBeUndefined();
  });

  test("says that everything is with the kernel, each time it is asked", async () => {
    const { port, calls } = await serve({});
    const { heard, connection } = dial(port);
    await waitFor(() => heard.up && calls.length === 1, HOLD, "a connection");
    let flushed = 0;
    connection.send(octets("z".repeat(200_000)));
    connection.flush(() => void (flushed += 1));
    expect(flushed).toBe(0);
    await waitFor(() => flushed === 1, HOLD, "the first");
    connection.flush(() => void (flushed += 1));
    await waitFor(() => flushed === 2, HOLD, "the second");
    expect(calls[0]?.heard.end).toBeUndefined();
  });
});

describe("a dial", () => {
  test("that nobody answers fails with the reason", async () => {
    const port = await freePort();
    const { heard } = dial(port);
    await waitFor(() => heard.end, HOLD, "the end");
    expect(heard.end).toBe(`connect to 127.0.0.1 port ${port}: ECONNREFUSED`);
  });

  test.each([
    { name: "a link that does not exist", given: { iface: "nosuchlink" }, reason: "use link nosuchlink: ENODEV" },
    { name: "a source address that is none of this node", given: { source: "192.0.2.77" as IpAddress }, reason: "use source address 192.0.2.77: EADDRNOTAVAIL" },
    { name: "a password that is too long", given: { password: "p".repeat(81) }, reason: "the password for 127.0.0.1 has 81 octets, expected at most 80 (TCP MD5)" },
  ])("with $name fails with the reason, later", async ({ given, reason }) => {
    const { heard } = dial(1, given);
    expect(heard.end).toBeUndefined();
    await waitFor(() => heard.end, HOLD, "the end");
    expect(heard.end).toBe(`connect to 127.0.0.1 port 1: ${reason}`);
  });

  test("that is called off says nothing more", async () => {
    const port = await freePort();
    const { heard, connection } = dial(port);
    connection.close(true);
    connection.close(false);
    await net[Symbol.asyncDispose]();
    expect([heard.up, heard.end]).toEqual([false, undefined]);
  });
});

describe("a listener", () => {
  test("refuses who is no peer, tells of it once, and serves the others", async () => {
    const { port, calls } = await serve({ address: LO6 });
    for (let n = 0; n < 2; n += 1) {
      const { heard } = dial(port);
      await waitFor(() => heard.end, HOLD, "the refusal");
    }
    const good = dial(port, { address: LO6 });
    await waitFor(() => good.heard.up && calls.length === 1, HOLD, "the peer");
    expect(log.lines.map(({ message, remote }) => [message, remote])).toEqual([["connection refused: not a peer", "127.0.0.1"]]);
  });

  test("takes a new key and a new peer while it listens, and leaves connections that stand alone", async () => {
    const { port, calls, server } = await serve({ password: "one" });
    const first = dial(port, { password: "one" });
    await waitFor(() => first.heard.up && calls.length === 1, HOLD, "the first");
    server.allow([{ ...PLAIN, address: LO4, password: "two" }, { ...PLAIN, address: LO6 }]);
    const second = dial(port, { password: "two" });
    const sixth = dial(port, { address: LO6 });
    await waitFor(() => second.heard.up && sixth.heard.up && calls.length === 3, HOLD, "the new ones");
    first.connection.send(octets("still here"));
    await waitFor(() => calls[0]?.heard.text === "still here", HOLD, "the first one's text");
    server.allow([{ ...PLAIN, address: LO4 }]);
    const third = dial(port);
    await waitFor(() => third.heard.up && calls.length === 4, HOLD, "a peer without a key");
  });

  test("on a port that is taken is an error that names it, and leaves nothing open", async () => {
    const { port, server } = await serve({});
    expect(() => net.listen(port, () => {})).toThrow(`listen on TCP port ${port}: EADDRINUSE`);
    await server[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await net.listen(port, () => {})[Symbol.asyncDispose]();
  });

  test("closes a connection that is not taken, and goes on when the one who takes throws", async () => {
    const port = await freePort();
    const server = net.listen(port, () => {
      throw new Error("no");
    });
    server.allow([{ ...PLAIN, address: LO4 }]);
    for (let n = 0; n < 2; n += 1) {
      const { heard } = dial(port);
      await waitFor(() => heard.end, HOLD, "the end");
    }
    expect(log.lines.map(({ message, error }) => `${message}: ${String(error)}`)).toEqual(["connection refused: no", "connection refused: no"]);
  });
});
