import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { BgpPeer } from "../../src/lib/bgp-peer.js";
import type { BgpMode } from "../../src/modes/bgp.js";
import { Bird, BgpLab, Frr, Gobgp, has, ip, peerOf, reported, route, type PeerName, type Seen } from "./bgp-fixture.js";

const never = new AbortController().signal;
const POLICY = { communities: [0xfbf4_0007], largeCommunities: [{ global: 64_500, local1: 1, local2: 2 }], med: 20, prepend: 1, localPref: 150 };
const ROUTES = [route("192.0.2.1"), route("192.0.2.2", { policy: POLICY }), route("2001:db8::1")] as const;

let lab: BgpLab;
let mode: BgpMode;

beforeAll(async () => {
  lab = await BgpLab.build();
}, 30_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

afterEach(async () => {
  await mode[Symbol.asyncDispose]();
});

/** One session: how our side is configured, and the next hops that the peer is to see. */
interface Case {
  readonly name: string;
  readonly peer: Partial<BgpPeer>;
  readonly hop4: string;
  readonly hop6: string;
  readonly internal?: boolean;
}

/** What a peer is to have of ROUTES. */
function expected({ hop4, hop6, internal = false }: Case): readonly Seen[] {
  const plain = { nextHop: hop4, asPath: internal ? "" : "64500", med: undefined, localPref: 100, communities: [] };
  return [
    { ...plain, prefix: "192.0.2.1/32" },
    { ...plain, prefix: "192.0.2.2/32", asPath: internal ? "" : "64500 64500", med: 20, localPref: internal ? 150 : 100, communities: ["64500:1:2", "64500:7"] },
    { ...plain, prefix: "2001:db8::1/128", nextHop: hop6 },
  ];
}

/** All sessions at once: the whole table, then one route less. */
async function matrix(peer: PeerName, cases: readonly Case[], look: (one: Case) => Promise<readonly Seen[]>): Promise<void> {
  // BIRD gives a route without LOCAL_PREF one; the others show what came.
  const shown = (routes: readonly Seen[]): readonly Seen[] => routes.map((one) => (peer === "bird" || one.asPath === "" ? one : { ...one, localPref: undefined }));
  mode = lab.speaker();
  mode.setPeers(cases.map((one) => peerOf(peer, { name: one.name, ...one.peer })));
  await Promise.all(ROUTES.map(async (one) => mode.up(one, never)));
  for (const one of cases) {
    const { sent } = await reported(mode, one.name, ({ state, sent: { 4: v4, 6: v6 } }) => state === "Established" && v4 + v6 === 3, `${one.name} to be up`);
    expect(sent).toEqual({ 4: 2, 6: 1 });
    await has(async () => look(one), shown(expected(one)));
  }
  await mode.down(ROUTES[0].key, "unwanted", never);
  for (const one of cases) await has(async () => look(one), shown(expected(one).slice(1)));
}

const CHANNELS = "ipv4 { import all; export none; }; ipv6 { import all; export none; };";
const EXTENDED = "ipv4 { import all; export none; extended next hop on; }; ipv6 { import all; export none; };";

/** Each with an address of its own on this side. */
const BIRD: readonly (Case & { readonly bird: string; readonly channels?: string })[] = [
  { name: "external_v4", bird: "local 10.95.1.2 as 64501; neighbor 10.95.1.1 as 64500; passive;", peer: {}, hop4: "10.95.1.1", hop6: "fd95:1::1" },
  {
    name: "external_v6_md5",
    bird: 'local fd95:1::2 as 64501; neighbor fd95:1::1 as 64500; passive; password "s3:cr et";',
    peer: { address: ip("fd95:1::2"), sourceAddress: ip("fd95:1::1"), password: "s3:cr et" },
    hop4: "10.95.1.1",
    hop6: "fd95:1::1",
  },
  {
    name: "extended_next_hop",
    bird: "local fd95:1::2 as 64501; neighbor fd95:1::11 as 64500; passive;",
    channels: EXTENDED,
    peer: { address: ip("fd95:1::2"), sourceAddress: ip("fd95:1::11") },
    hop4: "fd95:1::11",
    hop6: "fd95:1::11",
  },
  {
    name: "internal_md5",
    bird: 'local 10.95.1.2 as 64501; neighbor 10.95.1.12 as 64501; passive; password "x";',
    peer: { localAs: 64_501, peerAs: "internal", sourceAddress: ip("10.95.1.12"), password: "x" },
    hop4: "10.95.1.12",
    hop6: "fd95:1::1",
    internal: true,
  },
  {
    name: "internal_v6",
    bird: "local fd95:1::2 as 64501; neighbor fd95:1::14 as 64501; passive;",
    peer: { address: ip("fd95:1::2"), localAs: 64_501, sourceAddress: ip("fd95:1::14") },
    hop4: "10.95.1.1",
    hop6: "fd95:1::14",
    internal: true,
  },
  { name: "gtsm", bird: "local 10.95.1.2 as 64501; neighbor 10.95.1.13 as 64500; passive; ttl security on;", peer: { sourceAddress: ip("10.95.1.13"), ttlSecurityHops: 1 }, hop4: "10.95.1.13", hop6: "fd95:1::1" },
  {
    name: "multihop_v4_md5",
    bird: 'local 10.99.1.2 as 64501; neighbor 10.98.0.1 as 64500; passive; multihop 2; password "y";',
    peer: { address: ip("10.99.1.2"), multihopTtl: 2, password: "y" },
    hop4: "10.98.0.1",
    hop6: "fd95:1::1",
  },
  { name: "multihop_v6", bird: "local fd99:1::2 as 64501; neighbor fd98::1 as 64500; passive; multihop 2;", peer: { address: ip("fd99:1::2"), multihopTtl: 2 }, hop4: "10.95.1.1", hop6: "fd98::1" },
  { name: "dialled_by_bird", bird: "local 10.95.1.2 as 64501; neighbor 10.95.1.15 as 64500; connect delay time 1; connect retry time 1;", peer: { passive: true }, hop4: "10.95.1.15", hop6: "fd95:1::1" },
];

const FRR: readonly Case[] = [
  { name: "10.95.2.1", peer: { password: "s3cret" }, hop4: "10.95.2.1", hop6: "fd95:2::1" },
  { name: "10.95.2.11", peer: { localAs: 64_501, peerAs: "internal", sourceAddress: ip("10.95.2.11") }, hop4: "10.95.2.11", hop6: "fd95:2::1", internal: true },
  { name: "fd95:2::12", peer: { address: ip("fd95:2::2"), sourceAddress: ip("fd95:2::12"), password: "s3cret" }, hop4: "fd95:2::12", hop6: "fd95:2::12" },
];

const FRR_CONFIG = `router bgp 64501
 bgp router-id 10.95.2.2
 no bgp ebgp-requires-policy
 neighbor 10.95.2.1 remote-as 64500
 neighbor 10.95.2.1 passive
 neighbor 10.95.2.1 password s3cret
 neighbor 10.95.2.11 remote-as 64501
 neighbor 10.95.2.11 passive
 neighbor fd95:2::12 remote-as 64500
 neighbor fd95:2::12 passive
 neighbor fd95:2::12 password s3cret
 neighbor fd95:2::12 capability extended-nexthop
 address-family ipv4 unicast
  neighbor fd95:2::12 activate
 address-family ipv6 unicast
  neighbor 10.95.2.1 activate
  neighbor 10.95.2.11 activate
  neighbor fd95:2::12 activate
`;

const GOBGP: readonly Case[] = [
  { name: "10.95.3.1", peer: { password: "s3cret" }, hop4: "10.95.3.1", hop6: "fd95:3::1" },
  { name: "10.95.3.11", peer: { localAs: 64_501, peerAs: 64_501, sourceAddress: ip("10.95.3.11") }, hop4: "10.95.3.11", hop6: "fd95:3::1", internal: true },
  { name: "fd95:3::12", peer: { address: ip("fd95:3::2"), sourceAddress: ip("fd95:3::12") }, hop4: "fd95:3::12", hop6: "fd95:3::12" },
];

function gobgpNeighbor(address: string, as: number, password?: string): string {
  const families = ["ipv4-unicast", "ipv6-unicast"].map((name) => `[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = "${name}"`).join("\n");
  const key = password === undefined ? "" : `auth-password = "${password}"\n`;
  return `[[neighbors]]\n[neighbors.config]\nneighbor-address = "${address}"\npeer-as = ${as}\n${key}[neighbors.transport.config]\npassive-mode = true\n${families}\n`;
}

describe("every kind of session at once has exactly our routes, and loses what is withdrawn", () => {
  it("BIRD", async () => {
    const bird = new Bird(lab);
    await bird.start(BIRD.map(({ name, bird: options, channels = CHANNELS }) => `protocol bgp ${name} { ${options} error wait time 1,2; ${channels} }`).join("\n"));
    await matrix("bird", BIRD, async ({ name }) => bird.routes(name));
  });

  it("FRR", async () => {
    const frr = new Frr(lab);
    await frr.start(FRR_CONFIG);
    await matrix("frr", FRR, async ({ name }) => [...(await frr.routes(name, 4)), ...(await frr.routes(name, 6))]);
  });

  it("GoBGP", async () => {
    const gobgp = new Gobgp(lab);
    const neighbors = GOBGP.map(({ name, internal = false, peer: { password } }) => gobgpNeighbor(name, internal ? 64_501 : 64_500, password));
    await gobgp.start(`[global.config]\nas = 64501\nrouter-id = "10.95.3.2"\n${neighbors.join("")}`);
    await matrix("gobgp", GOBGP, async ({ name }) => [...(await gobgp.routes(name, 4)), ...(await gobgp.routes(name, 6))]);
  });
});
