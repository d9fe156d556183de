import { expect, test } from "vitest";
import { peerFacts, unnumberedFacts } from "../../src/cli/bgp-node-facts.js";
import { loadSettings } from "../../src/config/load.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { Link, LinkAddress } from "../../src/ports/kernel.js";
import type { OtherConnection, TcpTable } from "../../src/ports/tcp-table.js";

const SETTINGS = { ...loadSettings({ env: { vip_arp: "true", svc_enable: "true", bgp_peers: "192.0.2.1:65001,unnumbered:eth0,192.0.2.2:65001:::1179" } }).settings, bgp: true };
const end = (address: string, port: number) => ({ address: address as IpAddress, port });

function table(processes: Readonly<Record<string, readonly (string | undefined)[]>>): TcpTable {
  return { others: async ({ address, port }) => (processes[`${address} ${port}`] ?? []).map((process): OtherConnection => ({ local: end("192.0.2.9", 40_000), remote: end(address, port), process })) };
}

test.each<readonly [string, Readonly<Record<string, readonly (string | undefined)[]>>, readonly (readonly [string, string, RegExp])[]]>([
  ["nobody has one: nothing is said", {}, []],
  ["another speaker has one", { "192.0.2.1 179": ["bird (812)"] }, [["BGP peer 192.0.2.1", "missing", /^bird \(812\) on this node already has a session with it, .*peer with that process instead/]]],
  ["somebody who cannot be seen has one", { "192.0.2.2 1179": [undefined] }, [["BGP peer 192.0.2.2:1179", "missing", /^a process that cannot be seen from here on this node already/]]],
  ["the daemon itself has one", { "192.0.2.1 179": ["vip (7)"] }, [["BGP peer 192.0.2.1", "ok", /^vip \(7\) has a session with it$/]]],
])("sessions of this node with a peer: %s", async (_name, processes, expected) => {
  const facts = await peerFacts(SETTINGS, table(processes));
  expect(facts.map(({ what, state }) => [what, state])).toEqual(expected.map(([what, state]) => [what, state]));
  for (const [index, [, , detail]] of expected.entries()) expect(facts[index]?.detail).toMatch(detail);
});

test("a list that cannot be had is said, and without BGP nobody asks", async () => {
  const broken: TcpTable = { others: async () => Promise.reject(new Error("list the TCP sockets of IPv4: EPERM")) };
  expect(await peerFacts(SETTINGS, broken)).toMatchObject([{ state: "unknown", detail: "list the TCP sockets of IPv4: EPERM" }, { state: "unknown" }]);
  expect(await peerFacts({ ...SETTINGS, bgp: false }, broken)).toEqual([]);
});

const LINK: Link = { index: 2, name: "eth0", mac: undefined, up: true, carrier: true, loopback: false, mtu: 1500, kind: undefined, alias: "", parentIndex: undefined, vlan: undefined };

function onLink(text: string, linkIndex = 2): LinkAddress {
  return { linkIndex, address: text as IpAddress, prefix: 64, scope: "link", mark: 0, validSeconds: Infinity, preferredSeconds: Infinity };
}

test.each<readonly [string, readonly Link[], readonly LinkAddress[], string | undefined]>([
  ["is well", [LINK], [onLink("fe80::11")], undefined],
  ["is not there", [{ ...LINK, name: "eth1" }], [onLink("fe80::11")], "there is no link eth0 on this node, where the router is to be found"],
  ["is down", [{ ...LINK, up: false }], [], "eth0 is down: ip link set eth0 up"],
  ["has no link-local address", [LINK], [onLink("2001:db8::1"), onLink("fe80::11", 3)], "eth0 has no link-local address, from which an unnumbered peer is spoken to: sysctl net.ipv6.conf.eth0.disable_ipv6=0"],
])("the link of an unnumbered peer %s", (_name, links, addresses, detail) => {
  expect(unnumberedFacts(SETTINGS, links, addresses)).toEqual(detail === undefined ? [] : [{ what: "BGP peer eth0", state: "missing", detail }]);
});
