import { describe, expect, it } from "vitest";

import { addLink, removeLink, setLinkUp, type LinkPut } from "../../src/linux/link-requests.js";
import { NetlinkRequests } from "../../src/linux/netlink-requests.js";
import { IFF_UP } from "../../src/wire/netlink/link.js";
import { NLM_F_ACK, NLM_F_REQUEST, RTM_DELLINK, RTM_NEWLINK, type NetlinkMessage } from "../../src/wire/netlink/message.js";
import { FakeLog } from "../fakes/log.js";
import { ack, acknowledgeAll, FakeNative, type Answer } from "./fake-native.js";

const EXCL_CREATE = 0x600;
const EEXIST = 17;
const ENODEV = 19;
const EPERM = 1;
const never = new AbortController().signal;
const put: LinkPut = { name: "eth0.200", parentIndex: 3, kind: { kind: "vlan", vlan: 200 }, alias: "ours" };

function setUp(answer: Answer = acknowledgeAll) {
  const native = new FakeNative(answer);
  const requests = NetlinkRequests.open({ native, log: new FakeLog() });
  return { native, requests, deps: { requests, random: { float: () => 0 }, taken: new Set<number>() } };
}

/** The kernel in these tests: errnos in the order of the requests, 0 after the last. */
function answering(...errnos: readonly number[]): Answer {
  const left = [...errnos];
  return (messages) => messages.map((message) => ack(message, left.shift() ?? 0));
}

/** `make 32768`, `mark 32768`, `remove 32768`, `up 7`. */
function describeWrite({ type, flags, payload }: NetlinkMessage): string {
  const view = new DataView(payload.buffer, payload.byteOffset);
  const verb = type === RTM_DELLINK ? "remove" : (flags & EXCL_CREATE) === EXCL_CREATE ? "make" : view.getUint32(8, true) === IFF_UP ? "up" : "mark";
  return `${verb} ${view.getInt32(4, true)}`;
}

function writesOf(native: FakeNative): readonly (readonly string[])[] {
  return native.writes.map((write) => write.map(describeWrite));
}

describe("addLink", () => {
  it("makes the link and sets its alias in one write, by the same index", async () => {
    const { native, requests, deps } = setUp();
    await using _requests = requests;
    await addLink(deps, put, never);
    expect(writesOf(native)).toEqual([["make 32768", "mark 32768"]]);
    const [make, mark] = native.writes.flat();
    expect(make).toMatchObject({ type: RTM_NEWLINK, flags: EXCL_CREATE | NLM_F_REQUEST | NLM_F_ACK });
    // With NLM_F_CREATE it would make a link where there is none.
    expect(mark).toMatchObject({ type: RTM_NEWLINK, flags: NLM_F_REQUEST | NLM_F_ACK });
  });

  it("picks an index that no link has, below 65,536", async () => {
    const { native, requests, deps } = setUp();
    await using _requests = requests;
    await addLink({ ...deps, taken: new Set([32_768, 32_769]) }, put, never);
    await addLink({ ...deps, random: { float: () => 0.999_999 }, taken: new Set([65_535]) }, put, never);
    expect(writesOf(native)).toEqual([
      ["make 32770", "mark 32770"],
      ["make 32768", "mark 32768"],
    ]);
    const all = new Set(Array.from({ length: 32_768 }, (_, n) => 32_768 + n));
    await expect(addLink({ ...deps, taken: all }, put, never)).rejects.toThrow(RangeError);
  });

  it("rejects where the link cannot be made, and removes nothing", async () => {
    const { native, requests, deps } = setUp(answering(EEXIST, ENODEV));
    await using _requests = requests;
    await expect(addLink(deps, put, never)).rejects.toMatchObject({ code: "EEXIST", message: "add eth0.200 (vlan) on link 3: EEXIST" });
    expect(writesOf(native)).toEqual([["make 32768", "mark 32768"]]);
  });

  it("removes a link that did not get its alias", async () => {
    const { native, requests, deps } = setUp(answering(0, EPERM));
    await using _requests = requests;
    await expect(addLink(deps, put, never)).rejects.toMatchObject({ code: "EPERM", message: "set the alias of eth0.200: EPERM" });
    expect(writesOf(native)).toEqual([["make 32768", "mark 32768"], ["remove 32768"]]);
  });

  it("removes a link whose alias was still waiting when whoever asked gave up", async () => {
    const { native, requests, deps } = setUp();
    await using _requests = requests;
    const abort = new AbortController();
    const before = Array.from({ length: 511 }, async (_, n) => setLinkUp(requests, n + 1, never));
    native.hold = async (writes) => (writes === 1 ? abort.abort(new Error("stop")) : undefined);
    await expect(addLink(deps, put, abort.signal)).rejects.toThrow("stop");
    await Promise.all(before);
    expect(writesOf(native).map((write) => write.at(-1))).toEqual(["make 32768", "remove 32768"]);
  });

  const conf = { rpFilter: 2, arpIgnore: 1, arpAnnounce: 2 };

  it("sets a link with sysctls up last, after what else has to be so before", async () => {
    const { native, requests, deps } = setUp();
    await using _requests = requests;
    const writesBefore: number[] = [];
    await addLink(deps, { ...put, conf, beforeUp: () => void writesBefore.push(native.writes.length) }, never);
    expect(writesOf(native)).toEqual([["make 32768", "mark 32768", "mark 32768", "mark 32768"], ["up 32768"]]);
    expect(writesBefore).toEqual([1]);
  });

  it("removes a link that could not be set up", async () => {
    const { native, requests, deps } = setUp(answering(0, 0, 0, 0, EPERM));
    await using _requests = requests;
    await expect(addLink(deps, { ...put, conf }, never)).rejects.toMatchObject({ code: "EPERM", message: "set link 32768 up: EPERM" });
    expect(writesOf(native).at(-1)).toEqual(["remove 32768"]);
  });

  it("writes nothing for a VLAN that there cannot be", async () => {
    const { native, requests, deps } = setUp();
    await using _requests = requests;
    await expect(addLink(deps, { ...put, kind: { kind: "vlan", vlan: 4095 } }, never)).rejects.toThrow(RangeError);
    expect(native.writes).toEqual([]);
  });
});

describe("removeLink", () => {
  it.each([
    { name: "removed", errno: 0, answer: true },
    { name: "no such link (ENODEV)", errno: ENODEV, answer: false },
  ])("$name", async ({ errno, answer }) => {
    const { native, requests } = setUp(answering(errno));
    await using _requests = requests;
    await expect(removeLink(requests, 7, never)).resolves.toBe(answer);
    expect(writesOf(native)).toEqual([["remove 7"]]);
  });

  it("rejects with anything else, naming what was tried", async () => {
    const { requests } = setUp(answering(EPERM));
    await using _requests = requests;
    await expect(removeLink(requests, 7, never)).rejects.toMatchObject({ code: "EPERM", message: "remove link 7: EPERM" });
  });
});

describe("setLinkUp", () => {
  it("changes no other flag; a link that is not there is an error", async () => {
    const { native, requests } = setUp(answering(0, ENODEV));
    await using _requests = requests;
    await setLinkUp(requests, 7, never);
    expect(writesOf(native)).toEqual([["up 7"]]);
    await expect(setLinkUp(requests, 8, never)).rejects.toMatchObject({ code: "ENODEV", message: "set link 8 up: ENODEV" });
  });
});
