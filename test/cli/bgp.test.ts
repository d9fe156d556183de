import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { peersText, routesText, runBgpPeers, runBgpRoutes } from "../../src/cli/bgp.js";
import { createReports, type StatusReport } from "../../src/cli/control-reports.js";
import { serveControl, type Control } from "../../src/cli/control-socket.js";
import { statusText } from "../../src/cli/status.js";
import { History } from "../../src/core/history.js";
import { routeKey } from "../../src/core/model.js";
import { plan } from "../../src/core/plan.js";
import type { BgpPeerReport, BgpSentRoute } from "../../src/modes/bgp-report.js";
import { CONFIG, ip, worldOf } from "../core/explain-input.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";
import { fakeService } from "../fakes/service.js";
import { DOWN, UNHEARD, UP } from "./bgp-given.js";
import { FakeIo } from "./fake-io.js";

const ROUTE = routeKey(ip("192.0.2.10"), 32);
const SENT: readonly BgpSentRoute[] = [{ key: ROUTE, family: 4, attributes: { origin: "igp", asPath: [{ kind: "sequence", as: [64_500] }], nextHop: ip("192.0.2.11"), communities: [0xffff0000, (64_500 << 16) | 7] } }];

const routesOf = (peer: string): readonly BgpSentRoute[] => (peer === "tor1" ? SENT : []);

function reportsOf(peers: readonly BgpPeerReport[] | undefined) {
  const clock = new FakeClock();
  const config = { ...CONFIG, iface: "lo", bgp: { electControlPlane: false, attachServices: false } };
  const world = worldOf([fakeService({ loadBalancerIP: "192.0.2.10" })], { observedRoutes: new Map([[ROUTE, { state: "up", result: undefined }]]) });
  const bgp = peers === undefined ? undefined : { reports: () => peers, routes: routesOf };
  return createReports({ plan: config, version: "1.2.3", node: "n1" }, { clock, kernel: new FakeKernel(clock), history: new History(), newest: () => ({ world, plan: plan(world, config) }), bgp });
}

test("a node in BGP mode is told on one screen: its peers with their last error, its routes with how many peers have them", async () => {
  const text = statusText((await reportsOf([UP, DOWN]).status()) as StatusReport);
  expect(`\n${text}\n`).toMatchInlineSnapshot(`
    "
    node n1   vip 1.2.3   started 0s ago

    OWNERSHIP  HOLDER  HERE  SINCE  AGE
    services   n1      yes

    BGP PEER  AS        STATE        FOR  SENT  BFD  LAST ERROR
    tor1      64501     Established  0s   1     Up
    tor2      external  Active       0s   0     off  connect to 2001:db8::2 port 179: ECONNREFUSED
    ! tor2: no router ID: this node has no IPv4 address

    ROUTE          STATE  FOR  PEERS   SERVICES
    192.0.2.10/32  up          1 of 2  default/web

    Services: 1 known, 1 served here
    "
  `);
});

test("an unnumbered peer is told with how long its router has been silent, and one that was found with when it was heard", async () => {
  const found: BgpPeerReport = { ...UP, discovery: { since: 0, address: ip("fe80::1"), heardAt: 0, problem: undefined } };
  const { peers, ...rest } = (await reportsOf([UNHEARD, found]).bgpPeers()) as Parameters<typeof peersText>[0];
  expect(peers.map(({ discovery }) => [discovery?.router, discovery?.heard?.seconds])).toEqual([[null, undefined], ["fe80::1", 1]]);
  const text = peersText({ ...rest, peers });
  expect(text).toContain("! eth1: its address on eth1 is not known yet; no Router Advertisement heard on eth1");
  expect(text).toMatch(/eth1: address not known yet port 179 on eth1, own AS 64500\n {2}unnumbered: no Router Advertisement heard since \d{4}-\S+ \(1s\)\n/);
  expect(text).toContain("  unnumbered: found by its Router Advertisements, the last one 1s ago\n");
});

test("peers are told with what both sides agreed on, and never with a password", async () => {
  const report = (await reportsOf([UP, DOWN]).bgpPeers()) as Parameters<typeof peersText>[0];
  expect(`\n${peersText(report)}\n`).toMatchInlineSnapshot(`
    "
    node n1
    BGP PEER  AS        STATE        FOR  SENT  BFD  LAST ERROR
    tor1      64501     Established  0s   1     Up
    tor2      external  Active       0s   0     off  connect to 2001:db8::2 port 179: ECONNREFUSED
    ! tor2: no router ID: this node has no IPv4 address

    tor1: 192.0.2.1 port 179, own AS 64500
      session 192.0.2.11:40001 to 192.0.2.1:179, router ID 192.0.2.1, hold 9 s, keepalive 3 s, IPv4
      the peer offers: multiprotocol 1/1, route refresh, 4-octet AS 64501
      routes sent: 1 IPv4, 0 IPv6; received and left alone: 2; UPDATEs sent 3, received 4; sessions 2,
        lost 1
      BFD Up for 0s, down after 900 ms of silence; sessions 3, lost 2; packets sent 40, received 39,
        discarded 2, not sent 1
      last end 0s ago, by the peer: Cease/Administrative Reset
    tor2: 2001:db8::2 port 179, own AS 64500
      routes sent: 0 IPv4, 0 IPv6; received and left alone: 2; UPDATEs sent 3, received 4; sessions 2,
        lost 1
      last end 0s ago, by TCP: connect to 2001:db8::2 port 179: ECONNREFUSED
    "
  `);
});

test("routes are told as each peer has them", async () => {
  const report = (await reportsOf([UP, DOWN]).bgpRoutes(undefined)) as Parameters<typeof routesText>[0];
  expect(`\n${routesText(report)}\n`).toMatchInlineSnapshot(`
    "
    node n1, peer tor1 (Established): 1 route
    PREFIX         NEXT HOP    AS PATH  PREF  MED  COMMUNITIES
    192.0.2.10/32  192.0.2.11  64500    -     -    graceful-shutdown 64500:7

    node n1, peer tor2 (Active): 0 routes
    "
  `);
});

describe("the command", () => {
  let directory = "";
  let control: Control | undefined;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "vip-bgp-"));
  });
  afterEach(async () => {
    await control?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });
  const serve = async (peers: readonly BgpPeerReport[] | undefined): Promise<void> => {
    control = await serveControl({ directory, pid: 7 }, { reports: reportsOf(peers), log: new FakeLog() });
  };

  test.each<readonly [string, readonly BgpPeerReport[] | undefined, number]>([
    ["all sessions are up", [UP], 0],
    ["one is not", [UP, DOWN], 2],
    ["nothing is announced by BGP", undefined, 1],
  ])("ends with a code that says so: %s", async (_name, peers, code) => {
    await serve(peers);
    const io = new FakeIo();
    expect(await runBgpPeers({ output: "json", directory }, io)).toBe(code);
    if (code !== 1) expect(JSON.parse(io.stdout)).toMatchObject({ processes: [{ node: "n1", peers: [{ name: "tor1", state: "Established", password: true }, ...(code === 2 ? [{ name: "tor2" }] : [])] }] });
    else expect(io.stdout).toContain("no daemon of this node announces by BGP");
  });

  test("tells the routes of one peer, or that there is no such peer", async () => {
    await serve([UP, DOWN]);
    const [one, none] = [new FakeIo(), new FakeIo()];
    expect(await runBgpRoutes("tor1", { output: "json", directory }, one)).toBe(0);
    expect(JSON.parse(one.stdout)).toEqual({ processes: [{ node: "n1", peers: [{ name: "tor1", state: "Established", routes: [{ prefix: ROUTE, nextHop: "192.0.2.11", asPath: [64_500], localPref: null, med: null, communities: ["graceful-shutdown", "64500:7"], largeCommunities: [] }] }] }] });
    expect(await runBgpRoutes("tor9", { output: "text", directory }, none)).toBe(3);
    expect(none.stderr).toContain("there is no BGP peer tor9");
  });
});
