import { describe, expect, test } from "vitest";
import { notPutBy } from "../../src/linux/event-filter.js";
import { encodeMessage, RTM_DELADDR, RTM_NEWADDR, RTM_NEWLINK } from "../../src/wire/netlink/message.js";
import { runFilter } from "./bpf.js";

const OURS = 0xfedc_ba98;

describe("events of addresses that were put by", () => {
  test.each([
    { name: "our own socket are kept back", type: RTM_NEWADDR, portId: OURS, passed: 0 },
    { name: "the kernel itself come through", type: RTM_NEWADDR, portId: 0, passed: 0xffff_ffff },
    { name: "somebody else come through", type: RTM_NEWADDR, portId: OURS - 1, passed: 0xffff_ffff },
  ])("$name", ({ type, portId, passed }) => {
    expect(runFilter(notPutBy(OURS), encodeMessage({ type, flags: 0, seq: 1, portId, payload: new Uint8Array(8) }))).toBe(passed);
  });
});

test.each([RTM_DELADDR, RTM_NEWLINK])("an event of type %i comes through, whoever caused it", (type) => {
  expect(runFilter(notPutBy(OURS), encodeMessage({ type, flags: 0, seq: 1, portId: OURS, payload: new Uint8Array(8) }))).toBe(0xffff_ffff);
});
