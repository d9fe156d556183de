import { describe, expect, test } from "vitest";
import type { UpdateContext } from "../../../src/wire/bgp/attribute.js";
import { decodeMessage, encodeMessage, type BgpMessage } from "../../../src/wire/bgp/message.js";
import { communicationOf } from "../../../src/wire/bgp/notification.js";
import { asOf, type Open } from "../../../src/wire/bgp/open.js";
import { endOfRib, routeChanges, type ReceivedUpdate } from "../../../src/wire/bgp/update.js";
import { fuzzDecode } from "../fuzz.js";
import { toHex } from "../hex.js";
import { allGolden, DAEMONS, goldenMessages } from "./golden.js";

const EBGP: UpdateContext = { asSize: 4, internal: false, addPath: [] };
const IBGP: UpdateContext = { asSize: 4, internal: true, addPath: [] };

type Daemon = (typeof DAEMONS)[number];

/** What the daemon itself sent; of the recording of two BIRDs, both sides. */
function decoded(daemon: Daemon): readonly BgpMessage[] {
  const context = daemon === "exabgp" ? IBGP : EBGP;
  return goldenMessages(daemon).flatMap(({ sender, octets }) => (sender === daemon ? [decodeMessage(octets, context)] : []));
}

function openOf(daemon: Daemon): Open {
  const message = decoded(daemon).findLast(({ type }) => type === "open");
  if (message?.type !== "open") throw new Error(`no OPEN of ${daemon}`);
  return message.open;
}

function updatesOf(daemon: Daemon): readonly ReceivedUpdate[] {
  return decoded(daemon).flatMap((message) => (message.type === "update" ? [message.update] : []));
}

/** The update that announces this prefix. */
function announcing(daemon: Daemon, address: string): ReceivedUpdate {
  const found = updatesOf(daemon).find((update) => routeChanges(update).some(({ announced }) => announced.some((prefix) => prefix.address === address)));
  if (found === undefined) throw new Error(`${daemon} does not announce ${address}`);
  return found;
}

describe.each(DAEMONS)("what %s sends", (daemon) => {
  const context = daemon === "exabgp" ? IBGP : EBGP;
  const messages = goldenMessages(daemon);

  test("is understood without a fault, and says the same when we send it", () => {
    expect(messages.length).toBeGreaterThan(10);
    for (const { octets } of messages) {
      const message = decodeMessage(octets, context);
      if (message.type === "update") expect(message.update.faults, toHex(octets)).toEqual([]);
      const again = encodeMessage(message, context);
      expect(decodeMessage(again, context)).toEqual(message);
      expect(toHex(encodeMessage(decodeMessage(again, context), context))).toBe(toHex(again));
    }
  });

  test("offers both families and four-octet AS numbers", () => {
    expect(openOf(daemon).capabilities).toEqual(
      expect.arrayContaining([{ kind: "multiprotocol", afi: 1, safi: 1 }, { kind: "multiprotocol", afi: 2, safi: 1 }, expect.objectContaining({ kind: "fourOctetAs" })]),
    );
  });

  test("has End-of-RIB for both families", () => {
    const ends = messages.flatMap(({ octets }) => {
      const message = decodeMessage(octets, context);
      const family = message.type === "update" ? endOfRib(message.update) : undefined;
      return family === undefined ? [] : [family];
    });
    expect(new Set(ends)).toEqual(new Set([4, 6]));
  });
});

describe("the OPEN of", () => {
  const unknown = (open: Open): readonly number[] => open.capabilities.flatMap((capability) => (capability.kind === "unknown" ? [capability.code] : []));

  test("BIRD with a large AS has AS_TRANS in the header", () => {
    const open = openOf("bird");
    expect([open.as, asOf(open), open.holdSeconds, open.routerId]).toEqual([23_456, 4_200_000_001, 240, "10.77.0.2"]);
    expect(open.capabilities).toContainEqual({ kind: "addPath", entries: [{ afi: 1, safi: 1, mode: 1 }] });
    expect(open.capabilities).toContainEqual({ kind: "extendedMessage" });
    expect(open.capabilities).toContainEqual({ kind: "gracefulRestart", restarting: false, notification: false, seconds: 120, families: [] });
  });

  test("BIRD with extended next hops offers IPv4 over IPv6", () => {
    const [first] = decoded("bird");
    expect(first?.type === "open" && first.open.capabilities).toContainEqual({ kind: "extendedNextHop", entries: [{ afi: 1, safi: 1, nextHopAfi: 2 }] });
  });

  test("FRR has one parameter for each capability, some that we do not know, and graceful restart", () => {
    const open = openOf("frr");
    // Old route refresh (128), the host name (73), long-lived graceful restart (71).
    expect(unknown(open)).toEqual([128, 73, 71]);
    const families = [1, 2].map((afi) => ({ afi, safi: 1, forwarding: false }));
    expect(open.capabilities).toContainEqual({ kind: "gracefulRestart", restarting: true, notification: true, seconds: 120, families });
  });
});

describe("an UPDATE of", () => {
  test("BIRD: two IPv4 routes with one set of attributes", () => {
    const { nlri, attributes } = announcing("bird", "198.51.100.7");
    expect(nlri.map(({ address, length }) => `${address}/${length}`)).toEqual(["192.0.2.0/24", "198.51.100.7/32"]);
    expect(attributes).toEqual({
      origin: "igp",
      asPath: [{ kind: "sequence", as: [64_501] }],
      nextHop: "10.77.0.1",
      med: 50,
      communities: [0xfbf50064],
      extendedCommunities: ["0002fbf500000005"],
      largeCommunities: [{ global: 64_501, local1: 1, local2: 2 }],
    });
  });

  test("BIRD: IPv6 with a link-local next hop", () => {
    expect(announcing("bird", "2001:db8:1::").attributes.reach).toEqual({
      family: 6,
      nextHop: "fd77::1",
      linkLocal: "fe80::4c0f:82ff:fe89:fcef",
      prefixes: [{ address: "2001:db8:1::", length: 48 }],
    });
  });

  test("GoBGP: an IPv4-mapped next hop, and AIGP, which we keep as it is", () => {
    const { attributes } = announcing("gobgp", "2001:db8:2::1");
    expect(attributes.reach?.nextHop).toBe("::ffff:a4d:2");
    expect(attributes.unknown).toEqual([{ flags: 0x80, code: 26, value: Uint8Array.of(1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 5) }]);
  });

  test("ExaBGP: nearly every attribute there is", () => {
    const { attributes } = announcing("exabgp", "203.0.113.0");
    expect(attributes).toEqual({
      origin: "igp",
      asPath: [
        { kind: "sequence", as: [65_000] },
        { kind: "set", as: [65_001, 65_002] },
      ],
      nextHop: "10.77.0.2",
      localPref: 200,
      atomicAggregate: true,
      aggregator: { as: 65_000, routerId: "10.0.0.9" },
      originatorId: "10.0.0.8",
      clusterList: [0x0a000007],
      extendedCommunities: ["0002fbf500000009"],
      unknown: [{ flags: 0xc0, code: 99, value: Uint8Array.of(1, 2) }],
    });
  });

  test("each daemon: its prefixes are gone when it says so", () => {
    for (const daemon of ["bird", "frr", "gobgp"] as const) {
      const withdrawn = updatesOf(daemon).flatMap((update) => routeChanges(update).flatMap((change) => change.withdrawn.map(({ address, length }) => `${address}/${length}`)));
      expect(withdrawn, daemon).toEqual(["203.0.113.0/25", "2001:db8:2::1/128"]);
    }
  });
});

test("the reasons given for a shutdown are read", () => {
  const texts = DAEMONS.flatMap((daemon) => decoded(daemon).flatMap((message) => (message.type === "notification" ? [communicationOf(message.notification)] : [])));
  expect(texts).toEqual(["maintenance: rack 7", "fibre works until 14:00", "new switch", undefined, "see ticket 42"]);
});

test("the marks of an enhanced route refresh are read", () => {
  const refreshes = decoded("frr").flatMap((message) => (message.type === "refresh" ? [`${message.refresh.afi} ${message.refresh.subtype}`] : []));
  expect(refreshes).toEqual(["1 1", "2 1", "1 2", "2 2"]);
});

test("whatever is changed in these messages, the decoder throws DecodeError and nothing else, and what it decodes it can encode", () => {
  const contexts: readonly UpdateContext[] = [EBGP, IBGP, { asSize: 2, internal: false, addPath: [4, 6] }];
  const samples = allGolden().map(({ octets }) => octets);
  expect(samples.length).toBe(73);
  for (const context of contexts) {
    const { decoded: count } = fuzzDecode(samples, (octets) => {
      const message = decodeMessage(octets, context);
      const again = encodeMessage(message, context);
      const stable = encodeMessage(decodeMessage(again, context), context);
      if (toHex(stable) !== toHex(again)) throw new Error(`not stable: ${toHex(octets)}`);
    });
    expect(count).toBeGreaterThan(100);
  }
});
