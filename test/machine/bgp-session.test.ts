import { describe, expect, test } from "vitest";
import { decodeMessage, encodeMessage, framed, type BgpMessage } from "../../src/wire/bgp/message.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { Capability } from "../../src/wire/bgp/capability.js";
import { Drive } from "../../src/machine/drive.js";
import { bgpSessionStart, bgpStateName, establishedOf, type BgpSessionEvent } from "../../src/machine/bgp-session-state.js";
import { bgpSessionStep } from "../../src/machine/bgp-session.js";
import { FakeClock } from "../fakes/clock.js";
import { fromHex } from "../wire/hex.js";
import { Bench, briefAction, config, CONTEXT, FAMILIES, KEEPALIVE, notification, PEER_CAPABILITIES, peerOpen } from "./bgp-session-bench.js";

const REFRESH: BgpMessage = { type: "refresh", refresh: { afi: 1, safi: 1, subtype: 0, filters: new Uint8Array() } };
const UPDATE: BgpMessage = { type: "update", update: { withdrawn: [], attributes: {}, nlri: [], faults: [] } };

describe("the way up", () => {
  test("dial, OPEN, KEEPALIVE, established", () => {
    const bench = new Bench();
    expect([bench.name, bench.send({ type: "start", restarting: false }), bench.name]).toEqual(["Idle", ["out-1 dial"], "Connect"]);
    expect([bench.send({ type: "connected", id: "out-1" }), bench.name]).toEqual([["out-1 OPEN"], "OpenSent"]);
    expect([bench.hear("out-1", peerOpen()), bench.name]).toEqual([["out-1 KEEPALIVE"], "OpenConfirm"]);
    expect([bench.hear("out-1", KEEPALIVE), bench.name]).toEqual([["out-1 established"], "Established"]);
  });

  test("all in one piece, and octet by octet", () => {
    const whole = Bench.in("OpenSent");
    expect(whole.hear("out-1", peerOpen(), KEEPALIVE)).toEqual(["out-1 KEEPALIVE", "out-1 established"]);
    const pieces = Bench.in("OpenConfirm");
    for (const octet of framed(4, new Uint8Array())) pieces.send({ type: "data", id: "out-1", octets: Uint8Array.of(octet) });
    expect(pieces.name).toBe("Established");
  });

  test("a passive one waits to be dialled", () => {
    const bench = new Bench({ ...config, passive: true });
    expect([bench.send({ type: "start", restarting: false }), bench.name, bench.wakeAt]).toEqual([[], "Active", undefined]);
    expect(bench.send({ type: "accepted", id: "in-1" })).toEqual(["in-1 OPEN"]);
    expect([bench.hear("in-1", peerOpen(), KEEPALIVE), bench.name]).toEqual([["in-1 KEEPALIVE", "in-1 established"], "Established"]);
  });

  test("one that is not started takes nobody, and says so (RFC 4486 4)", () => {
    expect(new Bench().send({ type: "accepted", id: "in-1" })).toEqual(["in-1 NOTIFICATION 6/5", "in-1 close"]);
  });

  test("our OPEN says all that we can, a large AS as AS_TRANS, and that we follow a restart", () => {
    const bench = new Bench({ ...config, localAs: 4_200_000_000, extendedNextHop: true, gracefulRestartSeconds: 60 });
    bench.send({ type: "start", restarting: true });
    bench.send({ type: "connected", id: "out-1" });
    const [sent] = bench.actions.flatMap((action) => (action.type === "send" ? [decodeMessage(action.octets, CONTEXT)] : []));
    const forwarding = FAMILIES.map((family) => ({ afi: family.kind === "multiprotocol" ? family.afi : 0, safi: 1, forwarding: true }));
    const capabilities: readonly Capability[] = [
      ...FAMILIES,
      { kind: "routeRefresh" },
      { kind: "extendedNextHop", entries: [{ afi: 1, safi: 1, nextHopAfi: 2 }] },
      { kind: "extendedMessage" },
      { kind: "gracefulRestart", restarting: true, notification: true, seconds: 60, families: forwarding },
      { kind: "fourOctetAs", as: 4_200_000_000 },
      { kind: "enhancedRefresh" },
    ];
    expect(sent).toEqual({ type: "open", open: { as: 23_456, holdSeconds: 90, routerId: "10.0.0.1", capabilities } });
  });

  test("the OPEN names IPv4 also where it is the only family, for BIRD refuses one without", () => {
    const bench = Bench.in("OpenSent", { ...config, families: [4] });
    const [sent] = bench.actions.flatMap((action) => (action.type === "send" ? [decodeMessage(action.octets, CONTEXT)] : []));
    expect(sent?.type === "open" && sent.open.capabilities[0]).toEqual({ kind: "multiprotocol", afi: 1, safi: 1 });
  });

  test("runs on Drive: the hold timer ends a silent session at its second, and another dial follows", async () => {
    const clock = new FakeClock(0);
    const log: string[] = [];
    const drive: Drive<ReturnType<typeof bgpSessionStart>, BgpSessionEvent, Parameters<typeof briefAction>[0]> = new Drive(
      {
        start: bgpSessionStart(),
        step: (state, event: BgpSessionEvent, now) => bgpSessionStep(state, event, now, config),
        tick: () => ({ type: "tick", random: 0 }) as const,
        act: (action) => {
          log.push(...briefAction(action).map((text) => `${clock.now()} ${text}`));
          if (action.type === "flush") drive.send({ type: "writable", id: action.id, random: 0 });
        },
        moved: () => undefined,
      },
      clock,
    );
    drive.send({ type: "start", restarting: false, random: 0 });
    drive.send({ type: "connected", id: "out-1", random: 0 });
    for (const message of [peerOpen(), KEEPALIVE]) drive.send({ type: "data", id: "out-1", octets: encodeMessage(message, CONTEXT), random: 0 });
    expect(bgpStateName(drive.state)).toBe("Established");
    await clock.advance(91_000);
    expect(log.filter((line) => !line.includes("flush")).slice(-4)).toEqual(["90000 out-1 NOTIFICATION 4/0", "90000 out-1 close", "90000 ended by local: Hold Timer Expired", "90500 out-2 dial"]);
    drive.stop();
    expect(clock.pending).toBe(0);
  });
});

describe("a message that is not expected (RFC 6608)", () => {
  const messages: Readonly<Record<string, BgpMessage>> = { open: peerOpen(), update: UPDATE, keepalive: KEEPALIVE, refresh: REFRESH, notification: notification(6, 4) };
  const CODES: Readonly<Record<string, string>> = { open: "01", update: "02", keepalive: "04", refresh: "05" };
  const expected: Readonly<Record<"OpenSent" | "OpenConfirm" | "Established", readonly string[]>> = {
    OpenSent: ["open"],
    OpenConfirm: ["keepalive"],
    Established: ["update", "keepalive", "refresh"],
  };
  const rows = (["OpenSent", "OpenConfirm", "Established"] as const).flatMap((phase, index) => Object.keys(messages).map((name) => ({ phase, name, subcode: index + 1 })));

  test.each(rows)("$name in $phase", ({ phase, name, subcode }) => {
    const bench = Bench.in(phase);
    const message = messages[name] ?? KEEPALIVE;
    const heard = bench.hear("out-1", message);
    if (name === "notification") {
      expect(heard).toEqual(["out-1 close hard", "ended by peer: Cease/Administrative Reset"]);
    } else if (expected[phase].includes(name)) {
      expect(heard.join()).not.toContain("NOTIFICATION");
      expect(bench.name).not.toBe("Active");
    } else {
      expect(heard.slice(0, 2)).toEqual([`out-1 NOTIFICATION 5/${subcode} ${CODES[name]}`, "out-1 close"]);
      expect(bench.name).toBe("Active");
    }
  });

  test.each(["OpenSent", "OpenConfirm", "Established"] as const)("what follows it in %s is not looked at", (phase) => {
    expect(Bench.in(phase).hear("out-1", peerOpen({ holdSeconds: 1 }), peerOpen(), UPDATE).filter((line) => line.includes("NOTIFICATION"))).toHaveLength(1);
  });
});

describe("an OPEN is refused", () => {
  const without = (kind: string): readonly Capability[] => PEER_CAPABILITIES.filter((capability) => capability.kind !== kind);
  const as4 = (as: number): readonly Capability[] => [...FAMILIES, { kind: "fourOctetAs", as }];
  const rows: Readonly<Record<string, readonly [open: BgpMessage, told: string, change?: Partial<typeof config>]>> = {
    "of another AS": [peerOpen({ as: 64_502, capabilities: FAMILIES }), "2/2"],
    "of another AS in four octets": [peerOpen({ capabilities: as4(64_502) }), "2/2"],
    "with two different AS numbers": [peerOpen({ as: 64_502, capabilities: as4(64_501) }), "2/2"],
    "of AS 0 (RFC 7607)": [peerOpen({ as: 0, capabilities: as4(0) }), "2/2", { peerAs: "external" }],
    "of our AS where it must be another": [peerOpen({ as: 64_500, capabilities: as4(64_500) }), "2/2", { peerAs: "external" }],
    "of another AS where it must be ours": [peerOpen(), "2/2", { peerAs: "internal" }],
    "with identifier 0.0.0.0": [peerOpen({ routerId: "0.0.0.0" }), "2/3"],
    "with our identifier in our AS": [peerOpen({ routerId: "10.0.0.1", as: 64_500, capabilities: as4(64_500) }), "2/3", { peerAs: 64_500 }],
    "with a hold time of 1 s": [peerOpen({ holdSeconds: 1 }), "2/6"],
    "with a hold time of 2 s": [peerOpen({ holdSeconds: 2 }), "2/6"],
    "without four-octet AS numbers where they are required": [peerOpen({ capabilities: without("fourOctetAs") }), "2/7 41040000fbf4", { requireFourOctetAs: true }],
    "without any of our families": [peerOpen({ capabilities: [{ kind: "multiprotocol", afi: 2, safi: 1 }] }), "2/7 010400010001", { families: [4] }],
    "without the capability where we have IPv6 alone": [peerOpen({ capabilities: [] }), "2/7 010400020001", { families: [6] }],
  };
  test.each(Object.entries(rows))("%s", (_name, [open, told, change]) => {
    const bench = Bench.in("OpenSent", { ...config, ...change });
    expect(bench.hear("out-1", open).slice(0, 2)).toEqual([`out-1 NOTIFICATION ${told}`, "out-1 close"]);
    expect([bench.name, bench.state.lastEnd?.wasEstablished]).toEqual(["Active", false]);
  });

  test.each([
    ["version 3", "03 fbf5 005a 0a000002 00", "2/1 0004"],
    ["an unknown parameter", "04 fbf5 005a 0a000002 02 0100", "2/4"],
  ])("with %s", (_name, hex, told) => {
    const bench = Bench.in("OpenSent");
    expect(bench.send({ type: "data", id: "out-1", octets: framed(1, fromHex(hex)) })[0]).toBe(`out-1 NOTIFICATION ${told}`);
  });

  test("a bad header, too, in every state", () => {
    for (const phase of ["OpenSent", "OpenConfirm", "Established"] as const) {
      expect(Bench.in(phase).send({ type: "data", id: "out-1", octets: new Uint8Array(19) })[0]).toBe("out-1 NOTIFICATION 1/1");
    }
  });
});

describe("what was agreed on", () => {
  const agreed = (open: BgpMessage, change: Partial<typeof config> = {}) => establishedOf(Bench.in("Established", { ...config, ...change }, open).state)?.negotiated;

  test("our identifier with another AS is fine (RFC 6286)", () => {
    expect(agreed(peerOpen({ routerId: "10.0.0.1" }))?.peerRouterId).toBe("10.0.0.1");
  });

  test("the shorter hold time, and a third of it", () => {
    expect(agreed(peerOpen({ holdSeconds: 9 }))).toMatchObject({ holdMs: 9000, keepaliveMs: 3000 });
    expect(agreed(peerOpen({ holdSeconds: 240 }))).toMatchObject({ holdMs: 90_000, keepaliveMs: 30_000 });
    expect(agreed(peerOpen({ holdSeconds: 3 }))).toMatchObject({ holdMs: 3000, keepaliveMs: 1000 });
    expect(agreed(peerOpen(), { keepaliveSeconds: 10 })).toMatchObject({ keepaliveMs: 10_000 });
    expect(agreed(peerOpen({ holdSeconds: 9 }), { keepaliveSeconds: 10 })).toMatchObject({ keepaliveMs: 3000 });
  });

  test("families, AS size and message size that both have", () => {
    expect(agreed(peerOpen())).toMatchObject({ families: [4, 6], asSize: 4, mostOctets: 4096, internal: false, peerAs: 64_501 });
    expect(agreed(peerOpen({ capabilities: [] }))).toMatchObject({ families: [4], asSize: 2 });
    expect(agreed(peerOpen({ capabilities: [...PEER_CAPABILITIES, { kind: "extendedMessage" }] }))?.mostOctets).toBe(65_535);
    expect(agreed(peerOpen({ capabilities: [...PEER_CAPABILITIES, { kind: "extendedMessage" }] }), { extendedMessages: false })?.mostOctets).toBe(4096);
    const hop: Capability = { kind: "extendedNextHop", entries: [{ afi: 1, safi: 1, nextHopAfi: 2 }] };
    expect([true, false].map((extendedNextHop) => agreed(peerOpen({ capabilities: [...PEER_CAPABILITIES, hop] }), { extendedNextHop })?.extendedNextHop)).toEqual([true, false]);
  });

  test("an AS that may be any other", () => {
    expect(agreed(peerOpen(), { peerAs: "external" })).toMatchObject({ peerAs: 64_501, internal: false });
    expect(agreed(peerOpen({ as: 64_500, capabilities: FAMILIES }), { peerAs: "internal" })).toMatchObject({ peerAs: 64_500, internal: true });
  });

  test("graceful restart only where both have it", () => {
    const capability: Capability = { kind: "gracefulRestart", restarting: false, notification: true, seconds: 120, families: [] };
    const open = peerOpen({ capabilities: [...PEER_CAPABILITIES, capability] });
    expect(agreed(open)).toMatchObject({ gracefulRestart: undefined, notificationRestart: false });
    expect(agreed(open, { gracefulRestartSeconds: 60 })).toMatchObject({ gracefulRestart: capability, notificationRestart: true });
    expect(agreed(peerOpen(), { gracefulRestartSeconds: 60, routerId: "10.9.9.9" as IpAddress })).toMatchObject({ gracefulRestart: undefined });
  });
});
