import { familyOf, type IpAddress } from "../lib/ip.js";
import { BROADCAST_MAC, type MacAddress } from "../lib/mac.js";
import type { FrameSocket, Packets } from "../ports/kernel.js";
import { ARP_REPLY, ARP_REQUEST, decodeArp, encodeArp } from "../wire/arp.js";
import { decodeNd, encodeNa, encodeNs, ndProbe, ND_NEIGHBOR_ADVERT, unsolicitedNa, UNSPECIFIED_IPV6 } from "../wire/ndp.js";
import { DecodeError } from "../wire/reader.js";

/** Somebody says by this frame that an address is theirs, or is about to be. */
export interface Claim {
  readonly address: IpAddress;
  readonly mac: MacAddress;
  /** It only asks whether somebody has it: no conflict for who does (RFC 5227 2.1.1, RFC 4862 5.4.3), the kernel answers. */
  readonly asking: boolean;
}

/** What ARP (RFC 826, 5227) and Neighbor Discovery (RFC 4861, 4862) have in common for a host that moves addresses. */
export interface NeighbourProtocol {
  open(packets: Packets, linkIndex: number, onFrame: (frame: Uint8Array) => void): FrameSocket;
  /** Tells the link that `address` is at `mac`; `step` counts from the take-over. */
  announcement(address: IpAddress, mac: MacAddress, step: number): Uint8Array;
  /** Asks whether anybody has `address`. */
  question(address: IpAddress, mac: MacAddress): Uint8Array;
  /** Who claims what by this frame; undefined where nobody claims anything, or the frame is damaged. */
  claim(frame: Uint8Array): Claim | undefined;
  /** An address of a documentation prefix, which nobody can have. */
  readonly impossible: IpAddress;
}

/** Of no host: the target MAC of a gratuitous request, the sender IP of a probe (RFC 5227 2.1.1, 2.3). */
const NO_MAC = "00:00:00:00:00:00" as MacAddress;
const NO_IP = "0.0.0.0" as IpAddress;

const ARP: NeighbourProtocol = {
  open: (packets, linkIndex, onFrame) => packets.openArp(linkIndex, onFrame),
  /**
   * Gratuitous ARP (RFC 5227 2.3). Linux takes a request as an update always, a reply only where its target is the sender; other hosts and
   * switches want the one or the other, so they alternate.
   */
  announcement(address, mac, step) {
    const request = step % 2 === 0;
    return encodeArp({
      destination: BROADCAST_MAC,
      source: mac,
      operation: request ? ARP_REQUEST : ARP_REPLY,
      senderMac: mac,
      senderIp: address,
      targetMac: request ? NO_MAC : mac,
      targetIp: address,
    });
  },
  question: (address, mac) =>
    encodeArp({ destination: BROADCAST_MAC, source: mac, operation: ARP_REQUEST, senderMac: mac, senderIp: NO_IP, targetMac: NO_MAC, targetIp: address }),
  claim: (frame) =>
    readable(() => {
      const { senderIp, senderMac, targetIp, operation } = decodeArp(frame);
      if (senderIp !== NO_IP) return { address: senderIp, mac: senderMac, asking: false };
      // Another one asks the same question at the same time (RFC 5227 2.1.1).
      return operation === ARP_REQUEST ? { address: targetIp, mac: senderMac, asking: true } : undefined;
    }),
  impossible: "192.0.2.254" as IpAddress,
};

const ND: NeighbourProtocol = {
  open: (packets, linkIndex, onFrame) => packets.openNd(linkIndex, onFrame),
  announcement: (address, mac) => encodeNa(unsolicitedNa(mac, address, { router: false })),
  question: (address, mac) => encodeNs(ndProbe(mac, address)),
  claim: (frame) =>
    readable(() => {
      const nd = decodeNd(frame);
      if (nd.type === ND_NEIGHBOR_ADVERT) return { address: nd.target, mac: nd.targetMac ?? nd.source, asking: false };
      return nd.sourceIp === UNSPECIFIED_IPV6 ? { address: nd.target, mac: nd.source, asking: true } : undefined;
    }),
  impossible: "2001:db8::fffe" as IpAddress,
};

export function protocolFor(address: IpAddress): NeighbourProtocol {
  return familyOf(address) === 4 ? ARP : ND;
}

/** Anybody on the link can send anything: what cannot be read claims nothing. */
function readable(read: () => Claim | undefined): Claim | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
