import { monotonicMs } from "../wait.js";
import type { Asker, Books, Self } from "./asker.js";
import { ipv4Bytes } from "./socket.js";

const ETH_P_ARP = 0x0806;
const OP_REQUEST = 1;

/** By broadcast ARP, from our own address. */
export class ArpAsker implements Asker {
  readonly etherType = ETH_P_ARP;
  readonly #self: Self;

  constructor(self: Self) {
    this.#self = self;
  }

  request(vip: string): Buffer {
    const frame = Buffer.alloc(42);
    frame.fill(0xff, 0, 6);
    this.#self.mac.copy(frame, 6);
    frame.writeUInt16BE(ETH_P_ARP, 12);
    frame.writeUInt16BE(1, 14); // Ethernet
    frame.writeUInt16BE(0x0800, 16);
    frame[18] = 6;
    frame[19] = 4;
    frame.writeUInt16BE(OP_REQUEST, 20);
    this.#self.mac.copy(frame, 22);
    this.#self.ip.copy(frame, 28);
    ipv4Bytes(vip).copy(frame, 38);
    return frame;
  }

  take(frame: Buffer, books: Books): void {
    if (frame.length < 42 || frame.readUInt16BE(12) !== ETH_P_ARP) return;
    const book = books.get(frame.toString("hex", 28, 32));
    if (!book) return;
    const mac = frame.toString("hex", 22, 28);
    if (frame.readUInt16BE(20) === OP_REQUEST) {
      if (frame.readUInt32BE(28) === frame.readUInt32BE(38)) book.gratuitous(mac, monotonicMs(), "request");
      return;
    }
    const toUs = this.#self.mac.equals(frame.subarray(0, 6)) && this.#self.ip.equals(frame.subarray(38, 42));
    if (toUs) book.reply(mac);
    else book.gratuitous(mac, monotonicMs(), "reply");
  }
}
