import { describe, expect, test } from "vitest";
import type { BgpPeerDraft } from "../../src/config/bgp-peer-draft.js";
import { maskPeerTexts, parsePeerTexts } from "../../src/config/bgp-peer-text.js";

function peers(text: string): readonly Partial<BgpPeerDraft>[] {
  const read = parsePeerTexts(text);
  expect(read.problems).toEqual([]);
  return read.peers.map(({ from, ...rest }) => {
    expect(from).toContain("bgp_peers, peer ");
    return Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  });
}

describe("kube-vip's list of peers", () => {
  test.each<readonly [string, string, Partial<BgpPeerDraft>]>([
    ["an address and an AS", "192.0.2.1:65000", { address: "192.0.2.1" as never, peerAs: 65_000 }],
    ["with a password", "192.0.2.1:65000:secret", { address: "192.0.2.1" as never, peerAs: 65_000, password: "secret" }],
    ["multihop without a password", "192.0.2.1:65000::true", { address: "192.0.2.1" as never, peerAs: 65_000, multihopTtl: 50 }],
    ["all of it", "192.0.2.1:65000:secret:false:1179", { address: "192.0.2.1" as never, peerAs: 65_000, password: "secret", multihopTtl: false, port: 1179 }],
    ["a TTL", "192.0.2.1:65000::3", { address: "192.0.2.1" as never, peerAs: 65_000, multihopTtl: 3 }],
    ["IPv6", "[2001:DB8::1]:65000:pw:true", { address: "2001:db8::1" as never, peerAs: 65_000, password: "pw", multihopTtl: 50 }],
    ["a link-local address", "[fe80::1%eth0]:65000", { address: "fe80::1" as never, iface: "eth0", peerAs: 65_000 }],
    ["unnumbered", "unnumbered:eth0", { iface: "eth0", peerAs: "external" }],
    ["unnumbered with an AS", "unnumbered:eth0:65001:pw", { iface: "eth0", peerAs: 65_001, password: "pw" }],
    ["unnumbered with a password only", "unnumbered:eth0::pw", { iface: "eth0", peerAs: "external", password: "pw" }],
    ["the own AS, without its number", "192.0.2.1:internal", { address: "192.0.2.1" as never, peerAs: "internal" }],
    ["MP-BGP", "192.0.2.1:65000:::179:mpbgp_nexthop=fixed;mpbgp_ipv4=192.0.2.9;mpbgp_ipv6=2001:db8::9", { address: "192.0.2.1" as never, peerAs: 65_000, port: 179, mp: { mode: "fixed", 4: "192.0.2.9" as never, 6: "2001:db8::9" as never } }],
    ["MP-BGP and BFD", "192.0.2.1:65000:pw:true:179:mpbgp_nexthop=fixed;mpbgp_ipv6=2001:db8::9:true;50;60;4", { address: "192.0.2.1" as never, peerAs: 65_000, password: "pw", multihopTtl: 50, port: 179, mp: { mode: "fixed", 6: "2001:db8::9" as never }, bfd: { receiveMs: 50, transmitMs: 60, multiplier: 4 } }],
    ["BFD with its defaults", "192.0.2.1:65000::::mpbgp_nexthop=auto_sourceip:true", { address: "192.0.2.1" as never, peerAs: 65_000, mp: { mode: "auto_sourceip" }, bfd: { receiveMs: 300, transmitMs: 300, multiplier: 3 } }],
    ["BFD off", "192.0.2.1:65000:::::false", { address: "192.0.2.1" as never, peerAs: 65_000, bfd: false }],
    ["a password with a colon", "192.0.2.1:65000:a:b", { address: "192.0.2.1" as never, peerAs: 65_000, password: "a:b" }],
    ["a password with colons, and multihop", "192.0.2.1:65000:a:b:c:true", { address: "192.0.2.1" as never, peerAs: 65_000, password: "a:b:c", multihopTtl: 50 }],
    ["a password that ends with a colon", "192.0.2.1:65000:\"a:\":true", { address: "192.0.2.1" as never, peerAs: 65_000, password: "a:", multihopTtl: 50 }],
    ["a quoted password that looks like more", "192.0.2.1:65000:\"a:true:179,b\"", { address: "192.0.2.1" as never, peerAs: 65_000, password: "a:true:179,b" }],
    ["a password with quotes inside", "192.0.2.1:65000:a\"b", { address: "192.0.2.1" as never, peerAs: 65_000, password: "a\"b" }],
  ])("%s", (_name, text, peer) => {
    expect(peers(text)).toEqual([peer]);
  });

  test("has many, and blanks between them", () => {
    expect(peers('192.0.2.1:65000:"x,y", [2001:db8::1]:65001 ,unnumbered:eth0,')).toEqual([
      { address: "192.0.2.1", peerAs: 65_000, password: "x,y" },
      { address: "2001:db8::1", peerAs: 65_001 },
      { iface: "eth0", peerAs: "external" },
    ]);
    expect(peers("")).toEqual([]);
  });

  test.each<readonly [string, string, string]>([
    ["no AS", "192.0.2.1", "bgp_peers, peer 1: expected <address>:<AS>[:<password>"],
    ["no address", "router:65000", '(router:***): "router": expected an IP address'],
    ["IPv6 without brackets", "2001:db8::1:65000", 'expected an IP address, an IPv6 address in brackets, or unnumbered:<link>'],
    ["no number", "192.0.2.1:as65000", 'AS "as65000": expected an AS number from 1 to 4294967294, internal or external'],
    ["a port out of range", "192.0.2.1:65000:pw:true:99999", 'port "99999": expected one from 1 to 65535'],
    ["multihop that is neither", "192.0.2.1:65000:pw:300", 'multihop "300": expected true, false or a TTL from 2 to 255'],
    ["an unknown part of mpbgp", "192.0.2.1:65000:pw:true:179:mpbgp_nexthopp=fixed", "mpbgp_nexthopp: expected mpbgp_nexthop, mpbgp_ipv4 or mpbgp_ipv6"],
    ["another mode", "192.0.2.1:65000:pw:true:179:mpbgp_nexthop=self", 'mpbgp_nexthop "self": expected fixed, auto_sourceip or auto_sourceif'],
    ["an address of the other family", "192.0.2.1:65000:pw:true:179:mpbgp_ipv6=192.0.2.1", 'mpbgp_ipv6 "192.0.2.1": expected an IPv6 address'],
    ["BFD too fast", "192.0.2.1:65000:pw:true:179::true;1;1;1", 'bfd "true;1;1;1": expected intervals from 10 to 60000 ms'],
    ["a field too many before the port", "192.0.2.1:65000::::1179", '"::1179" after the password: expected [<multihop>'],
    ["something behind the port", "192.0.2.1:65000:pw:true:179:x", '"true:179:x" after the password: expected [<multihop>'],
  ])("%s is told, without the password, and the others count", (_name, text, problem) => {
    const read = parsePeerTexts(`${text},192.0.2.7:65007`);
    expect(read.problems).toEqual([expect.stringContaining(problem)]);
    expect(read.peers).toMatchObject([{ address: "192.0.2.7" }]);
  });

  test("speaks of a password with a colon that nobody quoted", () => {
    expect(parsePeerTexts("192.0.2.1:65000:a:b").warnings).toEqual(["bgp_peers, peer 1 (192.0.2.1:65000): its password has a colon; in double quotes it is clear where it ends"]);
    expect(parsePeerTexts('192.0.2.1:65000:"a:b"').warnings).toEqual([]);
  });

  test.each([
    ["192.0.2.1:65000:secret:true:179,[2001:db8::1]:1", "192.0.2.1:65000:***:true:179,[2001:db8::1]:1"],
    ['192.0.2.1:65000:"a:,b"', "192.0.2.1:65000:***"],
    ["unnumbered:eth0:65000:secret", "unnumbered:eth0:65000:***"],
    ["192.0.2.1:65000::true", "192.0.2.1:65000::true"],
    ["2001:db8::1:65000:secret", "2001:***"],
    ["192.0.2.1", "192.0.2.1"],
  ])("%s is shown as %s", (text, shown) => {
    expect(maskPeerTexts(text)).toBe(shown);
  });
});
