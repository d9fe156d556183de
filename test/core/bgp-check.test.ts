import { describe, expect, test } from "vitest";
import { parseMetalLb } from "../../src/config/bgp-metallb.js";
import { loadSettings } from "../../src/config/load.js";
import { bgpWarnings } from "../../src/core/bgp-check.js";
import { bgpPeers } from "../../src/core/bgp-peers.js";
import { NO_FACTS } from "./bgp-given.js";

function warnings(env: Readonly<Record<string, string>>, yaml = ""): readonly string[] {
  const { settings } = loadSettings({ env: { vip_arp: "true", svc_enable: "true", ...env } });
  const { peers, problems } = bgpPeers(settings, { ...NO_FACTS, drafts: parseMetalLb(yaml, "f").drafts ?? [] });
  expect(problems).toEqual([]);
  return bgpWarnings(peers, settings);
}

const publisher = (mine: number, its: number, more = ""): string => `peers: [{ peer-address: 127.0.0.1, my-asn: ${mine}, peer-asn: ${its}${more} }]`;

describe("a warning", () => {
  test.each<readonly [string, Readonly<Record<string, string>>, string, RegExp]>([
    ["of iBGP everywhere", {}, publisher(65_534, 65_534, ", router-id: 127.0.0.1"), /^BGP peer 127\.0\.0\.1: it is a process of this node in the same AS 65534, .*\(iBGP everywhere\)/],
    ["of iBGP everywhere, by its word", {}, "peers: [{ peer-address: 127.0.0.1, peer-asn: internal, router-id: 127.0.0.1 }]", /iBGP everywhere/],
    ["of a router ID that the publisher has, too", {}, publisher(2345, 1234), /router ID not set: .*set router-id \(bgp_routerid\), for example to 127\.0\.0\.1$/],
    ["of the peer's own router ID", { bgp_peers: "192.0.2.1:65001", bgp_routerid: "192.0.2.1" }, "", /the router ID 192\.0\.2\.1 is the peer's own address/],
    ["of a long keepalive time", { bgp_peers: "192.0.2.1:65001", bgp_hold_time: "9", bgp_keepalive_interval: "4" }, "", /keepalive time 4 s is more than a third of the hold time 9 s/],
    ["of graceful restart with BFD", { bgp_peers: "192.0.2.1:65001", bgp_graceful_restart: "60", bgp_bfd: "on" }, "", /graceful restart \(60 s\) and BFD/],
    ["of a hold time of 0 alone", { bgp_peers: "192.0.2.1:65001", bgp_hold_time: "0" }, "", /hold time 0 without BFD/],
    ["of a next hop that leads nowhere", { bgp_peers: "192.0.2.1:65001", mpbgp_nexthop: "fixed", mpbgp_ipv4: "127.0.0.1" }, "", /next hop 127\.0\.0\.1 leads every router to itself/],
    ["of two sources", { bgp_peers: "192.0.2.1:65001", bgp_sourceip: "192.0.2.9", bgp_sourceif: "eth0" }, "", /^bgp_sourceip and bgp_sourceif are both set/],
    ["of a password that may be read in two ways", { bgp_peers: "192.0.2.1:65001:a:b" }, "", /its password has a colon/],
  ])("%s", (_name, env, yaml, line) => {
    expect(warnings(env, yaml)).toEqual([expect.stringMatching(line)]);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string]>([
    ["another AS than the publisher's", {}, publisher(2345, 1234, ", router-id: 127.0.0.1")],
    ["an internal peer that is a router", { bgp_peers: "192.0.2.1:65000" }, ""],
    ["a third of the hold time", { bgp_peers: "192.0.2.1:65001", bgp_hold_time: "9", bgp_keepalive_interval: "3" }, ""],
    ["a hold time of 0 with BFD", { bgp_peers: "192.0.2.1:65001", bgp_hold_time: "0", bgp_bfd: "on" }, ""],
  ])("is not given for %s", (_name, env, yaml) => {
    expect(warnings(env, yaml)).toEqual([]);
  });
});
