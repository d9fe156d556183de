import { describe, expect, test } from "vitest";
import { parseIp } from "../../src/lib/ip.js";
import type { HttpAnswer } from "../../src/ports/http.js";
import { MAX_XML_LENGTH } from "../../src/wire/xml.js";
import { conforms } from "./conformance.js";
import { UpnpBench } from "./upnp-bench.js";

conforms("upnp", () => new UpnpBench());

const signal = new AbortController().signal;

describe("a router", () => {
  test("in secure mode is asked from the VIP, for every protocol, and by nobody else", async () => {
    await using bench = new UpnpBench();
    bench.router.options = { secure: true };
    await bench.mode.up(bench.want(1), signal);
    await bench.mode.up(bench.want(2, { protocol: "UDP" }), signal);
    await bench.settle();
    expect([...bench.router.mappings]).toEqual([["TCP 8001", "10.77.0.201:8001 3600"], ["UDP 8002", "10.77.0.202:8002 3600"]]);
    expect(bench.views.get(bench.want(1).key)).toMatchObject({ status: { kind: "mapped", externalPort: 8001 }, gateway: { name: "Router", externalAddress: "198.51.100.1" } });
  });

  test("is asked again when half of the lease is over", async () => {
    await using bench = new UpnpBench();
    await bench.mode.up(bench.want(1, { leaseSeconds: 100 }), signal);
    await bench.settle();
    const asked = (): number => bench.router.requests.filter(({ headers }) => headers["soapaction"]?.includes("AddPortMapping") === true).length;
    expect(asked()).toBe(1);
    // Confirmed once.
    await bench.clock.advance(10_000);
    expect(asked()).toBe(2);
    await bench.clock.advance(49_000);
    expect(asked()).toBe(2);
    await bench.clock.advance(1500);
    expect(asked()).toBe(3);
  });

  test("of version 2 gives another port where the wanted one is taken; of version 1 its words are told", async () => {
    for (const version of [1, 2] as const) {
      await using bench = new UpnpBench();
      bench.router.options = { version };
      bench.router.mappings.set("TCP 8001", "10.77.0.9:80 0");
      await bench.mode.up(bench.want(1), signal);
      await bench.settle();
      const { status } = bench.views.get(bench.want(1).key) ?? {};
      expect(status).toMatchObject(version === 2 ? { kind: "mapped", externalPort: 50_000 } : { kind: "refused", code: 718, text: "ConflictInMappingEntry" });
      await bench.mode.down(bench.want(1).key, "unwanted", signal);
      expect([...bench.router.mappings]).toEqual([["TCP 8001", "10.77.0.9:80 0"]]);
    }
  });

  test("that was restarted is asked again within a moment, and its new address is learned", async () => {
    await using bench = new UpnpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    bench.router.external = "198.51.100.9";
    bench.router.restart();
    await bench.clock.advance(1000);
    expect(await bench.there()).toEqual([bench.want(1).key]);
    expect(bench.views.get(bench.want(1).key)?.gateway?.externalAddress).toBe("198.51.100.9");
  });

  test("that has forgotten a mapping without a word is found out by the next check", async () => {
    await using bench = new UpnpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    bench.router.mappings.clear();
    await bench.clock.advance(61_000);
    expect(await bench.there()).toEqual([bench.want(1).key]);
  });

  test("that is not there is not waited for, and found when it comes", async () => {
    await using bench = new UpnpBench();
    bench.router.options = { answers: false };
    await bench.mode.up(bench.want(1), signal);
    expect(bench.views.get(bench.want(1).key)?.status.kind).toBe("asking");
    await bench.clock.advance(3000);
    expect(bench.views.get(bench.want(1).key)?.status.kind).toBe("noGateway");
    bench.router.options = {};
    await bench.clock.advance(60_000);
    expect(await bench.there()).toEqual([bench.want(1).key]);
  });

  test("that hangs when a port is to be closed is waited for a short while only", async () => {
    await using bench = new UpnpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    bench.router.options = { page: () => Object.assign(new Error("silent"), { code: "timeout" }) };
    let done = false;
    const down = bench.mode.down(bench.want(1).key, "unwanted", signal).then(() => (done = true));
    await bench.clock.advance(5400);
    expect(done).toBe(false);
    await bench.clock.advance(200);
    await down;
    expect(bench.open()).toBe(0);
  });

  test("keeps what another node has taken over", async () => {
    await using bench = new UpnpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    await bench.mode.down(bench.want(1).key, "notOwner", signal);
    expect(await bench.there()).toEqual([bench.want(1).key]);
  });

  test("closes a port for another address of this node where the VIP is gone already", async () => {
    await using bench = new UpnpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    bench.router.options = { page: ({ from }) => (from === undefined ? undefined : Object.assign(new Error("EADDRNOTAVAIL"), { code: "network" })) };
    await bench.mode.down(bench.want(1).key, "unwanted", signal);
    expect(await bench.there()).toEqual([]);
  });
});

describe("what a hostile device sends", () => {
  const page = (part: Partial<HttpAnswer>): HttpAnswer => ({ status: 200, body: "", location: undefined, ...part });
  test.each<readonly [string, HttpAnswer | Error, string, RegExp]>([
    ["an answer that does not end", Object.assign(new Error("GET: an answer of more than 262144 octets"), { code: "size" }), "size", /more than/],
    ["XML that is too long", page({ body: `<root>${"x".repeat(MAX_XML_LENGTH)}</root>` }), "malformed", /XML of/],
    ["XML that is too deep", page({ body: "<a>".repeat(1000) }), "malformed", /levels/],
    ["a document type", page({ body: '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>' }), "malformed", /document type/],
    ["no XML", page({ body: "<html" }), "malformed", /root\.xml/],
    ["a description without a service", page({ body: "<root><device><deviceType>d</deviceType></device></root>" }), "noService", /maps no ports/],
    ["a service at another host", page({ body: "<root><device><deviceType>d</deviceType><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>http://10.77.0.66/</controlURL></service></serviceList></device></root>" }), "noService", /maps no ports/],
    ["a redirect to another host", page({ status: 302, location: "http://10.77.0.66/" }), "redirect", /another host, http:\/\/10\.77\.0\.66/],
    ["a redirect without end", page({ status: 302, location: "/again" }), "status", /302/],
    ["another status", page({ status: 404 }), "status", /404/],
  ])("%s: not taken, counted, and the reason is told", async (_name, answer, trouble, reason) => {
    await using bench = new UpnpBench();
    bench.router.options = { page: () => answer };
    await bench.mode.up(bench.want(1), signal);
    await bench.clock.advance(4000);
    expect(bench.views.get(bench.want(1).key)).toMatchObject({ status: { kind: "noGateway" }, gateway: undefined, reason: expect.stringMatching(reason) as unknown });
    expect(bench.troubles.get(trouble)).toBeGreaterThan(0);
    expect(new Set(bench.router.requests.map(({ url }) => new URL(url).hostname))).toEqual(new Set(["10.77.0.1"]));
  });

  test("a redirect on the same host is followed once", async () => {
    await using bench = new UpnpBench();
    bench.router.options = { page: ({ url, method }) => (method === "GET" && url.endsWith("/root.xml") ? page({ status: 301, location: "/other.xml" }) : undefined) };
    await bench.mode.up(bench.want(1), signal);
    expect(await bench.there()).toEqual([bench.want(1).key]);
  });

  test("a flood of datagrams: a bounded number of requests, the rest is counted", async () => {
    await using bench = new UpnpBench();
    bench.router.options = { page: () => page({ status: 404 }) };
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    for (let i = 0; i < 5000; i += 1) bench.router.datagram(bench.router.message("NOTIFY * HTTP/1.1", "NT", "NTS: ssdp:alive\r\n", `http://10.77.0.1:${1000 + i}/`));
    await bench.clock.advance(5000);
    expect(bench.troubles.get("flood")).toBeGreaterThan(4900);
    expect(bench.router.requests.length).toBeLessThan(20);
  });

  test("a flood while the router is searched for: it is found all the same, for others have no part in what is looked at of a next hop", async () => {
    await using bench = new UpnpBench();
    bench.router.options = { answers: false };
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    const [first, other] = [bench.clock.now(), parseIp("10.77.0.66")];
    const flood = (): void => {
      for (let i = 0; i < 1000; i += 1) bench.router.datagram(bench.router.message("NOTIFY * HTTP/1.1", "NT", "NTS: ssdp:alive\r\n", `http://10.77.0.66:${1000 + i}/`), other);
    };
    flood();
    bench.router.options = { page: ({ url }) => (url.startsWith("http://10.77.0.66") ? Object.assign(new Error("no whole answer"), { code: "timeout" }) : undefined) };
    while (bench.clock.now() < first + 1000) {
      flood();
      await bench.clock.advance(100);
    }
    expect(bench.views.get(bench.want(1).key)?.status.kind).toBe("mapped");
    expect(bench.troubles.get("flood")).toBeGreaterThan(5000);
  });

  test("datagrams that are no SSDP, or lead to another host than their sender: counted, and nothing else", async () => {
    await using bench = new UpnpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    const before = bench.router.requests.length;
    bench.router.datagram(Uint8Array.from({ length: 100 }, (_, i) => i));
    bench.router.datagram(new Uint8Array(9000));
    bench.router.datagram(bench.router.message("NOTIFY * HTTP/1.1", "NT", "NTS: ssdp:alive\r\n"), parseIp("10.77.0.66"));
    bench.router.datagram(new TextEncoder().encode("M-SEARCH * HTTP/1.1\r\n\r\n"));
    await bench.settle();
    expect(Object.fromEntries(bench.troubles)).toEqual({ datagram: 2, foreignLocation: 1 });
    expect(bench.router.requests.length).toBe(before);
  });

  test("an answer in SOAP that is no answer: tried again, and the router's health is looked at", async () => {
    await using bench = new UpnpBench();
    bench.router.options = { page: ({ headers }) => (headers["soapaction"]?.includes("AddPortMapping") === true ? page({ body: "<nonsense/>" }) : undefined) };
    await bench.mode.up(bench.want(1), signal);
    await bench.settle();
    expect(bench.views.get(bench.want(1).key)?.status).toMatchObject({ kind: "unreachable" });
    bench.router.options = {};
    await bench.clock.advance(3000);
    expect(bench.views.get(bench.want(1).key)?.status.kind).toBe("mapped");
  });
});
