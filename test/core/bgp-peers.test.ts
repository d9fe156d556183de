import { describe, expect, test } from "vitest";
import type { BgpPeerDraft } from "../../src/config/bgp-peer-draft.js";
import { bgpPeers, type BgpPeerFacts, type BgpPeers } from "../../src/core/bgp-peers.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { bgpPeer, bgpSettings, NO_FACTS } from "./bgp-given.js";

const ip = (text: string): IpAddress => text as IpAddress;
const SUBNETS: BgpPeerFacts["subnets"] = new Map([
  ["lo", [{ address: ip("127.0.0.1"), prefix: 8 }, { address: ip("10.255.0.1"), prefix: 32 }]],
  ["eth0", [{ address: ip("192.0.2.11"), prefix: 24 }, { address: ip("fe80::11"), prefix: 64 }, { address: ip("2001:db8::11"), prefix: 64 }]],
  ["eth1", [{ address: ip("198.51.100.11"), prefix: 24 }]],
]);

function peers(env: Readonly<Record<string, string>>, facts: Partial<BgpPeerFacts> = {}): BgpPeers {
  return bgpPeers(bgpSettings(env), { ...NO_FACTS, subnets: SUBNETS, ...facts });
}

const DRAFT: BgpPeerDraft = { from: "file, peer 1", address: ip("192.0.2.2"), peerAs: 64_512 };

describe("peers of settings", () => {
  test("have the defaults of the settings", () => {
    expect(peers({ bgp_peers: "192.0.2.1:65001" })).toEqual({ problems: [], peers: [bgpPeer()] });
  });

  test("are those of the list, then bgp_peeraddress with what is its own", () => {
    const { peers: made, problems } = peers({ bgp_peers: "192.0.2.1:65001:pw", bgp_peeraddress: "192.0.2.3", bgp_peeras: "7", bgp_peerpass: "own", bgp_multihop: "true" });
    expect(problems).toEqual([]);
    expect(made).toMatchObject([{ name: "192.0.2.1", password: "pw", multihopTtl: undefined }, { name: "192.0.2.3", peerAs: 7, password: "own", multihopTtl: 50 }]);
  });

  test("have what is said for all of them", () => {
    const env = { bgp_hold_time: "9", bgp_keepalive_interval: "2", bgp_sourceip: "192.0.2.11", bgp_sourceif: "eth0", bgp_routerid: "192.0.2.9", bgp_passive: "true", bgp_ttl_security: "1", bgp_graceful_restart: "60", bgp_bfd: "50x3", bgp_communities: "65000:1,1:2:3", bgp_local_pref: "200", bgp_med: "0", bgp_prepend: "2" };
    const { peers: made, problems } = peers({ ...env, bgp_peers: "192.0.2.1:65001,[2001:db8::1]:65001" });
    expect(problems).toEqual([]);
    const common = { holdSeconds: 9, keepaliveSeconds: 2, iface: "eth0", routerId: "192.0.2.9", passive: true, ttlSecurityHops: 1, gracefulRestartSeconds: 60, bfd: { receiveMs: 50, transmitMs: 50, multiplier: 3 } };
    const policy = { communities: [0xfde80001], largeCommunities: [{ global: 1, local1: 2, local2: 3 }], localPref: 200, med: 0, prepend: 2 };
    // A source address of the other family is not theirs.
    expect(made).toMatchObject([{ ...common, policy, sourceAddress: "192.0.2.11", families: [4] }, { ...common, policy, sourceAddress: undefined, families: [6] }]);
  });

  test("a hold time of the peer's own takes the keepalive time with it", () => {
    const { peers: made } = peers({ bgp_hold_time: "90", bgp_keepalive_interval: "30" }, { drafts: [{ ...DRAFT, holdSeconds: 9 }] });
    expect(made).toMatchObject([{ holdSeconds: 9, keepaliveSeconds: undefined }]);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string | undefined, number]>([
    ["the ID comes before the link", { bgp_routerid: "192.0.2.9", bgp_routerinterface: "eth1" }, "192.0.2.9", 0],
    ["of the link, the first IPv4 address that is not loopback's", { bgp_routerinterface: "lo" }, "10.255.0.1", 0],
    ["a link that is not there is told", { bgp_routerinterface: "eth9" }, undefined, 1],
  ])("router ID: %s", (_name, env, routerId, lines) => {
    const { peers: made, problems } = peers({ bgp_peers: "192.0.2.1:65001", ...env });
    expect(made[0]?.routerId).toBe(routerId);
    expect(problems).toHaveLength(lines);
  });
});

describe("MP-BGP", () => {
  test.each<readonly [string, Readonly<Record<string, string>>, object]>([
    ["fixed", { mpbgp_nexthop: "fixed", mpbgp_ipv6: "2001:db8::9" }, { families: [4, 6], nextHop: { 6: "2001:db8::9" } }],
    ["by the source address", { mpbgp_nexthop: "auto_sourceip", bgp_sourceip: "192.0.2.11" }, { families: [4, 6], nextHop: { 4: "192.0.2.11", 6: "2001:db8::11" } }],
    ["by the source interface", { mpbgp_nexthop: "auto_sourceif", bgp_sourceif: "eth0" }, { families: [4, 6], nextHop: { 4: "192.0.2.11", 6: "2001:db8::11" } }],
  ])("%s: both families, with next hops", (_name, env, expected) => {
    const { peers: made, problems } = peers({ bgp_peers: "192.0.2.1:65001", ...env });
    expect(problems).toEqual([]);
    expect(made).toMatchObject([expected]);
  });

  test("of one peer comes before the setting", () => {
    const { peers: made } = peers({ mpbgp_nexthop: "fixed", mpbgp_ipv6: "2001:db8::9", bgp_peers: "192.0.2.1:65001::::mpbgp_nexthop=fixed;mpbgp_ipv6=2001:db8::8" });
    expect(made[0]?.nextHop).toEqual({ 6: "2001:db8::8" });
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string]>([
    ["fixed without an address", { mpbgp_nexthop: "fixed" }, 'mpbgp_nexthop="fixed": expected mpbgp_ipv4 or mpbgp_ipv6'],
    ["a source address that no link has", { mpbgp_nexthop: "auto_sourceip", bgp_sourceip: "192.0.2.99" }, "that a link of this node has"],
    ["no source interface", { mpbgp_nexthop: "auto_sourceif" }, "expected a source interface (bgp_sourceif)"],
    ["a link without IPv6", { mpbgp_nexthop: "auto_sourceif", bgp_sourceif: "eth1" }, "eth1 has no IPv6 address that could be a next hop"],
  ])("%s is told, and the peer stays", (_name, env, text) => {
    const { peers: made, problems } = peers({ bgp_peers: "192.0.2.1:65001", ...env });
    expect(made).toHaveLength(1);
    expect(problems).toEqual([expect.stringContaining(text)]);
  });
});

describe("one peer that cannot be used", () => {
  test.each<readonly [string, Partial<BgpPeerDraft>, string]>([
    ["a multicast address", { address: ip("224.0.0.5") }, "peer address 224.0.0.5: expected that of a router, this is a multicast address"],
    ["a link-local address without a link", { address: ip("fe80::1") }, "peer address fe80::1: expected the link of a link-local address"],
    ["no address and no link", { address: undefined }, "expected a peer address, or the link of an unnumbered peer"],
    ["unnumbered, with multihop", { address: undefined, iface: "eth1", multihopTtl: 5 }, "multihop: an unnumbered peer is on the link eth1"],
    ["unnumbered, with GTSM of two hops", { address: undefined, iface: "eth1", ttlSecurityHops: 2 }, "ttl-security 2: expected 1, an unnumbered peer is on the link eth1"],
    ["unnumbered, with a source that is not of the link", { address: undefined, iface: "eth1", sourceAddress: ip("192.0.2.9") }, "source address 192.0.2.9: expected none, or a link-local one, for an unnumbered peer"],
    ["a hold time of 2 s", { holdSeconds: 2 }, "hold time 2 s: expected 0, or 3 to 65535 s"],
    ["a keepalive time that is too long", { holdSeconds: 9, keepaliveSeconds: 9 }, "keepalive time 9 s: expected less than the hold time of 9 s"],
    ["a source of the other family", { sourceAddress: ip("2001:db8::11") }, "source address 2001:db8::11: expected an IPv4 address, as the peer's"],
    ["multihop and GTSM", { multihopTtl: 5, ttlSecurityHops: 2 }, "multihop and ttl-security 2: expected one of them"],
    ["a long password", { password: "é".repeat(41) }, "password: expected at most 80 octets, it has 82"],
    ["an IPv6 router ID", { routerId: ip("2001:db8::1") }, "router ID 2001:db8::1: expected an IPv4 address"],
    ["too long a restart", { gracefulRestartSeconds: 4096 }, "graceful restart 4096 s: expected at most 4095 s"],
  ])("%s: is left out with one line, and harms no other", (_name, change, line) => {
    const { peers: made, problems } = peers({ bgp_peers: "192.0.2.1:65001" }, { drafts: [{ ...DRAFT, ...change }, { ...DRAFT, from: "file, peer 2", address: ip("192.0.2.3") }] });
    expect(made.map(({ name }) => name)).toEqual(["192.0.2.1", "192.0.2.3"]);
    expect(problems).toEqual([expect.stringContaining(`file, peer 1: ${line}`)]);
  });

  test("the same peer twice is one, and said so; on another port or link it is another", () => {
    const { peers: made, problems } = peers({ bgp_peers: "192.0.2.2:65001,192.0.2.2:65001" }, { drafts: [DRAFT, { ...DRAFT, port: 1180 }, { ...DRAFT, address: ip("fe80::1"), iface: "eth0" }, { ...DRAFT, address: ip("fe80::1"), iface: "eth1" }] });
    expect(made.map(({ name }) => name)).toEqual(["192.0.2.2", "192.0.2.2:1180", "fe80::1%eth0", "fe80::1%eth1"]);
    expect(problems).toEqual([expect.stringMatching(/^bgp_peers, peer 2.*left out, for bgp_peers, peer 1/), expect.stringMatching(/^file, peer 1: left out, for bgp_peers, peer 1 .* is the same peer$/)]);
  });

  test("two names that are the same: the second is left out", () => {
    const { peers: made, problems } = peers({}, { drafts: [{ ...DRAFT, name: "tor" }, { ...DRAFT, from: "file, peer 2", name: "tor", address: ip("192.0.2.3") }] });
    expect(made.map(({ address }) => address)).toEqual(["192.0.2.2"]);
    expect(problems).toEqual(["file, peer 2: left out, for file, peer 1 has the name tor, too"]);
  });
});

describe("passwords", () => {
  test("the peer's own, then the Secret's by name, then its common one, then the file's", () => {
    const drafts = [{ ...DRAFT, password: "own" }, { ...DRAFT, address: ip("192.0.2.3") }, { ...DRAFT, address: ip("2001:db8::3") }, { ...DRAFT, address: ip("192.0.2.5") }];
    const passwords = { "192.0.2.3": "three", "2001-db8--3": "six", password: "common" };
    expect(peers({}, { drafts, passwords, password: "file" }).peers.map(({ password }) => password)).toEqual(["own", "three", "six", "common"]);
    expect(peers({}, { drafts, password: "file" }).peers.map(({ password }) => password)).toEqual(["own", "file", "file", "file"]);
  });
});

describe("peers for some nodes", () => {
  const rack = { key: "rack", operator: "In", values: ["a", "b"] } as const;
  const on = (labels: Readonly<Record<string, string>> | undefined, nodeSelectors: BgpPeerDraft["nodeSelectors"]): BgpPeers => peers({}, { drafts: [{ ...DRAFT, nodeSelectors }], node: labels === undefined ? undefined : { labels, annotations: {} } });

  test.each<readonly [string, Readonly<Record<string, string>>, BgpPeerDraft["nodeSelectors"], boolean]>([
    ["in", { rack: "a" }, [[rack]], true],
    ["not in", { rack: "c" }, [[rack]], false],
    ["all of one selector", { rack: "a", zone: "1" }, [[rack, { key: "zone", operator: "NotIn", values: ["1"] }]], false],
    ["one of several selectors", { zone: "1" }, [[rack], [{ key: "zone", operator: "Exists", values: [] }]], true],
    ["NotIn without the label", {}, [[{ key: "zone", operator: "NotIn", values: ["1"] }]], true],
    ["DoesNotExist", { zone: "1" }, [[{ key: "zone", operator: "DoesNotExist", values: [] }]], false],
    ["no selector at all", {}, [], true],
  ])("%s", (_name, labels, selectors, fits) => {
    const made = on(labels, selectors);
    expect(made.peers).toHaveLength(fits ? 1 : 0);
    expect(made.problems).toEqual([]);
  });

  test("wait for the labels, where they are not known", () => {
    expect(on(undefined, [[rack]])).toEqual({ peers: [], problems: ["file, peer 1: waits for the labels of this node, which its node-selectors need"] });
  });
});
