import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import * as igd from "../../src/wire/soap-igd.js";
import { decodeSoap, encodeSoap, SoapError, type SoapReply } from "../../src/wire/soap.js";
import { escapeXml, MAX_XML_LENGTH, parseXml, XmlError } from "../../src/wire/xml.js";

const TYPE = "urn:schemas-upnp-org:service:WANIPConnection:2";
const mapping: igd.PortMapping = {
  externalPort: 18080,
  protocol: "TCP",
  internalPort: 8080,
  internalClient: "10.77.0.200" as IpAddress,
  description: "vip <default/web>",
  leaseSeconds: 60,
};
const recorded = (name: string): string => readFileSync(new URL(`../golden/upnp/igd2/${name}.xml`, import.meta.url), "utf8");
const envelope = (inner: string): string => `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${inner}</s:Body></s:Envelope>`;

function valuesOf(name: string, action: string): ReadonlyMap<string, string> {
  const reply = decodeSoap(recorded(name), action);
  if (reply.type !== "result") throw new Error(reply.text);
  return reply.values;
}

describe("a call", () => {
  it("is a POST with the action in a header and its parameters in order", () => {
    const { headers, body } = encodeSoap(igd.addPortMapping(TYPE, mapping));
    expect(headers).toEqual({ "content-type": 'text/xml; charset="utf-8"', soapaction: `"${TYPE}#AddPortMapping"` });
    const call = parseXml(body).children[0]?.children[0];
    expect(call?.name).toBe("AddPortMapping");
    expect(call?.children.map(({ name, text }) => `${name}=${text}`)).toEqual([
      "NewRemoteHost=",
      "NewExternalPort=18080",
      "NewProtocol=TCP",
      "NewInternalPort=8080",
      "NewInternalClient=10.77.0.200",
      "NewEnabled=1",
      "NewPortMappingDescription=vip <default/web>",
      "NewLeaseDuration=60",
    ]);
    expect(body).toContain(`<u:AddPortMapping xmlns:u="${TYPE}">`);
    expect(body).toContain("vip &lt;default/web&gt;");
  });

  it.each([
    { call: igd.addAnyPortMapping(TYPE, mapping), action: "AddAnyPortMapping", first: "NewRemoteHost", count: 8 },
    { call: igd.deletePortMapping(TYPE, mapping), action: "DeletePortMapping", first: "NewRemoteHost", count: 3 },
    { call: igd.getSpecificPortMappingEntry(TYPE, mapping), action: "GetSpecificPortMappingEntry", first: "NewRemoteHost", count: 3 },
    { call: igd.getExternalIpAddress(TYPE), action: "GetExternalIPAddress", first: undefined, count: 0 },
    { call: igd.getStatusInfo(TYPE), action: "GetStatusInfo", first: undefined, count: 0 },
    { call: igd.addPinhole(TYPE, mapping), action: "AddPinhole", first: "RemoteHost", count: 6 },
    { call: igd.updatePinhole(TYPE, 7, 60), action: "UpdatePinhole", first: "UniqueID", count: 2 },
    { call: igd.deletePinhole(TYPE, 7), action: "DeletePinhole", first: "UniqueID", count: 1 },
  ])("$action", ({ call, action, first, count }) => {
    expect(call).toMatchObject({ serviceType: TYPE, action });
    expect(call.parameters).toHaveLength(count);
    expect(call.parameters[0]?.[0]).toBe(first);
  });

  it("a pinhole says its protocol as a number", () => {
    expect(igd.addPinhole(TYPE, { ...mapping, protocol: "UDP" }).parameters).toContainEqual(["Protocol", "17"]);
  });

  it("any text comes through, but for what XML cannot hold", () => {
    const readable = (text: string): string => Array.from(text, (character) => (character < " " && !"\t\n\r".includes(character) ? "" : character)).join("");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.constantFrom("\u0000", "\u001b", "<", "&", "]]>", '"', "\ud800"), (text, special) => {
        expect(parseXml(`<a>${escapeXml(`${special}x${text}`)}</a>`).text).toBe(
          readable(special.replace("\ud800", "") + `x${text}`).replaceAll(/[\ufffe\uffff]/g, "").replaceAll(/\r\n?/g, "\n").trim(),
        );
      }),
      { seed: 1 },
    );
  });
});

describe("what miniupnpd answers", () => {
  it("the external address", () => {
    expect(igd.externalAddressOf(valuesOf("external", "GetExternalIPAddress"))).toBe("192.0.3.1");
  });

  it("the time that it has been up", () => {
    expect(igd.uptimeOf(valuesOf("status", "GetStatusInfo"))).toBe(4);
  });

  it("another port where the wanted one is taken", () => {
    expect(igd.reservedPortOf(valuesOf("add-any", "AddAnyPortMapping"))).toBe(18081);
  });

  it("a mapping, with the description as it was given", () => {
    const entry = { internalPort: 8080, internalClient: "10.77.0.200", enabled: true, description: "vip <default/web>", leaseSeconds: 60 };
    expect(igd.mappingEntryOf(valuesOf("entry", "GetSpecificPortMappingEntry"))).toEqual(entry);
  });

  it("nothing, to what has no result", () => {
    expect(valuesOf("delete", "DeletePortMapping").size).toBe(0);
  });

  it.each([
    { name: "conflict", action: "AddPortMapping", code: igd.IGD_ERROR.conflictInMappingEntry, text: "ConflictInMappingEntry" },
    { name: "no-entry", action: "GetSpecificPortMappingEntry", code: igd.IGD_ERROR.noSuchEntry, text: "NoSuchEntryInArray" },
    { name: "invalid-action", action: "Nonsense", code: 401, text: "Invalid Action" },
  ])("a fault: $name", ({ name, action, code, text }) => {
    expect(decodeSoap(recorded(name), action)).toEqual({ type: "fault", code, text });
  });
});

describe("an answer", () => {
  const fault = (detail: string, words = "UPnPError"): string => envelope(`<s:Fault><faultcode>s:Client</faultcode><faultstring>${words}</faultstring><detail>${detail}</detail></s:Fault>`);
  const rows: readonly { name: string; body: string; reply: SoapReply }[] = [
    { name: "of another prefix, with blanks", body: "\n<e:Envelope xmlns:e='x'><e:Body><r:aResponse xmlns:r='y'> <New> 1 </New></r:aResponse></e:Body></e:Envelope>\n\0", reply: { type: "result", values: new Map([["New", "1"]]) } },
    { name: "a fault without a code", body: fault("", "Server is busy"), reply: { type: "fault", code: 0, text: "Server is busy" } },
    { name: "a fault with a code that is none", body: fault("<UPnPError><errorCode>x</errorCode></UPnPError>"), reply: { type: "fault", code: 0, text: "UPnPError" } },
    { name: "words that cannot be shown", body: fault("<UPnPError><errorCode>501</errorCode><errorDescription>a\u009b\nb</errorDescription></UPnPError>"), reply: { type: "fault", code: 501, text: "a b" } },
    { name: "words without end", body: fault(`<UPnPError><errorCode>501</errorCode><errorDescription>${"a".repeat(5000)}</errorDescription></UPnPError>`), reply: { type: "fault", code: 501, text: "a".repeat(200) } },
  ];
  it.each(rows)("$name", ({ body, reply }) => {
    expect(decodeSoap(body, "a")).toEqual(reply);
  });

  it.each([
    { name: "no envelope", body: "<html><body>404</body></html>" },
    { name: "no body", body: '<s:Envelope xmlns:s="x"></s:Envelope>' },
    { name: "the answer to something else", body: envelope("<bResponse/>") },
  ])("is refused: $name", ({ body }) => {
    expect(() => decodeSoap(body, "a")).toThrow(SoapError);
  });

  it.each([
    { name: "port 0", values: { NewReservedPort: "0" } },
    { name: "port 65536", values: { NewReservedPort: "65536" } },
    { name: "a port in words", values: { NewReservedPort: "eighty" } },
    { name: "address 0.0.0.0", values: { NewExternalIPAddress: "0.0.0.0" } },
    { name: "no address", values: { NewExternalIPAddress: "" } },
    { name: "an entry without a target", values: { NewInternalPort: "80" } },
    { name: "nothing", values: {} },
  ])("has no values that make no sense: $name", ({ values }) => {
    const map = new Map(Object.entries(values));
    expect([igd.reservedPortOf(map), igd.externalAddressOf(map), igd.mappingEntryOf(map), igd.uniqueIdOf(map), igd.uptimeOf(map)]).toEqual(Array.from({ length: 5 }));
  });
});

describe("XML", () => {
  it.each([
    { name: "nothing", source: "", code: "syntax" },
    { name: "only blanks", source: " \n ", code: "syntax" },
    { name: "an end that is missing", source: "<a><b></a>", code: "syntax" },
    { name: "an attribute without quotes", source: "<a b=c/>", code: "syntax" },
    { name: "two roots", source: "<a/><b/>", code: "syntax" },
    { name: "an entity of its own", source: "<a>&own;</a>", code: "syntax" },
    { name: "entities that grow", source: '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>', code: "doctype" },
    { name: "an entity from a file", source: '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', code: "doctype" },
    { name: "too long", source: `<a>${"a".repeat(MAX_XML_LENGTH)}</a>`, code: "size" },
    { name: "too deep", source: "<a>".repeat(33), code: "size" },
    { name: "too many elements", source: `<a>${"<b/>".repeat(4096)}</a>`, code: "size" },
  ])("is refused: $name", ({ source, code }) => {
    expect(() => parseXml(source)).toThrow(expect.objectContaining({ name: "XmlError", code }) as Error);
  });

  it("texts, character data and the five entities are one text", () => {
    expect(parseXml("<a> 1 <![CDATA[<2>]]> &lt;3&gt; &#52; <b/> </a>").text).toBe("1 <2> <3> 4");
  });

  it("anything is parsed or an XmlError", () => {
    const samples = ["conflict", "entry", "status"].map(recorded);
    let parsed = 0;
    const attempt = (source: string): void => {
      try {
        parseXml(source);
        parsed += 1;
      } catch (error) {
        if (!(error instanceof XmlError)) throw error;
      }
    };
    const edits = fc.tuple(fc.constantFrom(...samples), fc.nat(), fc.nat(40), fc.string({ maxLength: 4 }));
    fc.assert(fc.property(edits, ([sample, at, cut, insert]) => attempt(sample.slice(0, at % sample.length) + insert + sample.slice((at % sample.length) + cut))), { seed: 3, numRuns: 2000 });
    fc.assert(fc.property(fc.string(), attempt), { seed: 4, numRuns: 1000 });
    expect(parsed).toBeGreaterThan(100);
  });
});
