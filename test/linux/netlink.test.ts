import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";

import { dump } from "../../src/linux/netlink-dump.js";
import { NetlinkEvents } from "../../src/linux/netlink-events.js";
import { NetlinkRequests } from "../../src/linux/netlink-requests.js";
import type { NetlinkRequest } from "../../src/linux/netlink-socket.js";
import { encodeMessage, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, type NetlinkMessage } from "../../src/wire/netlink/message.js";
import { FakeLog } from "../fakes/log.js";
import { ack, acknowledgeAll, FakeNative } from "./fake-native.js";

const ENOBUFS = 105;
const EPERM = 1;
const never = new AbortController().signal;

function request(n: number): NetlinkRequest {
  return { type: 20, flags: 0, payload: () => Uint8Array.of(n & 255, n >> 8), tried: `try ${n}` };
}

function codesOf(results: readonly PromiseSettledResult<unknown>[]): readonly string[] {
  return results.map((result) => (result.status === "fulfilled" ? "ok" : (result.reason as { code: string }).code));
}

async function settleAll(requests: NetlinkRequests, count: number): Promise<readonly string[]> {
  const all = Array.from({ length: count }, async (_, n) => requests.request(request(n), never));
  return codesOf(await Promise.allSettled(all));
}

describe("NetlinkRequests", () => {
  it("sends what was asked for in one turn in order, at most 512 in a write, each with its own sequence number", async () => {
    const native = new FakeNative();
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    expect(await settleAll(requests, 1200)).toEqual(Array.from({ length: 1200 }, () => "ok"));
    expect(native.writes.map((write) => write.length)).toEqual([512, 512, 176]);
    const sent = native.writes.flat();
    expect(sent.map(({ payload }) => (payload[0] ?? 0) + (payload[1] ?? 0) * 256)).toEqual(Array.from({ length: 1200 }, (_, n) => n));
    expect(new Set(sent.map(({ seq }) => seq)).size).toBe(1200);
    expect(sent.every(({ flags }) => flags === (NLM_F_REQUEST | NLM_F_ACK))).toBe(true);
  });

  it("matches answers by sequence number, whatever their order, and gives the error to whom it belongs", async () => {
    const native = new FakeNative((messages) => messages.map((message, n) => ack(message, n === 1 ? EPERM : 0)).toReversed());
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    expect(await settleAll(requests, 3)).toEqual(["ok", "EPERM", "ok"]);
  });

  it("gives the echo of a request to it", async () => {
    const native = new FakeNative((messages) => messages.flatMap((message) => [encodeMessage({ ...message, type: 99 }), ack(message)]));
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    const echoes = await Promise.all([requests.request(request(1), never), requests.request(request(2), never)]);
    expect(echoes.map((list) => list.map(({ type, payload }) => [type, payload[0]]))).toEqual([[[99, 1]], [[99, 2]]]);
  });

  it("rejects with ENOBUFS what got no answer, and the next batch is not harmed by late answers", async () => {
    let late: Uint8Array | undefined;
    const native = new FakeNative((messages) => {
      if (late !== undefined) return [late, ...acknowledgeAll(messages)];
      const [first, second, third] = messages;
      if (first === undefined || second === undefined || third === undefined) throw new Error("three messages wanted");
      late = ack(second, EPERM);
      return [ack(first), ENOBUFS, ack(third)];
    });
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    expect(await settleAll(requests, 3)).toEqual(["ok", "ENOBUFS", "ok"]);
    expect(await settleAll(requests, 2)).toEqual(["ok", "ok"]);
  });

  it("rejects all of a batch that could not be written", async () => {
    const native = new FakeNative();
    native.writeErrno = 90;
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    expect(await settleAll(requests, 2)).toEqual(["EMSGSIZE", "EMSGSIZE"]);
    native.writeErrno = 0;
    expect(await settleAll(requests, 1)).toEqual(["ok"]);
  });

  it("logs an answer that it does not understand, and nobody waits for ever", async () => {
    const native = new FakeNative((messages) => [Uint8Array.of(1, 2, 3), ...acknowledgeAll(messages.slice(0, 1))]);
    const log = new FakeLog();
    await using requests = NetlinkRequests.open({ native, log });
    expect(await settleAll(requests, 2)).toEqual(["ok", "ENOBUFS"]);
    expect(log.lines.map(({ message }) => message)).toEqual(["netlink answer not understood"]);
  });

  it("a request that cannot be encoded harms only itself", async () => {
    const native = new FakeNative();
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    const broken = new RangeError("broken");
    const payload = (): Uint8Array => {
      throw broken;
    };
    const results = await Promise.allSettled([requests.request({ ...request(1), payload }, never), requests.request(request(2), never)]);
    expect(results[0]).toEqual({ status: "rejected", reason: broken });
    expect(results[1]?.status).toBe("fulfilled");
  });

  it("an abort drops what is queued and lets what is on its way complete", async () => {
    const native = new FakeNative();
    let unlock = (): void => {};
    const lock = new Promise<void>((resolve) => (unlock = resolve));
    native.hold = async () => lock;
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    const controller = new AbortController();
    const reason = new Error("stop");
    const sent = requests.request(request(1), controller.signal);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const queued = requests.request(request(2), controller.signal);
    const other = requests.request(request(3), never);
    controller.abort(reason);
    await expect(queued).rejects.toBe(reason);
    await expect(requests.request(request(4), controller.signal)).rejects.toBe(reason);
    unlock();
    await Promise.all([sent, other]);
    expect(native.writes.map((write) => write.map(({ payload }) => payload[0]))).toEqual([[1], [3]]);
  });

  it("all that is queued under one signal listens to it once, and to the end of its queue only", async () => {
    const native = new FakeNative();
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    const { signal } = new AbortController();
    const all = Array.from({ length: 300 }, async (_, n) => requests.request(request(n), signal));
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await Promise.all(all);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  it("asks for what comes late while a write is waiting in the next write", async () => {
    const native = new FakeNative();
    let unlock = (): void => {};
    const lock = new Promise<void>((resolve) => (unlock = resolve));
    native.hold = async () => lock;
    await using requests = NetlinkRequests.open({ native, log: new FakeLog() });
    const first = requests.request(request(1), never);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const rest = [2, 3, 4].map(async (n) => requests.request(request(n), never));
    expect(native.writes).toHaveLength(1);
    unlock();
    await Promise.all([first, ...rest]);
    expect(native.writes.map((write) => write.length)).toEqual([1, 3]);
  });

  it("closing rejects what is queued, waits for the write, and is fine twice", async () => {
    const native = new FakeNative();
    let unlock = (): void => {};
    const lock = new Promise<void>((resolve) => (unlock = resolve));
    native.hold = async () => lock;
    const requests = NetlinkRequests.open({ native, log: new FakeLog() });
    const sent = requests.request(request(1), never);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const queued = Promise.allSettled([requests.request(request(2), never)]);
    const closing = requests[Symbol.asyncDispose]();
    expect(codesOf(await queued)).toEqual(["ECANCELED"]);
    expect(native.openSockets).toBe(1);
    unlock();
    await sent;
    await closing;
    await requests[Symbol.asyncDispose]();
    expect(native.openSockets).toBe(0);
    expect(codesOf(await Promise.allSettled([requests.request(request(3), never)]))).toEqual(["ECANCELED"]);
  });

  it("asks for 8 MiB, by the plain option where the forcing one is not allowed", async () => {
    const native = new FakeNative();
    native.receiveBufferForceErrno = EPERM;
    await using _requests = NetlinkRequests.open({ native, log: new FakeLog() });
    expect(native.options).toEqual(expect.arrayContaining([
      [1, 33, 8 * 1024 * 1024],
      [1, 8, 8 * 1024 * 1024],
      [270, 10, 1],
      [270, 11, 1],
      [270, 12, 1],
    ]));
  });
});

describe("dump", () => {
  function part(message: NetlinkMessage, n: number, flags = 2): Uint8Array {
    return encodeMessage({ type: 20, flags, seq: message.seq, portId: 1, payload: Uint8Array.of(n) });
  }
  function done(message: NetlinkMessage, errno = 0, flags = 2): Uint8Array {
    const payload = new Uint8Array(Int32Array.of(-errno).buffer);
    return encodeMessage({ type: NLMSG_DONE, flags, seq: message.seq, portId: 1, payload });
  }
  function join(...parts: readonly Uint8Array[]): Uint8Array {
    return new Uint8Array(parts.flatMap((one) => [...one]));
  }
  function first(messages: readonly NetlinkMessage[]): NetlinkMessage {
    const [message] = messages;
    if (message === undefined) throw new Error("a message wanted");
    return message;
  }

  it("collects several datagrams up to the end", async () => {
    const native = new FakeNative((messages) => {
      const asked = first(messages);
      return [join(part(asked, 1), part(asked, 2)), part(asked, 3), join(part(asked, 4), done(asked))];
    });
    const messages = await dump(native, request(1), never);
    expect(messages.map(({ payload }) => payload[0])).toEqual([1, 2, 3, 4]);
    expect(native.openSockets).toBe(0);
  });

  it.each([
    { name: "a message", dataFlags: NLM_F_DUMP_INTR, doneFlags: 2 },
    { name: "the end", dataFlags: 2, doneFlags: NLM_F_DUMP_INTR },
  ])("dumps again when the table changed meanwhile, told in $name", async ({ dataFlags, doneFlags }) => {
    let attempts = 0;
    const native = new FakeNative((messages) => {
      attempts += 1;
      const changed = attempts < 3;
      return [part(first(messages), attempts, changed ? dataFlags : 2), done(first(messages), 0, changed ? doneFlags : 2)];
    });
    const messages = await dump(native, request(1), never);
    expect(messages.map(({ payload }) => payload[0])).toEqual([3]);
    expect(native.openSockets).toBe(0);
  });

  it("gives up on a table that always changes", async () => {
    const native = new FakeNative((messages) => [done(first(messages), 0, NLM_F_DUMP_INTR)]);
    await expect(dump(native, request(1), never)).rejects.toMatchObject({ code: "EINTR" });
    expect(native.writes).toHaveLength(20);
  });

  it.each([
    { name: "refused at once", answer: (messages: readonly NetlinkMessage[]) => [ack(first(messages), EPERM)], code: "EPERM" },
    { name: "refused at its end", answer: (messages: readonly NetlinkMessage[]) => [part(first(messages), 1), done(first(messages), EPERM)], code: "EPERM" },
    { name: "never ending", answer: (messages: readonly NetlinkMessage[]) => [part(first(messages), 1)], code: "ETIMEDOUT" },
    { name: "cut short", answer: () => [ENOBUFS], code: "ENOBUFS" },
  ])("rejects a dump that is $name, and closes its socket", async ({ answer, code }) => {
    const native = new FakeNative(answer);
    await expect(dump(native, request(1), never)).rejects.toMatchObject({ name: "KernelError", code });
    expect(native.openSockets).toBe(0);
  });

  it("ends between reads when it is aborted", async () => {
    const controller = new AbortController();
    const reason = new Error("stop");
    const native = new FakeNative((messages) => {
      controller.abort(reason);
      return [part(first(messages), 1)];
    });
    await expect(dump(native, request(1), controller.signal)).rejects.toBe(reason);
    expect(native.openSockets).toBe(0);
  });
});

describe("NetlinkEvents", () => {
  function event(n: number): Uint8Array {
    return encodeMessage({ type: 20, flags: 0, seq: 0, portId: 0, payload: Uint8Array.of(n) });
  }

  it("tells of each message, and of lost ones, in their order", async () => {
    const native = new FakeNative();
    const heard: (number | string)[] = [];
    const listener = { onMessage: ({ payload }: NetlinkMessage) => heard.push(payload[0] ?? -1), onOverrun: () => heard.push("overrun") };
    await using _events = NetlinkEvents.open({ native, log: new FakeLog() }, listener);
    native.arrive(event(1), event(2), ENOBUFS, event(3));
    expect(heard).toEqual([1, 2, "overrun", 3]);
  });

  it("drops a malformed datagram and a throw of the listener, with a line in the log, and goes on", async () => {
    const native = new FakeNative();
    const log = new FakeLog();
    const heard: number[] = [];
    const onMessage = ({ payload }: NetlinkMessage): void => {
      if (payload[0] === 2) throw new Error("listener");
      heard.push(payload[0] ?? -1);
    };
    await using _events = NetlinkEvents.open({ native, log }, { onMessage, onOverrun: () => {} });
    native.arrive(event(1), Uint8Array.of(9, 9, 9), event(2), event(3));
    expect(heard).toEqual([1, 3]);
    expect(log.lines.map(({ level, message }) => `${level} ${message}`)).toEqual(["warn netlink event dropped", "warn netlink event dropped"]);
  });

  it("takes more than one turn for a long queue, and loses nothing", async () => {
    const native = new FakeNative();
    let heard = 0;
    await using _events = NetlinkEvents.open({ native, log: new FakeLog() }, { onMessage: () => (heard += 1), onOverrun: () => {} });
    native.arrive(...Array.from({ length: 1000 }, () => event(1)));
    expect(heard).toBe(1000);
  });

  it("is silent once closed, also when the listener closes it, and is closed twice without harm", async () => {
    const native = new FakeNative();
    const heard: number[] = [];
    let closing: Promise<void> | undefined;
    const onMessage = ({ payload }: NetlinkMessage): void => {
      heard.push(payload[0] ?? -1);
      closing = events[Symbol.asyncDispose]();
    };
    const events = NetlinkEvents.open({ native, log: new FakeLog() }, { onMessage, onOverrun: () => {} });
    native.arrive(event(1), event(2));
    await closing;
    await events[Symbol.asyncDispose]();
    expect(heard).toEqual([1]);
    expect([native.openSockets, native.openPolls]).toEqual([0, 0]);
  });
});
