import { describe, expect, test } from "vitest";
import type { LeaseSeen } from "../../src/core/model.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { BROADCAST_MAC, type MacAddress } from "../../src/lib/mac.js";
import { BOOTREPLY, DHCPACK, DHCPOFFER } from "../../src/wire/dhcp/codes.js";
import { fakeLink } from "../fakes/kernel.js";
import { conforms } from "./conformance.js";
import { DhcpModeBench, SERVER, SERVER_MAC } from "./dhcp-bench.js";

const signal = new AbortController().signal;
const FIRST = "10.77.0.151";
const ALL = "255.255.255.255";

conforms("dhcp", () => new DhcpModeBench());

/** A bench on which the first lease is there; what was sent for it is told already. */
async function leased(): Promise<DhcpModeBench> {
  const bench = new DhcpModeBench();
  await bench.mode.up(bench.want(1), signal);
  await bench.advance(100);
  expect(seenOf(bench)?.lease?.address).toBe(FIRST);
  bench.news();
  return bench;
}

function seenOf(bench: DhcpModeBench): LeaseSeen | undefined {
  return bench.seen.get(bench.want(1).key);
}

describe("an address that is asked for", () => {
  test("is accepted at once, and reported when it is there and nobody else answers for it", async () => {
    await using bench = new DhcpModeBench();
    await bench.mode.up(bench.want(1), signal);
    expect(seenOf(bench)).toMatchObject({ phase: "selecting", lease: undefined, sends: 1 });
    await bench.advance(100);
    expect(seenOf(bench)).toMatchObject({ phase: "bound", trouble: undefined, seekingSince: undefined, lease: { address: FIRST, server: SERVER, nextHop: SERVER_MAC } });
    expect(bench.news()).toEqual([`DISCOVER 0.0.0.0 ${ALL} ${BROADCAST_MAC}`, `REQUEST 0.0.0.0 ${ALL} ${BROADCAST_MAC}`]);
    expect(bench.kernel.frames.filter(({ kind }) => kind === "arp").length).toBe(3);
  });

  test("by its own link and MAC, with the name and an identifier that is the same on every node", async () => {
    await using bench = new DhcpModeBench();
    await bench.mode.up(bench.want(2), signal);
    await bench.advance(20);
    const { linkIndex, frame, message } = bench.messages[0] ?? {};
    expect([linkIndex, frame?.source, message?.chaddr]).toEqual([12, "02:00:00:00:01:02", "02:00:00:00:01:02"]);
    expect(message?.options).toMatchObject({ hostname: "web-2", vendorClass: "vip", clientId: Uint8Array.of(1, 2, 0, 0, 0, 1, 2) });
  });

  test("is not looked for on the link where a node of ours has announced it", async () => {
    await using bench = new DhcpModeBench();
    const want = bench.want(1, { requestedAddress: FIRST as IpAddress, known: [FIRST as IpAddress] });
    await bench.mode.up(want, signal);
    await bench.advance(20);
    expect(seenOf(bench)?.lease?.address).toBe(FIRST);
    expect(bench.kernel.frames.filter(({ kind }) => kind === "arp")).toEqual([]);
  });

  test("that somebody has is declined, and who has it is told", async () => {
    await using bench = new DhcpModeBench();
    const stranger = "02:00:00:00:00:66" as MacAddress;
    bench.strangers.set(FIRST as IpAddress, stranger);
    await bench.mode.up(bench.want(1), signal);
    await bench.advance(200);
    expect(bench.news().at(-1)).toBe(`DECLINE 0.0.0.0 ${ALL} ${BROADCAST_MAC}`);
    expect(seenOf(bench)).toMatchObject({ lease: undefined, trouble: { type: "declined", address: FIRST, server: SERVER, by: stranger } });
    await bench.advance(11_000);
    expect(seenOf(bench)).toMatchObject({ phase: "bound", trouble: undefined, lease: { address: "10.77.0.152" } });
  });

  test("is asked for for ever while no server answers, and others are not held up", async () => {
    await using bench = new DhcpModeBench();
    bench.answering = false;
    await bench.mode.up(bench.want(1), signal);
    await bench.advance(30_000);
    expect(bench.news().length).toBe(4); // at 0, 4, 12 and 28 s
    expect(seenOf(bench)).toMatchObject({ phase: "selecting", sends: 4, seekingSince: 1000 });
    bench.answering = true;
    await bench.mode.up(bench.want(2), signal);
    await bench.advance(100);
    expect(bench.seen.get(bench.want(2).key)?.phase).toBe("bound");
  });
});

describe("a lease", () => {
  test("is renewed by unicast from its address, with the MAC that the server answered from; then by broadcast; then it is lost", async () => {
    await using bench = await leased();
    await bench.advance(50_000);
    expect(bench.news()).toEqual([`REQUEST ${FIRST} ${SERVER} ${SERVER_MAC}`]);
    bench.answering = false;
    await bench.advance(95_000);
    expect(bench.news().at(-1)).toBe(`REQUEST ${FIRST} ${ALL} ${BROADCAST_MAC}`);
    expect(seenOf(bench)).toMatchObject({ phase: "rebinding", lease: { address: FIRST } });
    await bench.advance(10_000);
    expect(seenOf(bench)).toMatchObject({ lease: undefined, trouble: { type: "lost", address: FIRST, reason: "expired" } });
  });

  test.each([["unwanted", ["RELEASE"]], ["notOwner", []], ["leftover", []]] as const)("that goes because it is %s: %j", async (reason, told) => {
    await using bench = await leased();
    await bench.mode.down(bench.want(1).key, reason, signal);
    await bench.advance(20);
    expect(bench.messages.map(({ type }) => type)).toEqual(told);
    expect(bench.seen.size).toBe(0);
    expect(bench.open()).toBe(0);
  });

  test("is not given back by the end of the process, and the next life gets it by its address", async () => {
    await using bench = await leased();
    await bench.mode[Symbol.asyncDispose]();
    expect(bench.open()).toBe(0);
    const next = bench.reborn();
    await next.up(bench.want(1, { requestedAddress: FIRST as IpAddress }), signal);
    await bench.advance(100);
    expect(bench.messages.map(({ type, message }) => `${type} ${message.options.requestedAddress}`)).toEqual([`REQUEST ${FIRST}`]);
    expect(seenOf(bench)?.lease?.address).toBe(FIRST);
    await next[Symbol.asyncDispose]();
  });

  test("is verified when its link was made anew, by the new one", async () => {
    await using bench = await leased();
    bench.kernel.linkList.push({ ...fakeLink(99, "vip-1"), kind: "macvlan", mac: bench.want(1).mac });
    await bench.mode.up(bench.want(1, { linkIndex: 99 }), signal);
    await bench.advance(20);
    expect(bench.messages.map(({ type, linkIndex, message }) => `${type} ${linkIndex} ${message.options.requestedAddress}`)).toEqual([`REQUEST 99 ${FIRST}`]);
    expect(bench.kernel.deliver(11, "dhcp", new Uint8Array(300))).toBe(0);
  });
});

describe("a hostile server", () => {
  test("is told in reasons, and keeps nobody from the right one", async () => {
    await using bench = new DhcpModeBench();
    bench.answering = false;
    await bench.mode.up(bench.want(1), signal);
    await bench.advance(10);
    const [asked] = bench.messages;
    if (asked === undefined) throw new Error("nothing was asked");
    const offer = { ...asked.message, op: BOOTREPLY, yiaddr: FIRST as IpAddress, options: { messageType: DHCPOFFER, serverId: SERVER, leaseSeconds: 100, other: new Map<number, Uint8Array>() } } as const;
    bench.kernel.deliver(11, "dhcp", new Uint8Array(10));
    bench.deliver(11, { ...offer, yiaddr: "239.1.1.1" as IpAddress });
    bench.deliver(11, { ...offer, options: { ...offer.options, leaseSeconds: 0 } });
    bench.deliver(11, { ...offer, options: { messageType: DHCPOFFER, leaseSeconds: 100, other: new Map() } });
    bench.deliver(11, { ...offer, options: { ...offer.options, messageType: DHCPACK } });
    // Ordinary on a link with others: no news.
    bench.deliver(11, { ...offer, xid: 7 });
    bench.deliver(11, { ...offer, chaddr: SERVER_MAC });
    expect(bench.dropped).toEqual(["malformed", "unusableAddress", "noLeaseTime", "noServer", "unexpectedType"]);
    bench.answering = true;
    bench.deliver(11, offer);
    await bench.advance(100);
    expect(seenOf(bench)).toMatchObject({ phase: "bound", lease: { address: FIRST } });
  });

  test("that sends ten thousand frames changes nothing, and reports no more than one state", async () => {
    await using bench = await leased();
    const before = seenOf(bench);
    for (let i = 0; i < 10_000; i += 1) bench.kernel.deliver(11, "dhcp", Uint8Array.from({ length: i % 400 }, (_, at) => (at * 31 + i) & 0xff));
    expect(bench.dropped.length).toBe(10_000);
    expect(seenOf(bench)).toBe(before);
    expect(bench.open()).toBe(3); // a socket for DHCP, one for ARP, and the timer of the renewal
  });
});

test("a link that takes no socket is an error that is tried again, and leaves nothing open", async () => {
  await using bench = new DhcpModeBench();
  const open = bench.kernel.openDhcp.bind(bench.kernel);
  bench.kernel.openDhcp = () => {
    throw Object.assign(new Error("open a dhcp socket on link 11: ENODEV"), { code: "ENODEV" });
  };
  await expect(bench.mode.up(bench.want(1), signal)).rejects.toThrow("ENODEV");
  expect(bench.open()).toBe(0);
  bench.kernel.openDhcp = open;
  await bench.mode.up(bench.want(1), signal);
  await bench.advance(100);
  expect(seenOf(bench)?.phase).toBe("bound");
});
