import { describe, expect, test } from "vitest";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { UpnpBench } from "./upnp-bench.js";

const signal = new AbortController().signal;
const ROUTER = parseIp("fd77::1") as IpAddress;
const LINK_LOCAL = parseIp("fe80::1") as IpAddress;

/** A link whose router filters IPv6, and opens pinholes by UPnP. */
function benchOf(): UpnpBench {
  const bench = new UpnpBench(ROUTER);
  bench.router.options = { pinholes: true };
  return bench;
}

function asked(bench: UpnpBench): readonly string[] {
  return bench.router.requests.flatMap(({ headers }) => /#(\w*Pinhole)"/.exec(headers["soapaction"] ?? "")?.[1] ?? []);
}

describe("a port of an IPv6 VIP", () => {
  test("is let through, from its own address; where it is reached is the VIP itself; and closed again", async () => {
    await using bench = benchOf();
    await bench.mode.up(bench.want(1), signal);
    await bench.mode.up(bench.want(2, { protocol: "UDP" }), signal);
    await bench.settle();
    expect([...bench.router.pinholes.values()]).toEqual(["6 [fd77::201]:8001 3600", "17 [fd77::202]:8002 3600"]);
    expect(bench.views.get(bench.want(1).key)).toMatchObject({ status: { kind: "mapped", externalPort: 8001 }, gateway: { host: ROUTER, externalAddress: "fd77::201" } });
    await bench.mode.down(bench.want(1).key, "unwanted", signal);
    expect([...bench.router.pinholes.values()]).toEqual(["17 [fd77::202]:8002 3600"]);
  });

  test("is refreshed by its number, and asked for anew where the router has forgotten it", async () => {
    await using bench = benchOf();
    await bench.mode.up(bench.want(1, { leaseSeconds: 100 }), signal);
    await bench.settle();
    await bench.clock.advance(11_000);
    expect(asked(bench)).toEqual(["AddPinhole", "UpdatePinhole"]);
    bench.router.pinholes.clear();
    await bench.clock.advance(51_000);
    expect(asked(bench)).toEqual(["AddPinhole", "UpdatePinhole", "UpdatePinhole", "AddPinhole"]);
    expect([...bench.router.pinholes.values()]).toEqual(["6 [fd77::201]:8001 100"]);
  });

  test("of a router whose firewall is off has nothing in its way", async () => {
    await using bench = benchOf();
    const off = "<s:Envelope xmlns:s='s'><s:Body><s:Fault><detail><UPnPError><errorCode>702</errorCode><errorDescription>FirewallDisabled</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>";
    bench.router.options = { pinholes: true, page: ({ headers }) => (headers["soapaction"]?.includes("#AddPinhole") === true ? { status: 500, body: off, location: undefined } : undefined) };
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    expect(bench.views.get(bench.want(1).key)?.status).toMatchObject({ kind: "mapped", externalPort: 8001 });
    await bench.mode.down(bench.want(1).key, "unwanted", signal);
    expect(bench.open()).toBe(0);
  });

  test("for ever is a day at a time, the most there is", async () => {
    await using bench = benchOf();
    await bench.mode.up(bench.want(1, { leaseSeconds: 0 }), signal);
    await bench.settle();
    expect([...bench.router.pinholes.values()]).toEqual(["6 [fd77::201]:8001 86400"]);
    await bench.clock.advance(43_300_000);
    expect(asked(bench)).toContain("UpdatePinhole");
  });

  test("is taken over by the next holder, who may close it", async () => {
    await using bench = benchOf();
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    await bench.mode.down(bench.want(1).key, "notOwner", signal);
    await using heir = bench.reborn();
    await heir.up(bench.want(1), signal);
    await bench.settle();
    expect(bench.router.pinholes.size).toBe(1);
    await heir.down(bench.want(1).key, "unwanted", signal);
    expect(bench.router.pinholes.size).toBe(0);
  });

  test("that is refused: the router's words", async () => {
    await using bench = benchOf();
    const detail = "<UPnPError><errorCode>703</errorCode><errorDescription>InboundPinholeNotAllowed</errorDescription></UPnPError>";
    const body = `<s:Envelope xmlns:s="s"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>${detail}</detail></s:Fault></s:Body></s:Envelope>`;
    bench.router.options = { pinholes: true, page: ({ headers }) => (headers["soapaction"]?.includes("AddPinhole") === true ? { status: 500, body, location: undefined } : undefined) };
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    expect(bench.views.get(bench.want(1).key)?.status).toMatchObject({ kind: "refused", code: 703, text: "InboundPinholeNotAllowed" });
  });
});

test("a known router may announce its restart from its link-local address; a stranger may not name another host", async () => {
  await using bench = benchOf();
  await bench.mode.up(bench.want(1), signal);
  await bench.settle();
  bench.router.pinholes.clear();
  bench.router.bootId += 1;
  bench.router.datagram(bench.router.message("NOTIFY * HTTP/1.1", "NT", "NTS: ssdp:alive\r\n"), LINK_LOCAL);
  await bench.clock.advance(2000);
  expect([...bench.router.pinholes.values()]).toEqual(["6 [fd77::201]:8001 3600"]);
  bench.router.datagram(bench.router.message("NOTIFY * HTTP/1.1", "NT", "NTS: ssdp:alive\r\n", "http://[fd77::66]:5000/root.xml"), LINK_LOCAL);
  await bench.settle();
  expect(Object.fromEntries(bench.troubles)).toEqual({ foreignLocation: 1 });
});

test("a router that maps ports only is no help for IPv6: the reason is told", async () => {
  await using bench = benchOf();
  bench.router.options = {};
  await bench.mode.up(bench.want(1), signal);
  await bench.clock.advance(5000);
  expect(bench.views.get(bench.want(1).key)).toMatchObject({ status: { kind: "noGateway" }, reason: expect.stringContaining("opens no pinholes") as unknown });
});
