import { monotonicMs } from "../wait.js";
import type { Asker, Books, Self } from "./asker.js";
import { ipv6Bytes } from "./socket.js";

const ETH_P_IPV6 = 0x86dd;
const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const TARGET_LINK_LAYER_ADDRESS = 2;
/** Where things are in the frame: behind 14 octets of Ethernet and 40 of IPv6. */
const AT = { payloadLength: 18, nextHeader: 20, sourceIp: 22, destinationIp: 38, message: 54, checksum: 56, target: 62, options: 78 } as const;

/**
 * By Neighbor Solicitation to the solicited-node group. The source address is one of the same subnet that nobody has, at our own MAC: so the answers
 * come here, and the kernel, whose neighbour entries may be what is tested, does not learn from them.
 */
export class NdAsker implements Asker {
  readonly etherType = ETH_P_IPV6;
  readonly #mac: Buffer;
  readonly #ip: Buffer;

  constructor({ mac, ip }: Self) {
    this.#mac = mac;
    this.#ip = Buffer.from(ip);
    this.#ip.write("a5", 8, "hex");
  }

  request(vip: string): Buffer {
    const target = ipv6Bytes(vip);
    const group = Buffer.from("ff0200000000000000000001ff000000", "hex");
    target.copy(group, 13, 13);
    const frame = Buffer.alloc(86);
    frame.write("3333", 0, "hex");
    group.copy(frame, 2, 12);
    this.#mac.copy(frame, 6);
    frame.writeUInt16BE(ETH_P_IPV6, 12);
    frame[14] = 0x60;
    frame.writeUInt16BE(32, AT.payloadLength);
    frame[AT.nextHeader] = ICMPV6;
    frame[AT.nextHeader + 1] = 255; // hop limit
    this.#ip.copy(frame, AT.sourceIp);
    group.copy(frame, AT.destinationIp);
    frame[AT.message] = SOLICITATION;
    target.copy(frame, AT.target);
    frame.write("0101", AT.options, "hex"); // our link-layer address
    this.#mac.copy(frame, AT.options + 2);
    frame.writeUInt16BE(checksum(frame), AT.checksum);
    return frame;
  }

  take(frame: Buffer, books: Books): void {
    if (frame.length < AT.options || frame[AT.nextHeader] !== ICMPV6 || frame[AT.message] !== ADVERTISEMENT) return;
    const book = books.get(frame.toString("hex", AT.target, AT.options));
    if (!book) return;
    const mac = linkLayerAddress(frame);
    if (this.#ip.equals(frame.subarray(AT.destinationIp, AT.message))) book.reply(mac);
    else book.gratuitous(mac, monotonicMs(), "advertisement");
  }
}

/** The target link-layer address, or where the frame came from when there is none. */
function linkLayerAddress(frame: Buffer): string {
  for (let at: number = AT.options; at + 8 <= frame.length; ) {
    const length = (frame[at + 1] ?? 0) * 8;
    if (length === 0) break;
    if (frame[at] === TARGET_LINK_LAYER_ADDRESS) return frame.toString("hex", at + 2, at + 8);
    at += length;
  }
  return frame.toString("hex", 6, 12);
}

/** Of a frame whose checksum is still 0: both addresses, length and next header, then the message. */
export function checksum(frame: Buffer): number {
  let sum = frame.readUInt16BE(AT.payloadLength) + ICMPV6;
  for (let at: number = AT.sourceIp; at < frame.length; at += 2) sum += frame.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
