import { describe, expect, test } from "vitest";
import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { ARP_CLAIMS, DHCP_ANSWERS, FRAME_SIZE } from "../../src/linux/packet-filter.js";
import { encodeArp, type ArpFrame } from "../../src/wire/arp.js";
import { encodeUdpFrame, type UdpFrame } from "../../src/wire/udp.js";
import { runFilter } from "./bpf.js";

const [HERE, BROADCAST, OTHER_HOST, OUTGOING] = [0, 1, 3, 4] as const;
const SERVER = "10.77.0.1" as IpAddress;
const MAC = "02:00:00:00:00:01" as MacAddress;

function answer(part: Partial<UdpFrame> = {}): Uint8Array {
  return encodeUdpFrame({ source: MAC, destination: "02:00:00:00:00:50" as MacAddress, sourceIp: SERVER, destinationIp: "10.77.0.150" as IpAddress, sourcePort: 67, destinationPort: 68, payload: new Uint8Array(300), ...part });
}

/** The frame with these octets at this place. */
function patched(frame: Uint8Array, at: number, ...octets: readonly number[]): Uint8Array {
  const copy = frame.slice();
  copy.set(octets, at);
  return copy;
}

/** The frame with an IPv4 header that is 4 octets longer, by an option of no operation. */
function withOption(frame: Uint8Array): Uint8Array {
  const longer = new Uint8Array(frame.length + 4);
  longer.set(frame.subarray(0, 34));
  longer.set([1, 1, 1, 1], 34);
  longer.set(frame.subarray(34), 38);
  longer[14] = 0x46;
  return longer;
}

describe("a socket for answers of DHCP servers hears", () => {
  test.each<readonly [string, Uint8Array, number, boolean]>([
    ["one to the MAC of its link", answer(), HERE, true],
    ["one to all", answer({ destination: "ff:ff:ff:ff:ff:ff" as MacAddress, destinationIp: "255.255.255.255" as IpAddress }), BROADCAST, true],
    ["one by a relay, from any port", answer({ sourcePort: 1067 }), HERE, true],
    ["one behind options of IPv4", withOption(answer()), HERE, true],
    ["the first fragment of one", patched(answer(), 20, 0x20, 0), HERE, true],
    ["not another fragment, which has no ports", patched(answer(), 20, 0x20, 1), HERE, false],
    ["not one to another host", answer(), OTHER_HOST, false],
    ["not what this node sends", answer(), OUTGOING, false],
    ["not what goes to a server", answer({ destinationPort: 67 }), HERE, false],
    ["not what goes to the other port behind options", withOption(answer({ destinationPort: 67 })), HERE, false],
    ["not TCP", patched(answer(), 23, 6), HERE, false],
    ["not IPv6", patched(answer(), 12, 0x86, 0xdd), HERE, false],
    ["nothing that is cut short in its header", answer().slice(0, 36), HERE, false],
    ["nothing that is empty", new Uint8Array(), HERE, false],
  ])("%s", (_name, frame, packetType, heard) => {
    expect(runFilter(DHCP_ANSWERS, frame, { packetType })).toBe(heard ? FRAME_SIZE : 0);
  });
});

describe("a socket for ARP hears", () => {
  const arp = (part: Partial<ArpFrame>): Uint8Array =>
    encodeArp({ source: MAC, destination: "ff:ff:ff:ff:ff:ff" as MacAddress, operation: 1, senderMac: MAC, senderIp: SERVER, targetMac: "00:00:00:00:00:00" as MacAddress, targetIp: "10.77.0.150" as IpAddress, ...part });
  test.each<readonly [string, Uint8Array, number, boolean]>([
    ["a reply", arp({ operation: 2 }), HERE, true],
    ["an announcement", arp({ targetIp: SERVER }), BROADCAST, true],
    ["a probe", arp({ senderIp: "0.0.0.0" as IpAddress }), BROADCAST, true],
    ["not an ordinary request", arp({}), BROADCAST, false],
    ["not a reply to another host", arp({ operation: 2 }), OTHER_HOST, false],
    ["not what this link sent", arp({ operation: 2 }), OUTGOING, false],
  ])("%s", (_name, frame, packetType, heard) => {
    expect(runFilter(ARP_CLAIMS, frame, { packetType })).toBe(heard ? FRAME_SIZE : 0);
  });
});
