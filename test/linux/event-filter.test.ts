import { describe, expect, test } from "vitest";
import { notPutBy } from "../../src/linux/event-filter.js";
import { encodeMessage, RTM_DELADDR, RTM_NEWADDR, RTM_NEWLINK } from "../../src/wire/netlink/message.js";

/** What classic BPF does with the four instructions that the filter has (Documentation/networking/filter.rst). */
function run(program: Uint8Array, data: Uint8Array): number {
  const code = new DataView(program.buffer, program.byteOffset);
  const input = new DataView(data.buffer, data.byteOffset);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at += 1) {
    const operand = code.getUint32(at * 8 + 4, true);
    const operation = code.getUint16(at * 8, true);
    if (operation === 0x28) accumulator = input.getUint16(operand);
    else if (operation === 0x20) accumulator = input.getUint32(operand);
    else if (operation === 0x15) at += code.getUint8(at * 8 + (accumulator === operand ? 2 : 3));
    else if (operation === 0x06) return operand;
    else throw new Error(`instruction ${operation}`);
  }
  throw new Error("no end");
}

const OURS = 0xfedc_ba98;

describe("events of addresses that were put by", () => {
  test.each([
    { name: "our own socket are kept back", type: RTM_NEWADDR, portId: OURS, passed: 0 },
    { name: "the kernel itself come through", type: RTM_NEWADDR, portId: 0, passed: 0xffff_ffff },
    { name: "somebody else come through", type: RTM_NEWADDR, portId: OURS - 1, passed: 0xffff_ffff },
  ])("$name", ({ type, portId, passed }) => {
    expect(run(notPutBy(OURS), encodeMessage({ type, flags: 0, seq: 1, portId, payload: new Uint8Array(8) }))).toBe(passed);
  });
});

test.each([RTM_DELADDR, RTM_NEWLINK])("an event of type %i comes through, whoever caused it", (type) => {
  expect(run(notPutBy(OURS), encodeMessage({ type, flags: 0, seq: 1, portId: OURS, payload: new Uint8Array(8) }))).toBe(0xffff_ffff);
});
