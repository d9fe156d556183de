import { describe, expect, it } from "vitest";

import { Reader } from "../../../src/wire/reader.js";
import { decodeAck, decodeDone } from "../../../src/wire/netlink/ack.js";
import { decodeAttributes, encodeAttributes } from "../../../src/wire/netlink/attribute.js";
import { decodeMessages, encodeMessage, type NetlinkMessage } from "../../../src/wire/netlink/message.js";
import { fuzzDecode } from "../fuzz.js";
import { fromHex, toHex } from "../hex.js";

// RTM_DELADDR of `ip addr del 192.0.2.99/32 dev vka`, iproute2 6.1, by strace.
const DELETE = "28000000 1500 0500 b43a016b 00000000 02200000 03000000 08000200c0000263 08000100c0000263";
// Answers of Linux 6.18 on a socket with NETLINK_EXT_ACK, those named so also with NETLINK_CAP_ACK; by recv.
const REFUSED_WHOLE = `58000000 0200 0002 b43a016b dd2a0000 9dffffff 280000001500 0500b43a016b00000000 02200000 03000000
  08000200c0000263 08000100c0000263 1c000100 697076343a2041646472657373206e6f7420666f756e6400`;
const REFUSED_CAPPED =
  "40000000 0200 0003 08000000 14000000 edffffff 20000000 1400 0500 08000000 00000000 1b000100 697076343a20446576696365206e6f7420666f756e640000";
const REFUSED_WITH_OFFSET = `54000000 0200 0003 0a000000 14000000 deffffff 280000001400 05000a00000000000000
  27000100 417474726962757465206661696c656420706f6c6963792076616c69646174696f6e0000 08000200 20000000`;
const ACKNOWLEDGED = "24000000 0200 0001 09000000 14000000 00000000 20000000 1400 0505 09000000 00000000";
const DONE = "14000000 0300 0200 0c000000 14000000 00000000";
const DONE_REFUSED = `50000000 0300 0202 0b000000 14000000 eaffffff
  3c000100 697076343a20496e76616c69642076616c75657320696e2068656164657220666f7220616464726573732064756d70207265717565737400`;

const SAMPLES = [DELETE, REFUSED_WHOLE, REFUSED_CAPPED, REFUSED_WITH_OFFSET, ACKNOWLEDGED, DONE, DONE_REFUSED].map(fromHex);

function only(hex: string): NetlinkMessage {
  const [message, ...others] = decodeMessages(fromHex(hex));
  expect(others).toEqual([]);
  if (message === undefined) throw new Error("no message");
  return message;
}

describe("netlink messages", () => {
  it("header, bytes both ways", () => {
    const message = only(DELETE);
    expect(message).toMatchObject({ type: 21, flags: 5, seq: 0x6b013ab4, portId: 0 });
    expect(message.payload).toHaveLength(24);
    expect(encodeMessage(message)).toEqual(fromHex(DELETE));
  });

  it("splits a datagram, with and without padding at the end", () => {
    const odd = { type: 77, flags: 0, seq: 1, portId: 2, payload: Uint8Array.of(9) };
    const two = new Uint8Array([...encodeMessage(odd), ...encodeMessage({ ...odd, seq: 2 })]);
    expect(two).toHaveLength(40);
    for (const end of [40, 37]) expect(decodeMessages(two.subarray(0, end)).map(({ seq, payload }) => [seq, ...payload])).toEqual([[1, 9], [2, 9]]);
  });

  it.each([
    { name: "header cut", hex: "14000000 0300", code: "truncated", offset: 6 },
    { name: "length 0", hex: "00000000 0300 0200 0c000000 14000000", code: "length", offset: 0 },
    { name: "length under the header's", hex: "0f000000 0300 0200 0c000000 14000000", code: "length", offset: 0 },
    { name: "length beyond the datagram", hex: "15000000 0300 0200 0c000000 14000000 00000000", code: "truncated", offset: 16 },
    { name: "length of 4 GB", hex: "ffffffff 0300 0200 0c000000 14000000 00000000", code: "truncated", offset: 16 },
  ])("refuses: $name", ({ hex, code, offset }) => {
    expect(() => decodeMessages(fromHex(hex))).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });
});

describe("acknowledgements", () => {
  it.each([
    { name: "success", hex: ACKNOWLEDGED, ack: { errno: 0, text: undefined, faultOffset: undefined } },
    { name: "refused, request quoted", hex: REFUSED_WHOLE, ack: { errno: 99, text: "ipv4: Address not found", faultOffset: undefined } },
    { name: "refused, request capped", hex: REFUSED_CAPPED, ack: { errno: 19, text: "ipv4: Device not found", faultOffset: undefined } },
    { name: "refused, with the place", hex: REFUSED_WITH_OFFSET, ack: { errno: 34, text: "Attribute failed policy validation", faultOffset: 32 } },
  ])("$name", ({ hex, ack }) => expect(decodeAck(only(hex))).toEqual(ack));

  it("end of a dump", () => {
    expect(decodeDone(only(DONE))).toEqual({ errno: 0, text: undefined, faultOffset: undefined });
    expect(decodeDone(only(DONE_REFUSED))).toMatchObject({ errno: 22, text: "ipv4: Invalid values in header for address dump request" });
  });

  it("throws where the quoted request is cut", () => {
    const message = only(REFUSED_WHOLE);
    expect(() => decodeAck({ ...message, payload: message.payload.slice(0, 30) })).toThrow(expect.objectContaining({ code: "truncated" }) as Error);
    expect(() => decodeAck({ ...message, payload: message.payload.slice(0, 3) })).toThrow(expect.objectContaining({ code: "truncated" }) as Error);
  });
});

describe("attributes", () => {
  it("pads each, and gives them back", () => {
    const attributes = [
      { type: 1, data: Uint8Array.of(1) },
      { type: 2, data: Uint8Array.of() },
      { type: 3, data: Uint8Array.of(1, 2, 3, 4) },
    ];
    const bytes = encodeAttributes(attributes);
    expect(toHex(bytes)).toBe("0500010001000000" + "04000200" + "0800030001020304");
    expect(decodeAttributes(new Reader(bytes)).map(({ type, data }) => ({ type, data }))).toEqual(attributes);
  });

  it("takes the flags off the type", () => {
    expect(decodeAttributes(new Reader(fromHex("04003e80")))[0]).toMatchObject({ type: 0x3e });
  });

  it.each([
    { name: "length 3", hex: "03000100", code: "length", offset: 0 },
    { name: "length 0", hex: "08000100 00000000 00000000", code: "length", offset: 8 },
    { name: "length beyond the end", hex: "09000100 00000000", code: "truncated", offset: 4 },
    { name: "half a header", hex: "0800", code: "truncated", offset: 2 },
  ])("refuses: $name", ({ hex, code, offset }) => {
    expect(() => decodeAttributes(new Reader(fromHex(hex)))).toThrow(expect.objectContaining({ code, offset }) as Error);
  });
});

describe("fuzz", () => {
  it("messages and acknowledgements decode, or throw DecodeError; messages are stable", () => {
    const decode = (bytes: Uint8Array): void => {
      const messages = decodeMessages(bytes);
      for (const message of messages) {
        expect(decodeMessages(encodeMessage(message))).toEqual([message]);
      }
    };
    expect(fuzzDecode(SAMPLES, decode).decoded).toBeGreaterThan(100);
    const acks = SAMPLES.flatMap((sample) => decodeMessages(sample));
    fuzzDecode(
      acks.map(({ payload }) => payload),
      (payload) => {
        for (const flags of [0, 0x100, 0x200, 0x300]) {
          decodeAck({ type: 2, flags, seq: 1, portId: 0, payload });
          decodeDone({ type: 3, flags, seq: 1, portId: 0, payload });
        }
      },
    );
  });

  it("attributes decode, or throw DecodeError, and are stable", () => {
    const stable = (bytes: Uint8Array): void => {
      const plain = decodeAttributes(new Reader(bytes)).map(({ type, data }) => ({ type, data }));
      expect(decodeAttributes(new Reader(encodeAttributes(plain))).map(({ type, data }) => ({ type, data }))).toEqual(plain);
    };
    expect(fuzzDecode([fromHex("0500010001000000040002000800030001020304")], stable).decoded).toBeGreaterThan(50);
  });
});
