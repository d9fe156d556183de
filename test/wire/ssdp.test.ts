import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { decodeSsdp, encodeSearch, IGD_SEARCH_TARGETS, MAX_SSDP_LENGTH, SSDP_GROUP } from "../../src/wire/ssdp.js";
import { fuzzDecode } from "./fuzz.js";

const octets = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const recorded = (version: 1 | 2): readonly string[] =>
  JSON.parse(readFileSync(new URL(`../golden/upnp/igd${version}/ssdp.json`, import.meta.url), "utf8")) as readonly string[];

const byText = (a = "", b = ""): number => a.localeCompare(b);

const ANSWER = "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://192.0.2.1/d.xml\r\n\r\n";
const NOTIFY = "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\n\r\n";

describe("a search", () => {
  it("has the lines of UPnP Device Architecture 2.0, 1.3.2", () => {
    expect(text(encodeSearch({ target: IGD_SEARCH_TARGETS[0], host: SSDP_GROUP, maxWaitSeconds: 2 }))).toBe(
      'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 2\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\n\r\n',
    );
  });

  it("of somebody else is no message for us", () => {
    const search = encodeSearch({ target: "ssdp:all", host: SSDP_GROUP, maxWaitSeconds: 1 });
    expect(() => decodeSsdp(search)).toThrow(expect.objectContaining({ name: "DecodeError", code: "value" }) as Error);
  });
});

describe("an answer", () => {
  it.each([1, 2] as const)("of miniupnpd as IGD %i", (version) => {
    const answers = recorded(version).filter((message) => message.startsWith("HTTP/"));
    expect(answers).toHaveLength(5);
    expect(decodeSsdp(octets(answers[0] ?? ""))).toEqual({
      kind: "answer",
      target: IGD_SEARCH_TARGETS[0],
      usn: `uuid:0e0f7cd2-3a3f-4f3d-9a53-0a4d0001000${version}::${IGD_SEARCH_TARGETS[0]}`,
      location: "http://10.77.0.1:5000/rootDesc.xml",
      server: expect.stringContaining("MiniUPnPd/2.3.1") as string,
      maxAgeSeconds: 120,
      bootId: expect.any(Number) as number,
    });
    expect(answers.map((answer) => decodeSsdp(octets(answer)).target).toSorted(byText)).toEqual([...IGD_SEARCH_TARGETS].toSorted(byText));
  });

  it.each([
    { name: "line feeds only", datagram: ANSWER.replaceAll("\r", ""), wanted: { target: "upnp:rootdevice", location: "http://192.0.2.1/d.xml" } },
    { name: "HTTP/1.0, names in any case, blanks", datagram: "HTTP/1.0 200 OK\r\nsT :  x \r\nLocation:http://a/\r\n\r\n", wanted: { target: "x", location: "http://a/" } },
    { name: "no end", datagram: "HTTP/1.1 200 OK\r\nST: x", wanted: { target: "x" } },
    { name: "the first of two", datagram: "HTTP/1.1 200 OK\r\nST: x\r\nST: y\r\n\r\n", wanted: { target: "x" } },
    { name: "no headers", datagram: "HTTP/1.1 200 OK", wanted: { target: undefined, location: undefined, maxAgeSeconds: undefined, bootId: undefined } },
    { name: "what is behind the empty line", datagram: "HTTP/1.1 200 OK\r\n\r\nST: x\r\n", wanted: { target: undefined } },
    { name: "max-age among others, quoted", datagram: 'HTTP/1.1 200 OK\r\nCACHE-CONTROL: no-cache="Ext", max-age = "1800"\r\n\r\n', wanted: { maxAgeSeconds: 1800 } },
    { name: "an age without end", datagram: "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=9999999999\r\n\r\n", wanted: { maxAgeSeconds: 0x7fff_ffff } },
    { name: "a boot id that is none", datagram: "HTTP/1.1 200 OK\r\nBOOTID.UPNP.ORG: x1\r\n\r\n", wanted: { bootId: undefined } },
  ])("$name", ({ datagram, wanted }) => {
    expect(decodeSsdp(octets(datagram))).toMatchObject({ kind: "answer", ...wanted });
  });
});

describe("an announcement", () => {
  it.each(["alive", "byebye", "update"] as const)("%s", (kind) => {
    expect(decodeSsdp(octets(NOTIFY.replace("alive", kind)))).toMatchObject({ kind, target: "upnp:rootdevice" });
  });

  it("of miniupnpd", () => {
    const notify = [...recorded(1), ...recorded(2)].filter((message) => message.startsWith("NOTIFY"));
    const read = notify.map((message) => decodeSsdp(octets(message)));
    expect(new Set(read.map(({ kind }) => kind))).toEqual(new Set(["alive", "byebye"]));
    for (const { kind, location } of read) expect(location).toBe(kind === "alive" ? "http://10.77.0.1:5000/rootDesc.xml" : undefined);
  });
});

describe("what is refused", () => {
  it.each([
    { name: "nothing", datagram: "", code: "value" },
    { name: "another status", datagram: ANSWER.replace("200", "500"), code: "value" },
    { name: "a status that only begins so", datagram: ANSWER.replace("200", "2000"), code: "value" },
    { name: "an announcement of an unknown kind", datagram: NOTIFY.replace("alive", "propchange"), code: "value" },
    { name: "an announcement of no kind", datagram: NOTIFY.replace("NTS: ssdp:alive\r\n", ""), code: "value" },
    { name: "a header of two kilobytes", datagram: ANSWER.replace("/d.xml", `/${"d".repeat(2048)}`), code: "length" },
    { name: "more than fits", datagram: `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(MAX_SSDP_LENGTH / 6)}`, code: "length" },
  ])("$name", ({ datagram, code }) => {
    expect(() => decodeSsdp(octets(datagram))).toThrow(expect.objectContaining({ name: "DecodeError", code }) as Error);
  });

  it("headers behind the 64th do not count", () => {
    expect(decodeSsdp(octets(`HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(64)}ST: x\r\n\r\n`)).target).toBeUndefined();
  });

  it("anything is decoded or a DecodeError", () => {
    const samples = [...recorded(1), ...recorded(2), ANSWER, NOTIFY].map(octets);
    expect(fuzzDecode(samples, decodeSsdp).decoded).toBeGreaterThan(300);
  });
});
