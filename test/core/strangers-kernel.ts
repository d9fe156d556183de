import type { MacAddress } from "../../src/lib/mac.js";
import type { FrameSocket } from "../../src/ports/kernel.js";
import { ARP_REPLY, decodeArp, encodeArp } from "../../src/wire/arp.js";
import { FakeKernel } from "../fakes/kernel.js";

export const STRANGER = "02:00:00:00:00:99" as MacAddress;

/** On its link a stranger answers for 192.0.2.10 while `there`. */
export class StrangersKernel extends FakeKernel {
  there = true;
  asked = 0;

  override openArp(linkIndex: number, onFrame?: (frame: Uint8Array) => void): FrameSocket {
    const socket = super.openArp(linkIndex, onFrame);
    const send = (frame: Uint8Array): void => {
      socket.send(frame);
      const { senderIp, senderMac, targetIp } = decodeArp(frame);
      if (senderIp !== "0.0.0.0" || targetIp !== "192.0.2.10") return;
      this.asked += 1;
      const answer = { destination: senderMac, source: STRANGER, operation: ARP_REPLY, senderMac: STRANGER, senderIp: targetIp, targetMac: senderMac, targetIp: senderIp };
      if (this.there) queueMicrotask(() => this.deliver(linkIndex, "arp", encodeArp(answer)));
    };
    return { send, [Symbol.asyncDispose]: async () => socket[Symbol.asyncDispose]() };
  }
}
