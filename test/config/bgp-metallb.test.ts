import { readFileSync } from "node:fs";
import fc from "fast-check";
import { dump } from "js-yaml";
import { describe, expect, test } from "vitest";
import { parseMetalLb } from "../../src/config/bgp-metallb.js";
import { bgpPeers } from "../../src/core/bgp-peers.js";
import { bgpSettings, NO_FACTS } from "../core/bgp-given.js";

/** The fragment of MetalLB's page on route publishers, as it stands there. */
const PUBLISHER = `peers:
- peer-asn: 1234
  my-asn: 2345
  peer-address: 127.0.0.1
  router-id: 127.0.0.1
`;

const drafts = (text: string) => {
  const { drafts: read, problems } = parseMetalLb(text, "peers.yaml");
  expect(problems).toEqual([]);
  return read?.map((draft) => Object.fromEntries(Object.entries(draft).filter(([, value]) => value !== undefined)));
};

describe("MetalLB's peers", () => {
  test("as its page on route publishers has them", () => {
    expect(drafts(PUBLISHER)).toEqual([{ from: "peers.yaml, peer 1 (127.0.0.1)", peerAs: 1234, localAs: 2345, address: "127.0.0.1", routerId: "127.0.0.1" }]);
    const { peers, problems } = bgpPeers(bgpSettings(), { ...NO_FACTS, drafts: parseMetalLb(PUBLISHER, "peers.yaml").drafts ?? [] });
    expect(problems).toEqual([]);
    expect(peers).toMatchObject([{ name: "127.0.0.1", localAs: 2345, peerAs: 1234, routerId: "127.0.0.1", holdSeconds: 30, families: [4] }]);
  });

  test("with every field of theirs", () => {
    const text = `
peers:
- my-asn: 64500
  peer-asn: 64501
  peer-address: 10.0.0.1
  peer-port: 1179
  source-address: 10.0.0.9
  router-id: 10.0.0.9
  hold-time: 1m30s
  keepalive-time: 10s
  password: "secret"
  ebgp-multihop: true
  bfd-profile: fast
  node-selectors:
  - match-labels: { rack: frontend, zone: a }
  - match-expressions:
    - { key: network-speed, operator: NotIn, values: [slow] }
    - { key: gpu, operator: Exists }
bfd-profiles:
- { name: fast, receive-interval: 50, transmit-interval: 60, detect-multiplier: 5, echo-mode: false }
- name: plain
`;
    expect(drafts(text)).toEqual([
      {
        from: "peers.yaml, peer 1 (10.0.0.1)",
        localAs: 64_500,
        peerAs: 64_501,
        address: "10.0.0.1",
        port: 1179,
        sourceAddress: "10.0.0.9",
        routerId: "10.0.0.9",
        holdSeconds: 90,
        keepaliveSeconds: 10,
        password: "secret",
        multihopTtl: 255,
        bfd: { receiveMs: 50, transmitMs: 60, multiplier: 5 },
        nodeSelectors: [
          [{ key: "rack", operator: "In", values: ["frontend"] }, { key: "zone", operator: "In", values: ["a"] }],
          [{ key: "network-speed", operator: "NotIn", values: ["slow"] }, { key: "gpu", operator: "Exists", values: [] }],
        ],
      },
    ]);
  });

  test("with every field of ours", () => {
    const text = `
peers:
- { name: tor-a, interface: eth0, peer-asn: external, passive: true, ttl-security: 2, graceful-restart: 60s, families: [ipv6, ipv4], next-hop: [192.0.2.9, "2001:db8::9"], communities: ["65000:1", rack, "64496:1:2"], local-pref: 50, med: 7, prepend: 2 }
- { peer-address: "fe80::1%eth1", peer-asn: internal, graceful-restart: true, ebgp-multihop: 3, communities: no-export }
bgp-communities: { rack: "65000:77" }
`;
    expect(drafts(text)).toMatchObject([
      { name: "tor-a", iface: "eth0", peerAs: "external", passive: true, ttlSecurityHops: 2, gracefulRestartSeconds: 60, families: [4, 6], nextHop: { 4: "192.0.2.9", 6: "2001:db8::9" }, policy: { communities: [0xfde80001, 0xfde8004d], largeCommunities: [{ global: 64_496, local1: 1, local2: 2 }], localPref: 50, med: 7, prepend: 2 } },
      { address: "fe80::1", iface: "eth1", peerAs: "internal", gracefulRestartSeconds: 120, multihopTtl: 3, policy: { communities: [0xffffff01] } },
    ]);
  });

  test("with the names of MetalLB's custom resources", () => {
    expect(drafts('peers: [{ myASN: 64500, dynamicASN: external, peerAddress: "10.0.0.1", holdTime: 9s, ebgpMultiHop: true, routerID: 10.0.0.9, nodeSelectors: [{ matchLabels: { a: b } }] }]')).toMatchObject([
      { localAs: 64_500, peerAs: "external", address: "10.0.0.1", holdSeconds: 9, multihopTtl: 255, routerId: "10.0.0.9", nodeSelectors: [[{ key: "a", operator: "In", values: ["b"] }]] },
    ]);
  });

  test.each(["", "peers:", "peers: []", "# nothing"])("%j has none", (text) => {
    expect(parseMetalLb(text, "f")).toEqual({ drafts: [], problems: [] });
  });
});

test.each([
  ["bgp.md", [["tor1", 64_501, 64_500], ["tor2", 64_501, undefined]]],
  ["bird-publisher.md", [[undefined, 1234, 2345]]],
] as const)("the examples of docs/%s are read without a word", (name, expected) => {
  const text = readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
  const examples = [...text.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, yaml = ""]) => parseMetalLb(yaml, name));
  expect(examples.flatMap(({ problems }) => problems)).toEqual([]);
  expect(examples.flatMap(({ drafts: read }) => read ?? []).map((draft) => [draft.name, draft.peerAs, draft.localAs])).toEqual(expected);
});

describe("a peer with something wrong", () => {
  const GOOD = "\n- { peer-address: 10.0.0.7, peer-asn: 7 }";
  test.each<readonly [string, string, string]>([
    ["no AS", "{ peer-address: 10.0.0.1 }", "(10.0.0.1): expected peer-asn"],
    ["an AS that is none", "{ peer-address: 10.0.0.1, peer-asn: 0 }", "peer-asn 0: expected an AS number from 1 to 4294967294"],
    ["no address", "{ peer-asn: 1 }", "f, peer 1: expected peer-address, or interface for an unnumbered peer"],
    ["an address that is none", "{ peer-address: 10.0.0, peer-asn: 1 }", 'peer-address "10.0.0": expected an IP address'],
    ["a port out of range", "{ peer-address: 10.0.0.1, peer-asn: 1, peer-port: 70000 }", "peer-port 70000: expected a whole number from 1 to 65535"],
    ["half a second", "{ peer-address: 10.0.0.1, peer-asn: 1, hold-time: 4500ms }", 'hold-time "4500ms": expected whole seconds, such as 90s'],
    ["no duration", "{ peer-address: 10.0.0.1, peer-asn: 1, hold-time: soon }", 'hold-time "soon": expected whole seconds'],
    ["an IPv6 router ID", '{ peer-address: 10.0.0.1, peer-asn: 1, router-id: "::1" }', 'router-id "::1": expected an IPv4 address'],
    ["a selector of another form", "{ peer-address: 10.0.0.1, peer-asn: 1, node-selectors: [{ rack: a }] }", "node-selectors [{\"rack\":\"a\"}]: expected a list of selectors"],
    ["an operator that is none", "{ peer-address: 10.0.0.1, peer-asn: 1, node-selectors: [{ match-expressions: [{ key: a, operator: Gt, values: [b] }] }] }", "expected a list of selectors"],
    ["Exists with values", "{ peer-address: 10.0.0.1, peer-asn: 1, node-selectors: [{ match-expressions: [{ key: a, operator: Exists, values: [b] }] }] }", "expected a list of selectors"],
    ["a community that is none", "{ peer-address: 10.0.0.1, peer-asn: 1, communities: [rack] }", 'communities ["rack"]: expected communities such as 65000:100'],
    ["two next hops of a family", "{ peer-address: 10.0.0.1, peer-asn: 1, next-hop: [10.0.0.1, 10.0.0.2] }", "expected an IP address, or one of each family in a list"],
    ["a family that is none", "{ peer-address: 10.0.0.1, peer-asn: 1, families: [ipx] }", "expected ipv4, ipv6, or both in a list"],
    ["no fields at all", "10.0.0.1", "f, peer 1: expected fields such as peer-address and peer-asn"],
  ])("%s: is left out with one line, the others count", (_name, peer, problem) => {
    const { drafts: read, problems } = parseMetalLb(`peers:\n- ${peer}${GOOD}`, "f");
    expect(read?.map(({ address }) => address)).toEqual(["10.0.0.7"]);
    expect(problems).toEqual([expect.stringContaining(problem)]);
  });

  test.each<readonly [string, string, string]>([
    ["an unknown field", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1, hold-tiem: 9s }]", "f, peer 1 (10.0.0.1): hold-tiem is not known and has no effect; did you mean hold-time?"],
    ["a field with the name of something else", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1, constructor: 9 }]", "f, peer 1 (10.0.0.1): constructor is not known and has no effect"],
    ["a profile that is not there", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1, bfd-profile: fast }]", 'f, peer 1 (10.0.0.1): bfd-profile: "fast" is none of bfd-profiles'],
    ["a profile that cannot be", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1 }]\nbfd-profiles: [{ name: fast, receive-interval: 1 }]", "f, bfd-profile fast: expected intervals from 10 to 60000 ms"],
    ["echo mode", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1 }]\nbfd-profiles: [{ name: fast, echo-mode: true }]", "f, bfd-profile fast: echo-mode is not used"],
    ["pools of addresses", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1 }]\naddress-pools: []", "f: address-pools is not used: addresses come from svc_addresses"],
    ["a key that nobody knows", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1 }]\npeer: []", "f: peer is not known and has no effect; did you mean peers?"],
  ])("%s is told, and the peer counts", (_name, text, problem) => {
    const { drafts: read, problems } = parseMetalLb(text, "f");
    expect(read).toHaveLength(1);
    expect(problems).toEqual([expect.stringContaining(problem)]);
  });

  test.each([
    ["a number", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1, password: 77123456 }]"],
    ["a list", "peers: [{ peer-address: 10.0.0.1, peer-asn: 1, password: [77123456] }]"],
    ["in a text that is no YAML", "peers: [{ password: 77123456"],
    ["an alias that is none", "peers: [{ password: *77123456 }]"],
  ])("a password that is %s is never shown", (_name, text) => {
    const { problems } = parseMetalLb(text, "f");
    expect(problems).toHaveLength(1);
    expect(problems.join()).not.toContain("77123456");
  });

  test.each(["peers: [", "- a", "just text", "a: 1\n---\nb: 2"])("a text of which nothing can be read (%j) says so, and leaves what was before", (text) => {
    const { drafts: read, problems } = parseMetalLb(text, "f");
    expect(read).toBeUndefined();
    expect(problems).toEqual([expect.stringMatching(/^f: expected /)]);
  });

  test("whatever stands there, nothing is thrown and every line names the text", () => {
    const value = fc.letrec((tie) => ({ any: fc.oneof({ maxDepth: 3 }, fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(tie("any"), { maxLength: 3 }), fc.dictionary(fc.constantFrom("peer-address", "peer-asn", "password", "families", "constructor", "__proto__", "node-selectors", "match-labels", "name", "bfd-profile"), tie("any"), { maxKeys: 6 })) })).any;
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom("peers", "bfd-profiles", "bgp-communities", "toString"), fc.oneof(value, fc.array(value, { maxLength: 4 }))), (document) => {
        const { drafts: read = [], problems } = parseMetalLb(dump(document), "the text");
        for (const line of problems) expect(line).toMatch(/^the text/);
        for (const draft of read) expect(draft.address ?? draft.iface).toBeTypeOf("string");
      }),
      { numRuns: 300 },
    );
  });
});
