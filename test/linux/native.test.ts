import { describe, expect, it } from "vitest";

import { createNative } from "../../src/linux/native.js";
import { openNetlink } from "../../src/linux/netlink-socket.js";
import { encodeLinkDump } from "../../src/wire/netlink/link.js";
import { decodeMessages, encodeMessage, RTM_GETLINK } from "../../src/wire/netlink/message.js";

const EBADF = 9;
const MSG_DONTWAIT = 0x40;
// Reads only: a list of links, which anyone may ask for.
const listLinks = encodeMessage({ type: RTM_GETLINK, flags: 0x301, seq: 1, portId: 0, payload: encodeLinkDump() });

function openSocket(native: ReturnType<typeof createNative>): number {
  return openNetlink(native, { groups: 0, receiveBuffer: undefined, receiveTimeoutSeconds: 1 });
}

describe("native", () => {
  it("answers with the negative errno", async () => {
    const native = createNative();
    const bytes = new Uint8Array(4);
    expect(native.socket(9999, 0, 0)).toBe(-97);
    expect([native.bind(-1, bytes), native.send(-1, bytes, 0), native.recv(-1, bytes, 0), native.close(-1)]).toEqual([-EBADF, -EBADF, -EBADF, -EBADF]);
    expect([native.setsockopt(-1, 1, 8, bytes), native.getsockopt(-1, 1, 8, bytes), native.attachFilter(-1, new Uint8Array(8))]).toEqual([-EBADF, -EBADF, -EBADF]);
    const fd = openSocket(native);
    expect(native.recv(fd, bytes, MSG_DONTWAIT)).toBe(-11);
    native.close(fd);
    expect(native.realtime(0)).toBe(-22);
    expect(await native.writeOffLoop(fd, bytes)).toBe(-EBADF);
    expect(await native.readOffLoop(fd, bytes)).toBe(-EBADF);
  });

  it("reads an option back", () => {
    const native = createNative();
    const fd = openSocket(native);
    const type = new Uint8Array(4);
    expect(native.getsockopt(fd, 1, 3, type)).toBe(0);
    expect([...type]).toEqual([3, 0, 0, 0]);
    native.close(fd);
  });

  it("writes and reads on other threads", async () => {
    const native = createNative();
    const fd = openSocket(native);
    expect(await native.writeOffLoop(fd, listLinks)).toBe(listLinks.length);
    const buffer = new Uint8Array(65536);
    const length = await native.readOffLoop(fd, buffer);
    expect(decodeMessages(buffer.subarray(0, length)).length).toBeGreaterThan(0);
    native.close(fd);
  });

  it("polls: promises go on after the callback, and nothing comes after stop", async () => {
    const native = createNative();
    const buffer = new Uint8Array(65536);
    for (let round = 0; round < 50; round += 1) {
      const fd = openSocket(native);
      let calls = 0;
      const poll = await new Promise<ReturnType<typeof native.poll>>((resolve) => {
        const started = native.poll(fd, () => {
          calls += 1;
          while (native.recv(fd, buffer, MSG_DONTWAIT) >= 0);
          resolve(started);
        });
        native.send(fd, listLinks, 0);
      });
      native.send(fd, listLinks, 0);
      await Promise.all([poll.stop(), poll.stop()]);
      expect(calls).toBe(1);
      native.close(fd);
    }
  });
});
