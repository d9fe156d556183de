import { describe, expect, test } from "vitest";
import { canServe, mainLink, serviceLink, subnetOf, type LinkPlanConfig } from "../../src/core/plan-links.js";
import { emptyWorld, type Subnet, type World } from "../../src/core/world.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { fakeLink } from "../fakes/kernel.js";
import { fakeService } from "../fakes/service.js";

interface Given {
  readonly links?: readonly string[];
  readonly bad?: readonly string[];
  readonly defaultLink?: string;
  /** `192.0.2.1/24`, by link. */
  readonly subnets?: Readonly<Record<string, readonly string[]>>;
}

const NOTHING: LinkPlanConfig = { iface: undefined, servicesIface: undefined };
const AUTO: LinkPlanConfig = { iface: undefined, servicesIface: "auto" };

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

function subnet(text: string): Subnet {
  const [address = "", prefix] = text.split("/");
  return { address: ip(address), prefix: Number(prefix) };
}

function world({ links = ["lo", "eth0", "eth1"], bad = [], defaultLink, subnets = {} }: Given): World {
  return {
    ...emptyWorld("n1"),
    links: new Map(links.map((name, i) => [name, fakeLink(i + 1, name)])),
    badLinks: new Set(bad),
    defaultLink,
    subnets: new Map(Object.entries(subnets).map(([name, texts]) => [name, texts.map(subnet)])),
  };
}

function asked(address: string): Parameters<typeof serviceLink>[2] {
  return { address: ip(address), service: fakeService() };
}

describe("link of the control plane, and of Services where nothing else is said", () => {
  const rows: readonly [string, Given, string | undefined, unknown][] = [
    ["the one that is named", { defaultLink: "eth1" }, "eth0", { type: "link", name: "eth0" }],
    ["else the one of the default route", { defaultLink: "eth1" }, undefined, { type: "link", name: "eth1" }],
    ["none where neither is known", {}, undefined, { type: "none", code: "noInterface", message: "no link is named and there is no default route" }],
    ["none where it is not there", { defaultLink: "eth1" }, "eth9", { type: "none", code: "noInterface", message: "eth9 is not there" }],
    ["none where it is bad, although another would be good", { bad: ["eth0"], defaultLink: "eth1" }, "eth0", { type: "none", code: "linkDown", message: "eth0 is down or has no carrier" }],
    ["gone and still called bad: not there", { links: ["lo"], bad: ["eth0"] }, "eth0", { type: "none", code: "noInterface", message: "eth0 is not there" }],
  ];
  test.each(rows)("%s", (_name, given, iface, choice) => {
    expect(mainLink(world(given), { ...NOTHING, iface })).toEqual(choice);
    expect(serviceLink(world(given), { ...NOTHING, iface }, asked("192.0.2.10"))).toEqual(choice);
  });
});

describe("link of a Service's address", () => {
  test("vip_servicesinterface comes before vip_interface, and is not replaced where it is bad", () => {
    const config = { iface: "eth0", servicesIface: "eth1" };
    expect(serviceLink(world({}), config, asked("192.0.2.10"))).toEqual({ type: "link", name: "eth1" });
    expect(serviceLink(world({ bad: ["eth1"] }), config, asked("192.0.2.10"))).toMatchObject({ code: "linkDown" });
    expect(mainLink(world({ bad: ["eth1"] }), config)).toEqual({ type: "link", name: "eth0" });
  });

  const subnets = {
    eth0: ["192.0.2.1/24", "2001:db8::1/64", "10.0.0.1/8", "198.51.100.1/25"],
    eth1: ["192.0.2.129/26", "2001:db8:0:1::1/64", "10.4.0.1/15", "198.51.100.129/25"],
  };
  test.each<readonly [string, string, string | undefined]>([
    ["in the only subnet that holds it", "192.0.2.10", "eth0"],
    ["in two: the longest prefix wins", "192.0.2.140", "eth1"],
    ["last of the longer prefix", "192.0.2.191", "eth1"],
    ["first after the longer prefix", "192.0.2.192", "eth0"],
    ["a prefix that ends within an octet, inside", "10.5.255.255", "eth1"],
    ["a prefix that ends within an octet, outside", "10.6.0.0", "eth0"],
    ["lower half of a /24 that two links share", "198.51.100.127", "eth0"],
    ["upper half of a /24 that two links share", "198.51.100.128", "eth1"],
    ["IPv6, first link", "2001:db8::10", "eth0"],
    ["IPv6, second link", "2001:db8:0:1::10", "eth1"],
    ["IPv6 in no subnet", "2001:db8:0:2::10", undefined],
    ["in no subnet", "203.0.113.1", undefined],
  ])("auto: %s", (_name, address, name) => {
    const message = `no link of this node has a subnet that holds ${address}`;
    const choice = name === undefined ? { type: "none", code: "noInterface", message } : { type: "link", name };
    expect(serviceLink(world({ subnets }), AUTO, asked(address))).toEqual(choice);
  });

  test("auto: the longest prefix wins in whatever order the links are known", () => {
    const reversed = { eth1: subnets.eth1, eth0: subnets.eth0 };
    expect(serviceLink(world({ subnets: reversed }), AUTO, asked("192.0.2.140"))).toEqual({ type: "link", name: "eth1" });
  });

  test("auto: an IPv4 address is in no IPv6 subnet, whatever the bits", () => {
    expect(serviceLink(world({ subnets: { eth0: ["c000:200::1/16"] } }), AUTO, asked("192.0.2.10"))).toMatchObject({ code: "noInterface" });
  });

  test("auto: a link that is bad is said to be so", () => {
    expect(serviceLink(world({ subnets, bad: ["eth1"] }), AUTO, asked("192.0.2.140"))).toMatchObject({ code: "linkDown", message: "eth1 is down or has no carrier" });
  });
});

describe("the prefix of a VIP on its link", () => {
  const subnets = { eth0: ["192.0.2.1/24", "2001:db8::1/64"] };
  test.each<readonly [string, string, number | "auto", object]>([
    ["auto: that of the node's address, beside which it stands", "192.0.2.10", "auto", { prefix: 24, scope: "global" }],
    ["auto: a host's where no subnet holds it", "203.0.113.1", "auto", { prefix: 32 }],
    ["auto, IPv6: that of the subnet", "2001:db8::10", "auto", { prefix: 64 }],
    ["auto, IPv6: a host's where no subnet holds it", "2001:db8:1::10", "auto", { prefix: 128 }],
    ["the node's prefix, asked for", "192.0.2.10", 24, { prefix: 24, scope: "global" }],
    ["another than the node's: as the first of its subnet it would be a danger, so a host's", "192.0.2.10", 25, { prefix: 32 }],
    ["the node's prefix, of another subnet", "198.51.100.1", 24, { prefix: 32 }],
    ["a host's", "192.0.2.10", 32, { prefix: 32 }],
    ["IPv6: as asked for, whatever the node has", "2001:db8:1::10", 56, { prefix: 56 }],
  ])("%s", (_name, text, prefix, expected) => {
    expect(subnetOf(world({ subnets }), { iface: "eth0", address: ip(text), asked: prefix })).toEqual(expected);
  });
});

describe("whether a node could serve Services at all", () => {
  test.each<readonly [string, Given, LinkPlanConfig, boolean]>([
    ["its link is good", {}, { ...NOTHING, iface: "eth0" }, true],
    ["its link is bad", { bad: ["eth0"] }, { ...NOTHING, iface: "eth0" }, false],
    ["no default route yet", {}, NOTHING, false],
    ["the link for Services decides, not the other", { bad: ["eth0"] }, { iface: "eth0", servicesIface: "eth1" }, true],
    ["the link for Services is bad", { bad: ["eth1"] }, { iface: "eth0", servicesIface: "eth1" }, false],
    ["auto, one good link", { bad: ["eth0"] }, AUTO, true],
    ["auto, none but loopback is good", { bad: ["eth0", "eth1"] }, AUTO, false],
  ])("%s", (_name, given, config, expected) => {
    expect(canServe(world(given), config)).toBe(expected);
  });
});
