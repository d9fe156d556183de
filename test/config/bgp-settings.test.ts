import { describe, expect, test } from "vitest";
import { examineSettings, type Examined, type SettingsInput } from "../../src/config/load.js";

const BASE = { vip_arp: "true", svc_enable: "true" };

function examine(env: Readonly<Record<string, string>>, more: Partial<SettingsInput> = {}): Examined {
  return examineSettings({ env: { ...BASE, ...env }, ...more });
}

describe("settings of BGP", () => {
  test("have kube-vip's names and defaults", () => {
    const { settings } = examine({});
    expect(settings).toMatchObject({ bgp: false, bgpAs: 65_000, bgpPeerAs: 65_000, bgpHoldSeconds: 30, bgpKeepaliveSeconds: undefined, bgpMultihop: false, bgpPeers: { peers: [] }, bgpNextHopMode: undefined });
    const flags = { localAS: "1.10", bgpRouterID: "192.0.2.9", bgppeers: "192.0.2.1:65001", peerAddress: "2001:DB8::1", peerAS: "7", peerPass: "p", multihop: "true", sourceIP: "192.0.2.2", sourceIF: "eth1", bgpHoldTimer: "9", bgpKeepAliveInterval: "3", bgpAttachIPToInterface: "true", annotations: "metal.equinix.com" };
    expect(examine({}, { flags }).settings).toMatchObject({
      bgpAs: 65_546,
      bgpRouterId: "192.0.2.9",
      bgpPeers: { peers: [{ address: "192.0.2.1", peerAs: 65_001 }] },
      bgpPeerAddress: "2001:db8::1",
      bgpPeerAs: 7,
      bgpPeerPassword: "p",
      bgpMultihop: true,
      bgpSourceIp: "192.0.2.2",
      bgpSourceInterface: "eth1",
      bgpHoldSeconds: 9,
      bgpKeepaliveSeconds: 3,
      bgpAttach: true,
      bgpAnnotations: "metal.equinix.com",
    });
  });

  test.each<readonly [string, string, string]>([
    ["bgp_as", "0", "an AS number from 1 to 4294967294 (23456 stands for none), or such as 1.10"],
    ["bgp_as", "23456", "an AS number from 1 to 4294967294 (23456 stands for none), or such as 1.10"],
    ["bgp_as", "4294967295", "an AS number from 1 to 4294967294 (23456 stands for none), or such as 1.10"],
    ["bgp_routerid", "2001:db8::1", "an IPv4 address"],
    ["bgp_routerid", "0.0.0.0", "an IPv4 address"],
    ["bgp_peeraddress", "router", "an IP address"],
    ["bgp_hold_time", "2", "0, or seconds from 3 to 65535 (RFC 4271)"],
    ["bgp_hold_time", "65536", "0, or seconds from 3 to 65535 (RFC 4271)"],
    ["bgp_keepalive_interval", "0", "a whole number from 1 to 21845"],
    ["bgp_ttl_security", "255", "a whole number from 1 to 254"],
    ["bgp_communities", "65536:1", "communities such as 65000:100, 64496:1:2 (large) or no-export"],
    ["bgp_bfd", "5x3", "intervals from 10 to 60000 ms"],
    ["bgp_bfd", "300", "on, off, or an interval in ms and a count, such as 300x3"],
    ["mpbgp_nexthop", "self", "fixed, auto_sourceip or auto_sourceif"],
    ["mpbgp_ipv6", "192.0.2.1", "an IPv6 address"],
  ])("%s=%s is an error that says what was expected", (name, value, expected) => {
    expect(examine({ [name]: value }).problems).toEqual([`${name}="${value}": expected ${expected}`]);
  });

  test("take communities, timings and AS numbers in every notation", () => {
    const { settings, problems } = examine({ bgp_communities: "65000:1, no-export,64496:1:2,large:64496:1:2", bgp_bfd: "50x3", bgp_as: "4200000000" });
    expect(problems).toEqual([]);
    expect(settings).toMatchObject({ bgpCommunities: { communities: [0xfde80001, 0xffffff01], largeCommunities: [{ global: 64_496, local1: 1, local2: 2 }] }, bgpBfd: { receiveMs: 50, transmitMs: 50, multiplier: 3 }, bgpAs: 4_200_000_000 });
  });
});

describe("a password", () => {
  const texts = ({ warnings, problems }: Examined): string => [...warnings, ...problems].join("\n");

  test.each<readonly [string, Readonly<Record<string, string>>, Partial<SettingsInput>]>([
    ["of a list with an error", { bgp_peers: "192.0.2.1:65000:hunter2,192.0.2.2" }, {}],
    ["of a peer with an error", { bgp_peers: "192.0.2.1:x:hunter2" }, {}],
    ["of a peer with an error behind it", { bgp_peers: "192.0.2.1:65000:hunter2:true:99999" }, {}],
    ["of an address without brackets", { bgp_peers: "fe80::1:65000:hunter2" }, {}],
    ["that is given twice", { bgp_peerpass: "hunter2" }, { flags: { peerPass: "hunter2b" } }],
    ["of two lists", { bgp_peers: "192.0.2.1:65000:hunter2" }, { flags: { bgppeers: "192.0.2.1:65000:hunter2b" } }],
  ])("%s is not shown", (_name, env, more) => {
    const examined = examine(env, more);
    expect(texts(examined)).not.toBe("");
    expect(texts(examined)).not.toContain("hunter2");
  });
});
