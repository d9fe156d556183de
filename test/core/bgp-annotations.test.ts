import { describe, expect, test } from "vitest";
import { annotationPeers } from "../../src/core/bgp-annotations.js";
import { bgpPeers } from "../../src/core/bgp-peers.js";
import { bgpSettings, NO_FACTS } from "./bgp-given.js";

const P = "metal.equinix.com";
const NODE = { [`${P}/bgp-peers-0-node-asn`]: "65000", [`${P}/bgp-peers-0-peer-asn`]: "65530", [`${P}/bgp-peers-0-src-ip`]: "10.1.2.3", [`${P}/bgp-peers-0-peer-ip`]: "169.254.255.1", [`${P}/bgp-peers-1-peer-ip`]: "169.254.255.2", other: "x" };

describe("annotations of the Node", () => {
  test("as Equinix's cloud provider writes them make peers", () => {
    const more = { [`${P}/bgp-peers-0-bgp-pass`]: "c2VjcsOpdA==", [`${P}/bgp-peers-0-peer-multi-hop`]: "true", [`${P}/bgp-peers-1-peer-asn`]: "65531" };
    const { drafts, problems } = annotationPeers(P, { ...NODE, ...more });
    expect(problems).toEqual([]);
    const common = { localAs: 65_000, sourceAddress: "10.1.2.3", routerId: "10.1.2.3", password: "secrét", multihopTtl: 50 };
    expect(drafts).toEqual([
      { from: `annotation ${P}/bgp-peers-0-peer-ip (169.254.255.1)`, address: "169.254.255.1", peerAs: 65_530, ...common },
      { from: `annotation ${P}/bgp-peers-1-peer-ip (169.254.255.2)`, address: "169.254.255.2", peerAs: 65_531, ...common },
    ]);
  });

  test("without numbers, and several addresses in one, work too", () => {
    const { drafts, problems } = annotationPeers("p", { "p/node-asn": "65000", "p/peer-asn": "65001", "p/src-ip": "192.0.2.9", "p/peer-ip": "192.0.2.1, 2001:db8::1" });
    expect(problems).toEqual([]);
    expect(drafts.map(({ address, sourceAddress }) => [address, sourceAddress])).toEqual([["192.0.2.1", "192.0.2.9"], ["2001:db8::1", undefined]]);
  });

  test("change at run time", () => {
    const settings = bgpSettings({ annotation: P });
    const at = (annotations: Readonly<Record<string, string>> | undefined) => bgpPeers(settings, { ...NO_FACTS, node: annotations === undefined ? undefined : { labels: {}, annotations } });
    expect(at(undefined)).toEqual({ peers: [], problems: [`annotations ${P}/: waits for the Node object of this node`] });
    expect(at({})).toEqual({ peers: [], problems: [`annotation ${P}/bgp-peers-0-peer-ip: waits for it on the Node object of this node`] });
    expect(at(NODE).peers.map(({ name, localAs }) => [name, localAs])).toEqual([["169.254.255.1", 65_000], ["169.254.255.2", 65_000]]);
    expect(at({ ...NODE, [`${P}/bgp-peers-1-peer-ip`]: "169.254.255.3" }).peers.map(({ name }) => name)).toEqual(["169.254.255.1", "169.254.255.3"]);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string, number]>([
    ["an AS number that is none", { [`${P}/bgp-peers-1-peer-asn`]: "x" }, `annotation ${P}/bgp-peers-1-peer-asn="x": expected the AS number of the peers`, 1],
    ["an address that is none", { [`${P}/bgp-peers-1-peer-ip`]: "router" }, `annotation ${P}/bgp-peers-1-peer-ip="router": expected an IP address`, 1],
    ["a password that is no base64", { [`${P}/bgp-peers-1-bgp-pass`]: "hunter2!" }, `annotation ${P}/bgp-peers-1-bgp-pass="***": expected base64 of a text`, 1],
    ["multihop that is neither", { [`${P}/bgp-peers-1-peer-multi-hop`]: "yes" }, `annotation ${P}/bgp-peers-1-peer-multi-hop="yes": expected true or false`, 1],
  ])("%s: one line, and the other peer stays", (_name, change, line, count) => {
    const { drafts, problems } = annotationPeers(P, { ...NODE, ...change });
    expect(problems).toEqual([line]);
    expect(drafts).toHaveLength(count);
  });

  test("of which one is missing are waited for by name", () => {
    const { [`${P}/bgp-peers-0-src-ip`]: _gone, ...rest } = NODE;
    expect(annotationPeers(P, rest).problems[0]).toBe(`annotation ${P}/bgp-peers-0-src-ip: expected an IP address of this node`);
  });
});
