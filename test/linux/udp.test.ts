import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import { createNative } from "../../src/linux/native.js";
import { decodeSocketAddress, encodeSocketAddress } from "../../src/linux/socket-address.js";
import { decodeArrival } from "../../src/linux/udp-control.js";
import { createUdp } from "../../src/linux/udp.js";
import type { UdpDatagram } from "../../src/ports/udp.js";
import { FakeLog } from "../fakes/log.js";
import { fromHex, toHex } from "../wire/hex.js";

describe("socket addresses", () => {
  it.each([
    { address: "192.0.2.10", port: 3784, hex: "0200 0ec8 c000020a 0000000000000000" },
    { address: "2001:db8::10", port: 4784, hex: "0a00 12b0 00000000 20010db8000000000000000000000010 00000000" },
  ])("$address, bytes both ways", ({ address, port, hex }) => {
    expect(toHex(encodeSocketAddress({ address: address as IpAddress, port }))).toBe(hex.replaceAll(" ", ""));
    expect(decodeSocketAddress(fromHex(hex))).toEqual({ address, port });
  });

  it.each(["", "0200 0ec8", `0100 ${"00".repeat(20)}`, `0a00 ${"00".repeat(16)}`])("no address: %j", (hex) => {
    expect(decodeSocketAddress(fromHex(hex))).toBeUndefined();
  });
});

describe("control messages", () => {
  const ttl4 = "1400000000000000 00000000 02000000 fe000000 00000000";
  const info4 = "1c00000000000000 00000000 08000000 03000000 0a000001 0a000002 00000000";
  const hops6 = "1400000000000000 29000000 34000000 ff000000 00000000";
  const info6 = "2400000000000000 29000000 32000000 fe800000000000000000000000000001 05000000 00000000";

  it("say destination, link and TTL", () => {
    expect(decodeArrival(fromHex(info4 + ttl4), 4)).toEqual({ destination: "10.0.0.2", linkIndex: 3, ttl: 254 });
    expect(decodeArrival(fromHex(hops6 + info6), 6)).toEqual({ destination: "fe80::1", linkIndex: 5, ttl: 255 });
  });

  it.each([
    ["nothing", "", 4],
    ["no TTL", info4, 4],
    ["no link", ttl4, 4],
    ["of the other family", info4 + ttl4, 6],
    ["a length of 0", "00".repeat(64), 4],
    ["a length beyond the end", info4.replace("1c", "ff") + ttl4, 4],
    ["cut off", (info4 + ttl4).slice(0, -20), 4],
  ] as const)("undefined: %s", (_name, hex, family) => {
    expect(decodeArrival(fromHex(hex), family)).toBeUndefined();
  });
});

describe("udp", () => {
  it.each(["127.0.0.1", "::1"])("carries datagrams over %s, with TTL, from a port of the range", async (text) => {
    const address = text as IpAddress;
    const family = text === "::1" ? 6 : 4;
    const log = new FakeLog();
    const udp = createUdp({ native: createNative(), log, random: { float: () => 0.999 } });
    const got: UdpDatagram[] = [];
    let wake = (): void => {};
    const onDatagram = (datagram: UdpDatagram): void => {
      got.push(datagram);
      wake();
      if (got.length === 1) throw new Error("one bad datagram");
    };
    // The port that is free: of two receivers one has it.
    const port = 40_000 + (process.pid % 9000) * 2 + (family === 6 ? 1 : 0);
    const receiver = udp.receive({ port, family }, onDatagram);
    expect(() => udp.receive({ port, family }, onDatagram)).toThrow(expect.objectContaining({ code: "EADDRINUSE" }) as Error);
    const route = { to: address, port, from: address, iface: "lo", ttl: 77, fromPorts: { first: 61_234, last: 61_299 } };
    const sender = udp.connect(route);
    const other = udp.connect(route);
    sender.send(Uint8Array.of(1, 2, 3));
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    sender.send(new Uint8Array(0));
    other.send(Uint8Array.of(4));
    receiver.drain();
    expect(got).toMatchObject([
      { source: text, destination: text, ttl: 77, linkIndex: 1, bytes: Uint8Array.of(1, 2, 3) },
      { bytes: new Uint8Array(0) },
      { bytes: Uint8Array.of(4) },
    ]);
    expect(sender.linkIndex).toBe(1);
    expect(log.lines).toMatchObject([{ level: "warn", message: "datagram dropped", error: "one bad datagram" }]);
    await receiver[Symbol.asyncDispose]();
    // Nobody listens any more: the second send says so of the first.
    sender.send(Uint8Array.of(5));
    expect(() => sender.send(Uint8Array.of(6))).toThrow(expect.objectContaining({ code: "ECONNREFUSED" }) as Error);
    sender[Symbol.dispose]();
    sender[Symbol.dispose]();
    other[Symbol.dispose]();
    expect(() => sender.send(Uint8Array.of(7))).toThrow(expect.objectContaining({ code: "EBADF" }) as Error);
  });

  it("says what it tried", () => {
    const udp = createUdp({ native: createNative(), log: new FakeLog(), random: { float: () => 0 } });
    const route = { to: "127.0.0.1" as IpAddress, port: 9, from: "192.0.2.1" as IpAddress, iface: undefined, ttl: 255, fromPorts: { first: 50_000, last: 50_003 } };
    expect(() => udp.connect(route)).toThrow("open a UDP socket to 127.0.0.1: EADDRNOTAVAIL");
  });
});
