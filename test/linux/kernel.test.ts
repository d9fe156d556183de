import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import { createKernel } from "../../src/linux/kernel.js";
import { createRandom } from "../../src/linux/random.js";
import type { AddressPut, KernelEvent } from "../../src/ports/kernel.js";
import { decodeAddress } from "../../src/wire/netlink/address.js";
import { decodeLink } from "../../src/wire/netlink/link.js";
import { encodeMessage, NLMSG_DONE, RTM_DELADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK, type NetlinkMessage } from "../../src/wire/netlink/message.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { fromHex } from "../wire/hex.js";
import { ack, acknowledgeAll, FakeNative, type Answer } from "./fake-native.js";

const never = new AbortController().signal;
const vip = "192.0.2.10" as IpAddress;

function put(validUntil: number): AddressPut {
  return { linkIndex: 3, address: vip, prefix: 32, scope: "host", mark: 77, validUntil };
}

function setUp(answer: Answer = acknowledgeAll, random = createRandom()) {
  const native = new FakeNative(answer);
  const clock = new FakeClock(10_000);
  const log = new FakeLog();
  return { native, clock, log, kernel: createKernel({ native, clock, log, random }) };
}

/** `put 5` for a lifetime of five seconds, `remove`. */
function describeWrites(native: FakeNative): readonly string[] {
  return native.writes.flat().map(({ type, payload }) => (type === RTM_NEWADDR ? `put ${decodeAddress(payload).validSeconds}` : "remove"));
}

describe("putAddress", () => {
  it("rounds the lifetime down, and says when it ends", async () => {
    const { native, kernel } = setUp();
    await using _kernel = kernel;
    await expect(kernel.putAddress(put(15_999), never)).resolves.toBe(15_000);
    await expect(kernel.putAddress(put(Infinity), never)).resolves.toBe(Infinity);
    expect(describeWrites(native)).toEqual(["put 5", "put Infinity"]);
  });

  it("works the lifetime out when its turn comes, not when it is asked for", async () => {
    const { native, clock, kernel } = setUp();
    await using _kernel = kernel;
    const putting = kernel.putAddress(put(15_999), never);
    await clock.advance(2000);
    await putting;
    expect(describeWrites(native)).toEqual(["put 3"]);
  });

  it.each([10_999, 10_000, 5000, Number.NaN])("refuses an end at %d, less than a second from 10,000", async (validUntil) => {
    const { native, kernel } = setUp();
    await using _kernel = kernel;
    await expect(kernel.putAddress(put(validUntil), never)).rejects.toMatchObject({ code: "ETIME", errno: 62 });
    expect(native.writes).toEqual([]);
  });

  it("shortens a lifetime that began late because the write had to wait", async () => {
    const { native, clock, kernel } = setUp();
    await using _kernel = kernel;
    native.hold = async (writes) => (writes === 1 ? clock.advance(1500) : undefined);
    await expect(kernel.putAddress(put(15_200), never)).resolves.toBe(13_500);
    // 5 s from 11.5 s on would end at 16.5 s; the second write allows for as much delay again: (15.2 − 11.5 − 1.3) s
    expect(describeWrites(native)).toEqual(["put 5", "put 2"]);
  });

  it("removes an address whose write came so late that no time is left", async () => {
    const { native, clock, kernel } = setUp();
    await using _kernel = kernel;
    const controller = new AbortController();
    native.hold = async () => {
      await clock.advance(native.writes.length === 1 ? 4500 : 0);
      // Whoever asked has given up: that must not leave it there.
      controller.abort(new Error("stop"));
    };
    await expect(kernel.putAddress(put(15_200), controller.signal)).rejects.toMatchObject({ code: "ETIME" });
    expect(describeWrites(native)).toEqual(["put 5", "remove"]);
  });

  it("puts an address of another scope anew, since the kernel keeps the scope", async () => {
    let scope = 0;
    const { native, kernel } = setUp((messages) =>
      messages.flatMap((message) => {
        if (message.type === RTM_DELADDR) scope = 254;
        if (message.type !== RTM_NEWADDR) return [ack(message)];
        const payload = message.payload.slice();
        payload[3] = scope;
        return [encodeMessage({ ...message, payload }), ack(message)];
      }),
    );
    await using _kernel = kernel;
    await kernel.putAddress(put(15_999), never);
    expect(describeWrites(native)).toEqual(["put 5", "remove", "put 5"]);
    await kernel.putAddress(put(15_999), never);
    expect(describeWrites(native)).toHaveLength(4);
  });
});

describe("removeAddress", () => {
  it.each([
    { name: "removed", errno: 0, answer: true },
    { name: "no such address (EADDRNOTAVAIL)", errno: 99, answer: false },
    { name: "no such link (ENODEV)", errno: 19, answer: false },
    { name: "no IPv6 there (ENXIO)", errno: 6, answer: false },
  ])("$name", async ({ errno, answer }) => {
    const { kernel } = setUp((messages) => messages.map((message) => ack(message, errno)));
    await using _kernel = kernel;
    await expect(kernel.removeAddress(put(0), never)).resolves.toBe(answer);
  });

  it("rejects with anything else, naming what was tried", async () => {
    const { kernel } = setUp((messages) => messages.map((message) => ack(message, 1)));
    await using _kernel = kernel;
    await expect(kernel.removeAddress(put(0), never)).rejects.toMatchObject({ code: "EPERM", message: "remove 192.0.2.10/32 from link 3: EPERM" });
  });
});

describe("addVlan", () => {
  /** Link 32,768 is there; the rest is acknowledged. */
  const answer: Answer = (messages) =>
    messages.flatMap((message) => {
      if (message.type !== RTM_GETLINK) return [ack(message)];
      const payload = fromHex("00000100 00800000 43100100 00000000 08000300766b6100 08000400dc050000");
      return [encodeMessage({ ...message, type: RTM_NEWLINK, payload }), encodeMessage({ ...message, type: NLMSG_DONE, payload: new Uint8Array(4) })];
    });

  it("asks for an IEEE 802.1Q link of an index that no link has, then for its alias", async () => {
    const { native, kernel } = setUp(answer, { float: () => 0 });
    await using _kernel = kernel;
    await kernel.addVlan({ name: "eth0.200", parentIndex: 3, vlan: 200, alias: "ours" }, never);
    const asked = native.writes.flat().filter(({ type }) => type === RTM_NEWLINK);
    expect(asked.map(({ payload }) => decodeLink(payload))).toMatchObject([
      { index: 0x8001, name: "eth0.200", kind: "vlan", parentIndex: 3, vlan: 200, flags: 1 },
      { index: 0x8001, alias: "ours", flags: 0 },
    ]);
  });
});

describe("listen", () => {
  function message(type: number, hex: string): NetlinkMessage {
    return { type, flags: 0, seq: 0, portId: 0, payload: fromHex(hex) };
  }
  const link = "00000100 03000000 43100100 00000000 08000300766b6100 08000400dc050000";
  const address = "022000fe 03000000 08000200c000020a";

  it("tells of links and addresses, and not of bridge ports, wireless news or what it does not know", async () => {
    const { native, log, kernel } = setUp();
    await using _kernel = kernel;
    const events: KernelEvent[] = [];
    await using _listener = kernel.listen((event) => events.push(event));
    const messages = [
      message(RTM_NEWLINK, link),
      message(RTM_NEWLINK, `07${link.slice(2)}`), // AF_BRIDGE
      message(RTM_NEWLINK, "00000100 03000000 43100100 00000000 08000300766b6100"), // no mtu
      message(RTM_DELADDR, address),
      message(99, ""),
      message(RTM_NEWADDR, "02"),
    ];
    native.arrive(...messages.map(encodeMessage), 105);
    expect(events.map((event) => (event.type === "overrun" ? event.type : `${event.type} ${event.gone}`))).toEqual(["link false", "address true", "overrun"]);
    expect(log.lines.map(({ message: text }) => text)).toEqual(["netlink event dropped"]);
  });
});

describe("openArp", () => {
  it("sends once more where the socket still tells of a time when the link was down", async () => {
    const { native, kernel } = setUp();
    await using _kernel = kernel;
    await using socket = kernel.openArp(3, undefined);
    native.sendErrnos.push(100);
    socket.send(Uint8Array.of(1));
    expect(native.sent).toHaveLength(1);
    native.sendErrnos.push(100, 100);
    expect(() => socket.send(Uint8Array.of(1))).toThrow("send 1 octets on link 3: ENETDOWN");
    native.sendErrnos.push(105);
    expect(() => socket.send(Uint8Array.of(1))).toThrow("send 1 octets on link 3: ENOBUFS");
  });

  it("has no poll without a listener; a listener that throws is logged", async () => {
    const { native, log, kernel } = setUp();
    await using _kernel = kernel;
    await using _silent = kernel.openArp(3, undefined);
    expect(native.openPolls).toBe(0);
    const heard: Uint8Array[] = [];
    await using _socket = kernel.openArp(3, (frame) => {
      heard.push(frame);
      if (heard.length === 1) throw new Error("listener");
    });
    native.arrive(Uint8Array.of(1), Uint8Array.of(2), 100, Uint8Array.of(3));
    expect(heard.map(([octet]) => octet)).toEqual([1, 2, 3]);
    expect(log.lines.map(({ message }) => message)).toEqual(["frame dropped", "packet socket has an error"]);
  });
});

describe("openNd", () => {
  const ADD_MEMBERSHIP = [263, 1, 3] as const;

  it("takes all multicast of the link only where there is a listener", async () => {
    const { native, kernel } = setUp();
    await using _kernel = kernel;
    await using _silent = kernel.openNd(3, undefined);
    await using _arp = kernel.openArp(3, () => {});
    expect(native.options).not.toContainEqual(ADD_MEMBERSHIP);
    await using _hearing = kernel.openNd(3, () => {});
    expect(native.options).toContainEqual(ADD_MEMBERSHIP);
    expect(native.openPolls).toBe(2);
  });
});

describe("closing", () => {
  it("leaves nothing open", async () => {
    const { native, kernel } = setUp();
    kernel.listen(() => {});
    kernel.openArp(3, () => {});
    await kernel.openArp(3, () => {})[Symbol.asyncDispose]();
    expect(native.openSockets).toBe(3);
    await kernel[Symbol.asyncDispose]();
    await kernel[Symbol.asyncDispose]();
    expect([native.openSockets, native.openPolls]).toEqual([0, 0]);
    expect(() => kernel.openArp(3, () => {})).toThrow("open an arp socket on link 3: ECANCELED");
    await expect(kernel.links(never)).rejects.toMatchObject({ code: "ECANCELED" });
  });
});
