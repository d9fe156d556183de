import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { decodeDescription, gatewayServices, sameHost } from "../../src/wire/ssdp-description.js";

const LOCATION = "http://10.77.0.1:5000/rootDesc.xml";
const recorded = (version: 1 | 2): string => readFileSync(new URL(`../golden/upnp/igd${version}/description.xml`, import.meta.url), "utf8");
const type = (name: string): string => `urn:schemas-upnp-org:service:${name}`;

/** A router with a service in a device in a device, as all have it. */
function description(parts: { readonly base?: string; readonly service?: string; readonly control?: string }): string {
  const service = `<service><serviceType>${parts.service ?? type("WANIPConnection:1")}</serviceType><controlURL>${parts.control ?? "/ctl"}</controlURL></service>`;
  const inner = `<device><deviceType>c</deviceType><serviceList>${service}</serviceList></device>`;
  const middle = `<device><deviceType>b</deviceType><deviceList>${inner}</deviceList></device>`;
  const base = parts.base === undefined ? "" : `<URLBase>${parts.base}</URLBase>`;
  return `<root xmlns="urn:schemas-upnp-org:device-1-0">${base}<device><deviceType>a</deviceType><deviceList>${middle}</deviceList></device></root>`;
}

const controlOf = (parts: Parameters<typeof description>[0]): string | undefined => decodeDescription(description(parts), LOCATION).services[0]?.controlUrl;

describe("miniupnpd", () => {
  it("as IGD 2 has mappings of version 2 and pinholes", () => {
    const read = decodeDescription(recorded(2), LOCATION);
    expect(read).toMatchObject({ deviceType: "urn:schemas-upnp-org:device:InternetGatewayDevice:2", udn: "uuid:0e0f7cd2-3a3f-4f3d-9a53-0a4d00010002" });
    expect(gatewayServices(read)).toEqual({
      mapping: [{ serviceType: type("WANIPConnection:2"), controlUrl: "http://10.77.0.1:5000/ctl/IPConn" }],
      pinholes: [{ serviceType: type("WANIPv6FirewallControl:1"), controlUrl: "http://10.77.0.1:5000/ctl/IP6FCtl" }],
    });
  });

  it("as IGD 1 has mappings only", () => {
    expect(gatewayServices(decodeDescription(recorded(1), LOCATION))).toEqual({
      mapping: [{ serviceType: type("WANIPConnection:1"), controlUrl: "http://10.77.0.1:5000/ctl/IPConn" }],
      pinholes: [],
    });
  });
});

describe("a control URL", () => {
  it.each([
    { name: "from the root", parts: { control: "/ctl/a?b=c" }, url: "http://10.77.0.1:5000/ctl/a?b=c" },
    { name: "beside the description", parts: { control: "ctl" }, url: "http://10.77.0.1:5000/ctl" },
    { name: "whole, at another port", parts: { control: "http://10.77.0.1:49152/ctl" }, url: "http://10.77.0.1:49152/ctl" },
    { name: "relative to URLBase", parts: { base: "http://10.77.0.1:49000/x/", control: "ctl" }, url: "http://10.77.0.1:49000/x/ctl" },
    { name: "URLBase that is empty", parts: { base: "", control: "/ctl" }, url: "http://10.77.0.1:5000/ctl" },
    { name: "URLBase that is no URL", parts: { base: "http://[", control: "/ctl" }, url: "http://10.77.0.1:5000/ctl" },
    { name: "on another host", parts: { control: "http://192.0.2.9/ctl" }, url: undefined },
    { name: "on the host of another URLBase", parts: { base: "http://192.0.2.9/" }, url: undefined },
    { name: "of another protocol", parts: { control: "https://10.77.0.1/ctl" }, url: undefined },
    { name: "with a user", parts: { control: "http://me@10.77.0.1/ctl" }, url: undefined },
    { name: "empty", parts: { control: "" }, url: undefined },
    { name: "no URL", parts: { control: "http://10.77.0.1:99999/" }, url: undefined },
  ])("$name", ({ parts, url }) => {
    expect(controlOf(parts)).toBe(url);
  });
});

describe("gatewayServices", () => {
  it("has the best first, whatever the order in the description", () => {
    const services = ["WANPPPConnection:1", "WANIPConnection:1", "Layer3Forwarding:1", "WANIPConnection:2"].map((name) => ({ serviceType: type(name), controlUrl: `http://r/${name}` }));
    const { mapping, pinholes } = gatewayServices({ deviceType: "a", friendlyName: undefined, modelName: undefined, udn: undefined, services });
    expect(mapping.map(({ serviceType }) => serviceType)).toEqual(["WANIPConnection:2", "WANIPConnection:1", "WANPPPConnection:1"].map(type));
    expect(pinholes).toEqual([]);
  });
});

describe("what is no description", () => {
  it.each([
    { name: "a page", source: "<html><head/></html>", error: "DescriptionError" },
    { name: "a device without a type", source: "<root><device/></root>", error: "DescriptionError" },
    { name: "not well-formed", source: "<root><device></root>", error: "XmlError" },
  ])("$name", ({ source, error }) => {
    expect(() => decodeDescription(source, LOCATION)).toThrow(expect.objectContaining({ name: error }) as Error);
  });
});

describe("sameHost", () => {
  it.each([
    { one: "http://192.0.2.1:80/a", other: "http://192.0.2.1:5000/b", same: true },
    { one: "http://[2001:db8::1]/", other: "http://[2001:DB8:0::1]:5000/", same: true },
    { one: "http://192.0.2.1/", other: "http://192.0.2.10/", same: false },
    { one: "http://192.0.2.1@198.51.100.1/", other: "http://192.0.2.1/", same: false },
    { one: "file:///etc/passwd", other: "file:///etc/passwd", same: false },
    { one: "nothing", other: "http://192.0.2.1/", same: false },
  ])("$one and $other: $same", ({ one, other, same }) => {
    expect(sameHost(one, other)).toBe(same);
    expect(sameHost(other, one)).toBe(same);
  });
});
