import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import { BfdSessions, bfdKey } from "../../src/modes/bfd.js";
import type { BfdReport, BfdTarget } from "../../src/ports/bfd.js";
import type { UdpDatagram } from "../../src/ports/udp.js";
import { decodeBfd, encodeBfd, type BfdPacket, type BfdState } from "../../src/wire/bfd.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { FakeUdp, udpError } from "../fakes/udp.js";

const TIMING = { receiveMs: 300, transmitMs: 300, multiplier: 3 };
const PEER = "10.0.0.2" as IpAddress;
const HERE = "10.0.0.1" as IpAddress;
const ONE: BfdTarget = { address: PEER, iface: "eth0", local: HERE, multihop: false };
const FAR: BfdTarget = { address: "10.9.9.9" as IpAddress, iface: undefined, local: undefined, multihop: true };

function setUp() {
  const clock = new FakeClock(0);
  const udp = new FakeUdp();
  const log = new FakeLog();
  let seed = 0;
  const random = { float: (): number => (seed = (seed + 0.37) % 1) };
  const bfd = new BfdSessions({ clock, udp, log, random });
  const reports: BfdReport[] = [];
  const changed = (report: BfdReport): void => void reports.push(report);
  /** A packet of the peer, as it comes off the wire. */
  const hear = (state: BfdState, fields: Partial<BfdPacket> = {}, datagram: Partial<UdpDatagram> = {}, port = 3784): void => {
    const packet: BfdPacket = {
      diagnostic: 0,
      state,
      poll: false,
      final: false,
      controlPlaneIndependent: false,
      demand: false,
      multipoint: false,
      multiplier: 3,
      myDiscriminator: 7,
      yourDiscriminator: 0,
      desiredMinTx: 100_000,
      requiredMinRx: 100_000,
      requiredMinEchoRx: 0,
      authentication: undefined,
      ...fields,
    };
    udp.arrive(port, { source: PEER, bytes: encodeBfd(packet), ...datagram });
  };
  const last = (): BfdPacket => decodeBfd(udp.sent.at(-1)?.bytes ?? new Uint8Array());
  const end = async (): Promise<void> => {
    const ended = bfd[Symbol.asyncDispose]();
    await clock.advance(100);
    await ended;
    expect([clock.pending, udp.openSenders, udp.openReceivers]).toEqual([0, 0, []]);
  };
  const goUp = async (): Promise<void> => {
    await clock.advance(0);
    hear("Down");
    udp.deliver();
    hear("Up", { yourDiscriminator: last().myDiscriminator, final: true });
    udp.deliver();
  };
  return { clock, udp, log, bfd, reports, changed, hear, last, end, goUp };
}

describe("BFD over UDP", () => {
  it("sends by the link, from a port of its own, with TTL 255, and hears on 3784", async () => {
    const { clock, udp, bfd, changed, last, end } = setUp();
    bfd.open(ONE, TIMING, changed);
    expect(udp.sent).toEqual([]);
    await clock.advance(0);
    expect(udp.sent[0]?.route).toEqual({ to: PEER, port: 3784, from: HERE, iface: "eth0", ttl: 255, fromPorts: { first: 49_152, last: 65_535 } });
    expect(udp.openReceivers).toEqual(["3784/4"]);
    expect(last()).toMatchObject({ state: "Down", yourDiscriminator: 0 });
    expect(last().myDiscriminator).toBeGreaterThan(0);
    await end();
  });

  it("multihop: 4784, any link, any TTL", async () => {
    const { clock, udp, bfd, hear, changed, reports, end } = setUp();
    bfd.open(FAR, TIMING, changed);
    await clock.advance(0);
    expect(udp.sent[0]?.route).toMatchObject({ port: 4784, iface: undefined, ttl: 255 });
    // The same words on the other port are for nobody.
    hear("Down", {}, { source: FAR.address });
    udp.deliver();
    expect(reports).toEqual([]);
    hear("Down", {}, { source: FAR.address, ttl: 3, linkIndex: 9 }, 4784);
    udp.deliver();
    expect(reports.map(({ state }) => state)).toEqual(["Init"]);
    await end();
  });

  it("goes up and down, tells and logs it", async () => {
    const { clock, bfd, log, changed, reports, goUp, end } = setUp();
    const session = bfd.open(ONE, TIMING, changed);
    await goUp();
    expect(session.report()).toMatchObject({ state: "Up", detectMs: 900, transmitMs: 300, remoteState: "Up", counters: { sent: 3, received: 2, ups: 1, downs: 0 } });
    await clock.advance(1000);
    expect(session.report()).toMatchObject({ state: "Down", since: 900, diagnostic: "control detection time expired", remoteState: undefined, counters: { ups: 1, downs: 1 } });
    expect(reports.map(({ state }) => state)).toEqual(["Init", "Up", "Down"]);
    expect(log.lines.map(({ level, message }) => `${level} ${message}`)).toEqual(["info bfd up", "warn bfd down"]);
    await end();
  });

  it("was held up for ten seconds while packets came: the session stays up", async () => {
    const { clock, bfd, hear, last, changed, reports, goUp, end } = setUp();
    bfd.open(ONE, TIMING, changed);
    await goUp();
    hear("Up", { yourDiscriminator: last().myDiscriminator });
    await clock.freeze(10_000);
    expect(reports.map(({ state }) => state)).toEqual(["Init", "Up"]);
    await clock.advance(899);
    expect(reports).toHaveLength(2);
    await clock.advance(1);
    expect(reports.at(-1)).toMatchObject({ state: "Down" });
    await end();
  });

  it.each([
    { name: "TTL 254", datagram: { ttl: 254 }, discarded: 1 },
    { name: "another link", datagram: { linkIndex: 3 }, discarded: 1 },
    { name: "another address", datagram: { source: "10.0.0.3" as IpAddress }, discarded: 0 },
    { name: "to another address of ours", datagram: { destination: "10.0.0.77" as IpAddress }, discarded: 0 },
    { name: "octets that are no packet", datagram: { bytes: Uint8Array.of(0x20, 1, 2) }, discarded: 0 },
  ])("does not hear: $name", async ({ datagram, discarded }) => {
    const { clock, udp, bfd, hear, changed, reports, end } = setUp();
    const session = bfd.open(ONE, TIMING, changed);
    await clock.advance(0);
    hear("Down", {}, datagram);
    udp.deliver();
    expect(reports).toEqual([]);
    expect(session.report().counters).toMatchObject({ received: 0, discarded });
    hear("Down");
    udp.deliver();
    expect(reports).toHaveLength(1);
    await end();
  });

  it("once the peer says our discriminator, its address does not matter, and another session's number does", async () => {
    const { udp, bfd, hear, last, changed, reports, goUp, end } = setUp();
    const session = bfd.open(ONE, TIMING, changed);
    await goUp();
    hear("Down", { yourDiscriminator: (last().myDiscriminator ^ 1) >>> 0 });
    udp.deliver();
    expect(session.report()).toMatchObject({ state: "Up", counters: { received: 2 } });
    hear("Down", { yourDiscriminator: last().myDiscriminator }, { source: "10.0.0.3" as IpAddress });
    udp.deliver();
    expect(reports.at(-1)).toMatchObject({ state: "Down", diagnostic: "neighbor signaled session down" });
    await end();
  });

  it("two sessions with one peer, by two links, are told apart", async () => {
    const { clock, udp, bfd, hear, changed, end } = setUp();
    udp.links.set("eth1", 3);
    const target = { ...ONE, address: "fe80::2" as IpAddress, local: undefined };
    const sessions = [bfd.open(target, TIMING, changed), bfd.open({ ...target, iface: "eth1" }, TIMING, changed)];
    await clock.advance(0);
    hear("Down", {}, { source: target.address, linkIndex: 3 });
    udp.deliver();
    expect(sessions.map((one) => one.report().state)).toEqual(["Down", "Init"]);
    expect(() => bfd.open(target, TIMING, changed)).toThrow(RangeError);
    expect(bfdKey(target)).toBe("fe80::2%eth0");
    await end();
  });

  it("says what is wrong, once, and tries again", async () => {
    const { clock, udp, bfd, log, changed, end } = setUp();
    udp.receiveError = udpError("EADDRINUSE");
    const session = bfd.open({ ...ONE, iface: "later0" }, TIMING, changed);
    await clock.advance(3000);
    expect(session.report()).toMatchObject({ state: "Down", problem: "udp: ENODEV", counters: { sent: 0, notSent: 4 } });
    expect(log.lines.map(({ message, problem }) => [message, problem])).toEqual([["bfd has a problem", "udp: ENODEV"]]);
    udp.links.set("later0", 5);
    await clock.advance(1000);
    expect(session.report()).toMatchObject({ problem: "udp: EADDRINUSE", counters: { sent: 1 } });
    udp.receiveError = undefined;
    await clock.advance(1000);
    expect(session.report()).toMatchObject({ problem: undefined, counters: { sent: 2 } });
    await end();
  });

  it("a host where nobody listens is named, until something is heard; packets still go out", async () => {
    const { clock, udp, bfd, hear, changed, end } = setUp();
    const session = bfd.open(ONE, TIMING, changed);
    await clock.advance(0);
    udp.sendErrors.push(udpError("ECONNREFUSED"));
    await clock.advance(1000);
    expect(session.report()).toMatchObject({ problem: "10.0.0.2 does not listen on UDP port 3784", counters: { sent: 2, notSent: 0 } });
    expect(udp.openSenders).toBe(1);
    hear("Down");
    udp.deliver();
    expect(session.report().problem).toBeUndefined();
    await end();
  });

  it("disposed: AdminDown is said, then nothing; the same target may be opened again meanwhile", async () => {
    const { clock, udp, bfd, last, changed, reports, goUp, end } = setUp();
    const session = bfd.open(ONE, TIMING, changed);
    await goUp();
    const before = last().myDiscriminator;
    session[Symbol.dispose]();
    session[Symbol.dispose]();
    expect(last()).toMatchObject({ state: "AdminDown", diagnostic: 7, myDiscriminator: before, yourDiscriminator: 7 });
    bfd.open(ONE, TIMING, changed);
    await clock.advance(100);
    // The old one is silent at once, so that the peer hears one voice.
    expect(last()).toMatchObject({ state: "Down" });
    expect(last().myDiscriminator).not.toBe(before);
    expect(udp.openSenders).toBe(1);
    expect(reports.at(-1)).toMatchObject({ state: "Up" });
    await end();
    expect(last()).toMatchObject({ state: "AdminDown" });
  });
});
