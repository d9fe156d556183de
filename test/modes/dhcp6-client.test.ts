import { describe, expect, test } from "vitest";
import { uuidOf } from "../../src/core/dhcp.js";
import type { VipMode } from "../../src/core/mode.js";
import type { LeaseKey, LeaseSeen, LeaseWant, ServiceKey } from "../../src/core/model.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { DHCP_TIMING } from "../../src/machine/dhcp-client-state.js";
import { DHCP6_TIMING } from "../../src/machine/dhcp6-client-state.js";
import { createDhcpMode } from "../../src/modes/dhcp.js";
import { DECLINE, REBIND, RELEASE, REPLY, SOLICIT } from "../../src/wire/dhcp6/codes.js";
import { decodeDhcp6, encodeDhcp6, type Dhcp6Message } from "../../src/wire/dhcp6/message.js";
import { encodeNa, unsolicitedNa } from "../../src/wire/ndp.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeDhcp6Sockets } from "../fakes/dhcp6.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";

const SIGNAL = new AbortController().signal;
const KEY = "dhcp6/uid" as LeaseKey;
const MAC = "02:00:00:00:00:50" as MacAddress;
const STRANGER = "02:00:00:00:00:66" as MacAddress;
const VIP = "fd77::150" as IpAddress;
const SERVER = "fe80::1" as IpAddress;
const UID = "00112233-4455-6677-8899-aabbccddeeff";
const WANT: LeaseWant = {
  key: KEY, family: 6, owners: ["default/web" as ServiceKey], iface: "vip-1", linkIndex: 9, mac: MAC, uuid: uuidOf(UID),
  hostname: undefined, requestedAddress: undefined, known: [], broadcast: false,
};

class Bench {
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel(this.clock);
  readonly sockets = new FakeDhcp6Sockets();
  readonly seen: (LeaseSeen | undefined)[] = [];
  readonly dropped: string[] = [];
  readonly mode: VipMode<"dhcp"> = createDhcpMode(
    { timing: DHCP_TIMING, timing6: DHCP6_TIMING, vendorClass: "vip", duplicateCheck: true },
    { kernel: this.kernel, sockets6: this.sockets, clock: this.clock, random: { float: () => 0.5 }, log: new FakeLog(), report: (_key, seen) => void this.seen.push(seen), dropped: (reason) => void this.dropped.push(reason) },
  );

  get last(): Dhcp6Message {
    const { bytes } = this.sockets.sent.at(-1) ?? {};
    if (bytes === undefined) throw new Error("nothing was sent");
    return decodeDhcp6(bytes);
  }

  get types(): readonly number[] {
    return this.sockets.sent.map(({ bytes }) => decodeDhcp6(bytes).type);
  }

  async up(part: Partial<LeaseWant> = {}): Promise<void> {
    await this.mode.up({ ...WANT, ...part }, SIGNAL);
    await this.clock.advance(0);
  }

  /** The server gives it, and nobody else has it. */
  async given(): Promise<void> {
    await this.up();
    await this.reply();
    await this.clock.advance(40);
  }

  async reply(iface = "vip-1"): Promise<void> {
    const { transactionId, options } = this.last;
    const ia = { iaid: options.iaNa[0]?.iaid ?? 0, t1Seconds: 0, t2Seconds: 0, addresses: [{ address: VIP, preferredSeconds: 100, validSeconds: 100, other: [] }], other: [] };
    const serverId = Uint8Array.of(0, 3, 0, 1, 9);
    this.sockets.deliver(iface, encodeDhcp6({ type: REPLY, transactionId, options: { ...(options.clientId && { clientId: options.clientId }), serverId, iaNa: [ia], rapidCommit: true, other: [] } }), SERVER);
    await this.clock.advance(0);
  }
}

describe("a lease by DHCPv6", () => {
  test("is asked for from a link-local address that is put on the link, by the Service's UID; probed by Neighbor Discovery, then reported", async () => {
    const bench = new Bench();
    await bench.up();
    expect(await bench.kernel.addresses()).toMatchObject([{ linkIndex: 9, address: "fe80::ff:fe00:50", prefix: 64, scope: "link", mark: 0 }]);
    expect(bench.sockets.locals).toEqual([{ iface: "vip-1", address: "fe80::ff:fe00:50" }]);
    expect(bench.last).toMatchObject({ type: SOLICIT, options: { clientId: Uint8Array.of(0, 4, ...uuidOf(UID)) } });
    await bench.reply();
    expect(bench.seen.at(-1)).toMatchObject({ phase: "probing", lease: undefined });
    await bench.clock.advance(40);
    expect(bench.kernel.frames.map(({ kind, linkIndex }) => `${kind} ${linkIndex}`)).toEqual(expect.arrayContaining(["nd 9"]));
    expect(bench.seen.at(-1)).toMatchObject({ phase: "bound", mac: MAC, lease: { address: VIP, server: SERVER, expiresAt: 101_000 }, trouble: undefined });
    await bench.mode[Symbol.asyncDispose]();
    expect([bench.sockets.locals.length, bench.kernel.openSockets, bench.clock.pending]).toEqual([0, 0, 0]);
    expect(bench.types).toEqual([SOLICIT]);
  });

  test("of an address that somebody else has is declined, and who has it is said", async () => {
    const bench = new Bench();
    await bench.up();
    await bench.reply();
    bench.kernel.deliver(9, "nd", encodeNa(unsolicitedNa(STRANGER, VIP, { router: false })));
    await bench.clock.advance(40);
    expect(bench.types).toEqual([SOLICIT, DECLINE]);
    expect(bench.seen.at(-1)).toMatchObject({ lease: undefined, trouble: { type: "declined", address: VIP, server: SERVER, by: STRANGER } });
    await bench.mode[Symbol.asyncDispose]();
  });

  test("that a node of ours announced a moment ago is not probed", async () => {
    const bench = new Bench();
    await bench.up({ known: [VIP] });
    await bench.reply();
    expect(bench.seen.at(-1)).toMatchObject({ phase: "bound" });
    expect(bench.kernel.frames).toEqual([]);
    await bench.mode[Symbol.asyncDispose]();
  });

  test("that nobody wants is given back, and gone when the server has heard it", async () => {
    const bench = new Bench();
    await bench.given();
    const down = bench.mode.down(KEY, "unwanted", SIGNAL);
    await bench.clock.advance(0);
    expect(bench.types).toEqual([SOLICIT, RELEASE]);
    expect(bench.seen.at(-1)).toMatchObject({ lease: undefined });
    await bench.reply();
    await down;
    expect(bench.seen.at(-1)).toBeUndefined();
    expect([bench.sockets.locals.length, bench.clock.pending]).toEqual([0, 0]);
  });

  test("that nobody wants waits no longer than a second and a half for a server that is gone", async () => {
    const bench = new Bench();
    await bench.given();
    const down = bench.mode.down(KEY, "unwanted", SIGNAL);
    await bench.clock.advance(1500);
    await down;
    expect(bench.types).toEqual([SOLICIT, RELEASE, RELEASE]);
    expect(bench.clock.pending).toBe(0);
  });

  test.each(["notOwner", "leftover"] as const)("that another node goes on with is not given back: %s", async (reason) => {
    const bench = new Bench();
    await bench.given();
    await bench.mode.down(KEY, reason, SIGNAL);
    expect(bench.types).toEqual([SOLICIT]);
    expect(bench.seen.at(-1)).toBeUndefined();
  });

  test("is asked about on a link that was made anew", async () => {
    const bench = new Bench();
    await bench.given();
    await bench.up({ linkIndex: 10, iface: "vip-2" });
    expect(bench.types).toEqual([SOLICIT, REBIND]);
    expect(bench.sockets.locals).toEqual([{ iface: "vip-2", address: "fe80::ff:fe00:50" }]);
    await bench.reply("vip-2");
    expect(bench.seen.at(-1)).toMatchObject({ phase: "bound", lease: { address: VIP } });
    await bench.mode[Symbol.asyncDispose]();
  });
});

describe("trouble", () => {
  test("a message that could not be sent goes out of a new socket the next time", async () => {
    const bench = new Bench();
    bench.sockets.errors.push(new Error("EADDRNOTAVAIL"));
    await bench.up();
    expect(bench.sockets.sent).toEqual([]);
    await bench.clock.advance(1100);
    expect(bench.types).toEqual([SOLICIT]);
    expect(bench.sockets.locals).toHaveLength(1);
    await bench.mode[Symbol.asyncDispose]();
  });

  test("a datagram that is no message, and one that is for another client, change nothing; the first is counted", async () => {
    const bench = new Bench();
    await bench.up();
    bench.sockets.deliver("vip-1", Uint8Array.of(7, 0), SERVER);
    bench.sockets.deliver("vip-1", encodeDhcp6({ ...bench.last, type: REPLY, transactionId: 1 }), SERVER);
    expect(bench.dropped).toEqual(["malformed: truncated"]);
    expect(bench.seen.at(-1)).toMatchObject({ phase: "selecting", sends: 1 });
    await bench.mode[Symbol.asyncDispose]();
  });

  test("closing while the link-local address waits for the kernel leaves nothing open", async () => {
    const bench = new Bench();
    const gate = Promise.withResolvers<void>();
    bench.kernel.gate = gate.promise;
    await bench.mode.up(WANT, SIGNAL);
    const closed = bench.mode[Symbol.asyncDispose]();
    gate.resolve();
    await closed;
    expect([bench.sockets.locals.length, bench.sockets.sent.length, bench.clock.pending]).toEqual([0, 0, 0]);
  });
});
