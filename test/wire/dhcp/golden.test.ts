import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../../src/lib/ip.js";
import { BROADCAST_MAC, type MacAddress } from "../../../src/lib/mac.js";
import { DHCPACK, DHCPDISCOVER, DHCPNAK, DHCPOFFER, DHCPRELEASE, DHCPREQUEST } from "../../../src/wire/dhcp/codes.js";
import { decodeClientFrame, encodeClientFrame, type DhcpFrame } from "../../../src/wire/dhcp/frame.js";
import { decodeDhcp, encodeDhcp } from "../../../src/wire/dhcp/message.js";
import type { DhcpOptions } from "../../../src/wire/dhcp/options.js";
import { decodeUdpFrame } from "../../../src/wire/udp.js";
import { fromHex } from "../hex.js";
import { goldenFrame, goldenFrames, SERVERS, type Server } from "./golden.js";

const ip = (text: string): IpAddress => text as IpAddress;
const server = ip("10.77.0.1");
const client = "02:00:00:00:00:50" as MacAddress;
const vipWeb = fromHex("00766970010203");
const vipWebOfDhclient = fromHex("007669700102");
const common = { serverId: server, prefix: 24, routers: [server], domainName: "lab.example" };
const twoServers = [server, ip("10.77.0.2")];
const route = { destination: ip("10.99.0.0"), prefix: 16, router: ip("10.77.0.9") };
const defaultRoute = { destination: ip("0.0.0.0"), prefix: 0, router: server };

interface Row {
  readonly server: Server;
  readonly name: string;
  readonly yiaddr: string;
  /** What the settings of the server say; `other` as option codes. */
  readonly options: Omit<DhcpOptions, "other">;
  readonly other: readonly number[];
}

// Written down from the servers' settings (test/golden/dhcp/README.md) and tcpdump's reading of the captures.
const FROM_SERVERS: readonly Row[] = [
  {
    server: "dnsmasq",
    name: "offer",
    yiaddr: "10.77.0.192",
    options: { ...common, messageType: DHCPOFFER, dnsServers: twoServers, leaseSeconds: 120, renewalSeconds: 60, rebindingSeconds: 105 },
    other: [28],
  },
  {
    server: "dnsmasq",
    name: "ack",
    yiaddr: "10.77.0.192",
    options: { ...common, messageType: DHCPACK, hostname: "vip-web", dnsServers: twoServers, leaseSeconds: 120, renewalSeconds: 60, rebindingSeconds: 105 },
    other: [28],
  },
  { server: "dnsmasq", name: "nak", yiaddr: "0.0.0.0", options: { messageType: DHCPNAK, serverId: server, message: "wrong network" }, other: [] },
  {
    server: "kea",
    name: "ack-renew",
    yiaddr: "10.77.0.150",
    options: {
      ...common,
      messageType: DHCPACK,
      hostname: "vip-web",
      clientId: vipWebOfDhclient,
      dnsServers: twoServers,
      leaseSeconds: 8,
      renewalSeconds: 2,
      rebindingSeconds: 5,
    },
    other: [],
  },
  { server: "kea", name: "nak", yiaddr: "0.0.0.0", options: { messageType: DHCPNAK, serverId: server, clientId: vipWebOfDhclient }, other: [] },
  {
    server: "isc-dhcpd",
    name: "offer",
    yiaddr: "10.77.0.160",
    options: { ...common, messageType: DHCPOFFER, dnsServers: [server], leaseSeconds: 8, renewalSeconds: 2, rebindingSeconds: 5, classlessRoutes: [route, defaultRoute] },
    other: [],
  },
  {
    server: "udhcpd",
    name: "ack-broadcast",
    yiaddr: "10.77.0.178",
    options: { ...common, messageType: DHCPACK, dnsServers: twoServers, leaseSeconds: 10, classlessRoutes: [route] },
    other: [],
  },
];

describe("what real servers send", () => {
  it.each(FROM_SERVERS)("$server: $name", (row) => {
    const { message, sourceIp } = decodeClientFrame(goldenFrame(row.server, row.name));
    const { other, ...options } = message.options;
    expect(message).toMatchObject({ op: 2, hops: 0, yiaddr: row.yiaddr, giaddr: "0.0.0.0", chaddr: client });
    expect(options).toEqual(row.options);
    expect([...other.keys()]).toEqual(row.other);
    expect(sourceIp).toBe(server);
  });

  it("every recorded message is read, of both sides, and means the same when written again", () => {
    let messages = 0;
    for (const frame of SERVERS.flatMap((name) => [...goldenFrames(name).values()])) {
      const message = decodeDhcp(decodeUdpFrame(frame).payload);
      expect(decodeDhcp(encodeDhcp(message))).toEqual(message);
      messages += 1;
    }
    expect(messages).toBe(29);
  });
});

describe("what real clients send", () => {
  it.each([
    { name: "discover", frame: ["dnsmasq", "discover"], options: { messageType: DHCPDISCOVER, hostname: "vip-web", clientId: vipWeb, maxMessageSize: 576, vendorClass: "udhcp 1.35.0" } },
    { name: "request", frame: ["dnsmasq", "request-selecting"], options: { messageType: DHCPREQUEST, requestedAddress: "10.77.0.192", serverId: server } },
    { name: "release", frame: ["dnsmasq", "release"], options: { messageType: DHCPRELEASE, serverId: server, clientId: vipWebOfDhclient } },
  ] as const)("$name", ({ frame: [from, name], options }) => {
    expect(decodeDhcp(decodeUdpFrame(goldenFrame(from, name)).payload)).toMatchObject({ op: 1, chaddr: client, options });
  });

  it("our frame differs from udhcpc's only in what RFC 6864 leaves open and in the order of the options", () => {
    const recorded = goldenFrame("dnsmasq", "discover");
    const message = decodeDhcp(decodeUdpFrame(recorded).payload);
    const path = { destination: BROADCAST_MAC, source: client, sourceIp: ip("0.0.0.0"), destinationIp: ip("255.255.255.255") };
    const ours: DhcpFrame = { ...path, message };
    const bytes = encodeClientFrame(ours);
    expect(bytes).toHaveLength(recorded.length);
    const differences = Array.from(bytes, (octet, at) => (octet === recorded[at] ? -1 : at)).filter((at) => at >= 0 && at < 42 + 240);
    // Don't fragment, and so the header checksum.
    expect(differences).toEqual([20, 24]);
    expect(decodeDhcp(decodeUdpFrame(bytes).payload)).toEqual(message);
  });
});
