import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { hostPrefix, type IpAddress } from "../../src/lib/ip.js";
import type { MarkMode } from "../../src/linux/address-marks.js";
import { createKernel } from "../../src/linux/kernel.js";
import type { AddressPut, KernelEvent } from "../../src/ports/kernel.js";
import { decodeAddress, encodeAddress, IFA_F_DADFAILED, IFA_F_NODAD, IFA_F_TENTATIVE, type AddressMessage } from "../../src/wire/netlink/address.js";
import { encodeMessage, NLM_F_DUMP, NLMSG_DONE, RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR, type NetlinkMessage } from "../../src/wire/netlink/message.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { ack, FakeNative } from "./fake-native.js";

const never = new AbortController().signal;
const V4 = "192.0.2.10" as IpAddress;
const V6 = "2001:db8::10" as IpAddress;
const MARK = 77;

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "vip-record-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

/** The address table of a kernel: does what Linux does with marks, labels, scopes and echoes, with or without IFA_PROTO. */
class AddressTable {
  readonly table = new Map<string, AddressMessage>();

  constructor(
    readonly hasProto: boolean,
    readonly linkName = "eth0",
  ) {}

  readonly answer = (messages: readonly NetlinkMessage[]): readonly Uint8Array[] => messages.flatMap((message) => this.#one(message));

  labels(): readonly (string | undefined)[] {
    return [...this.table.values()].map(({ label }) => label);
  }

  #one(message: NetlinkMessage): readonly Uint8Array[] {
    if (message.type === RTM_GETADDR && (message.flags & NLM_F_DUMP) !== 0) return this.#dump(message);
    const wanted = decodeAddress(message.payload);
    if (message.type === RTM_GETADDR) return this.#get(message, this.table.get(wanted.address));
    if (message.type === RTM_DELADDR) return [ack(message, this.table.delete(wanted.address) ? 0 : 99)];
    const before = this.table.get(wanted.address);
    const v6 = wanted.address.includes(":");
    const label = v6 ? undefined : (before?.label ?? wanted.label ?? this.linkName);
    const now = { ...wanted, scope: before?.scope ?? (v6 ? 0 : wanted.scope), label, flags: before?.flags ?? wanted.flags, mark: this.hasProto ? wanted.mark : 0 };
    this.table.set(wanted.address, now);
    const echo = encodeMessage({ ...message, payload: encodeAddress(now) });
    return v6 ? [ack(message)] : [echo, ack(message)];
  }

  #get(message: NetlinkMessage, found: AddressMessage | undefined): readonly Uint8Array[] {
    if (found === undefined) return [ack(message, 99)];
    return [encodeMessage({ ...message, type: RTM_NEWADDR, payload: encodeAddress(found) }), ack(message)];
  }

  #dump(message: NetlinkMessage): readonly Uint8Array[] {
    const v6 = message.payload[0] === 10;
    const found = [...this.table.values()].filter(({ address }) => address.includes(":") === v6);
    const done = encodeMessage({ type: NLMSG_DONE, flags: 2, seq: message.seq, portId: 0, payload: new Uint8Array(4) });
    return [...found.map((one) => encodeMessage({ type: RTM_NEWADDR, flags: 2, seq: message.seq, portId: 0, payload: encodeAddress(one) })), done];
  }
}

function setUp(table: AddressTable, { markMode = "auto", recordDir = dir }: { markMode?: MarkMode; recordDir?: string } = {}) {
  const native = new FakeNative(table.answer);
  const log = new FakeLog();
  const kernel = createKernel({ native, clock: new FakeClock(10_000), log, markMode, recordDir });
  const marks = async (): Promise<Record<string, number>> =>
    Object.fromEntries((await kernel.addresses(never)).map(({ address, mark }) => [address, mark]));
  return { native, log, kernel, marks };
}

function put(address: IpAddress, fields: Partial<AddressPut> = {}): AddressPut {
  return { linkIndex: 3, address, prefix: hostPrefix(address), scope: "host", mark: MARK, validUntil: 30_500, ...fields };
}

async function recorded(): Promise<unknown> {
  return JSON.parse(await readFile(join(dir, "addresses.json"), "utf8"));
}

describe("where IFA_PROTO sticks", () => {
  it.each([V4, V6])("%s has it, no label, and no record", async (address) => {
    const table = new AddressTable(true);
    const { kernel, marks } = setUp(table);
    await using _kernel = kernel;
    await kernel.putAddress(put(address), never);
    expect(await marks()).toEqual({ [address]: MARK });
    expect(table.labels()).toEqual([address === V4 ? "eth0" : undefined]);
    expect(await readdir(dir)).toEqual([]);
  });

  it("an IPv6 address whose duplicate address detection failed is put anew, another is not", async () => {
    const table = new AddressTable(true);
    const { kernel, native } = setUp(table);
    await using _kernel = kernel;
    await kernel.putAddress(put(V6), never);
    expect(native.writes.flat().map(({ type }) => type)).toEqual([RTM_NEWADDR, RTM_GETADDR]);
    const ours = table.table.get(V6);
    if (ours !== undefined) table.table.set(V6, { ...ours, flags: IFA_F_TENTATIVE | IFA_F_DADFAILED });
    await kernel.putAddress(put(V6), never);
    expect(native.writes.flat().map(({ type }) => type).slice(2)).toEqual([RTM_NEWADDR, RTM_GETADDR, RTM_DELADDR, RTM_NEWADDR]);
    expect(table.table.get(V6)?.flags).toBe(IFA_F_NODAD);
  });

  it("does not believe a record once that is known", async () => {
    await writeFile(join(dir, "addresses.json"), JSON.stringify({ version: 1, addresses: { [`3 ${V6}/128`]: MARK } }));
    const table = new AddressTable(true);
    const { kernel, marks } = setUp(table);
    await using _kernel = kernel;
    await kernel.putAddress(put(V4), never);
    await kernel.putAddress(put(V6, { mark: 0 }), never);
    expect(await marks()).toEqual({ [V4]: MARK, [V6]: 0 });
  });
});

describe("where IFA_PROTO does not stick", () => {
  it("labels IPv4 and records both families; the next life finds them, and what it removes is forgotten", async () => {
    const table = new AddressTable(false);
    const first = setUp(table);
    await Promise.all([first.kernel.putAddress(put(V4), never), first.kernel.putAddress(put(V6), never)]);
    expect(await first.marks()).toEqual({ [V4]: MARK, [V6]: MARK });
    expect(new Set(table.labels())).toEqual(new Set(["eth0:vip4d", undefined]));
    expect(await recorded()).toEqual({ version: 1, addresses: { [`3 ${V4}/32`]: MARK, [`3 ${V6}/128`]: MARK } });
    await first.kernel[Symbol.asyncDispose]();

    const second = setUp(table);
    await using _kernel = second.kernel;
    expect(await second.marks()).toEqual({ [V4]: MARK, [V6]: MARK });
    await second.kernel.putAddress(put(V4), never);
    await second.kernel.removeAddress(put(V6), never);
    expect(await recorded()).toEqual({ version: 1, addresses: { [`3 ${V4}/32`]: MARK } });
    expect(second.log.lines).toEqual([]);
  });

  it("finds that out with IPv6 alone", async () => {
    const { kernel, marks } = setUp(new AddressTable(false));
    await using _kernel = kernel;
    await kernel.putAddress(put(V6), never);
    expect(await recorded()).toEqual({ version: 1, addresses: { [`3 ${V6}/128`]: MARK } });
    expect(await marks()).toEqual({ [V6]: MARK });
  });

  it("puts an address anew for its label only once", async () => {
    const { native, kernel } = setUp(new AddressTable(false));
    await using _kernel = kernel;
    await kernel.putAddress(put(V4), never);
    expect(native.writes.flat().map(({ type }) => type)).toEqual([RTM_NEWADDR, RTM_DELADDR, RTM_NEWADDR]);
    await kernel.putAddress(put(V4), never);
    await kernel.putAddress(put("192.0.2.11" as IpAddress), never);
    expect(native.writes.flat()).toHaveLength(5);
  });

  it("keeps the order of calls: removed, then put, is recorded; put, then removed, is not", async () => {
    const { kernel, marks } = setUp(new AddressTable(false), { markMode: "record" });
    await using _kernel = kernel;
    await kernel.putAddress(put(V6), never);
    const other = "2001:db8::11" as IpAddress;
    await Promise.all([
      kernel.removeAddress(put(V6), never),
      kernel.putAddress(put(V6), never),
      kernel.putAddress(put(other), never),
      kernel.removeAddress(put(other), never),
    ]);
    expect(await recorded()).toEqual({ version: 1, addresses: { [`3 ${V6}/128`]: MARK } });
    expect(await marks()).toEqual({ [V6]: MARK });
  });

  it("leaves the label out where the name of the link is too long: the record stands in", async () => {
    const table = new AddressTable(false, "enp193s0f1np1");
    const { kernel, marks } = setUp(table);
    await using _kernel = kernel;
    await kernel.putAddress(put(V4), never);
    expect(table.labels()).toEqual(["enp193s0f1np1"]);
    expect(await marks()).toEqual({ [V4]: MARK });
  });

  it("knows IPv4 by its label when the record is lost", async () => {
    const table = new AddressTable(false);
    const first = setUp(table);
    await first.kernel.putAddress(put(V4), never);
    await first.kernel[Symbol.asyncDispose]();
    await rm(join(dir, "addresses.json"));
    const second = setUp(table);
    await using _kernel = second.kernel;
    expect(await second.marks()).toEqual({ [V4]: MARK });
  });

  it.each<{ name: string; change: Partial<AddressMessage> }>([
    { name: "no lifetime", change: { validSeconds: Infinity } },
    { name: "not deprecated, and no scope host", change: { preferredSeconds: 20, scope: 0 } },
    { name: "no host prefix", change: { prefix: 24 } },
    { name: "another link", change: { linkIndex: 4, label: "eth1" } },
  ])("does not take for ours what does not look like it: $name", async ({ change }) => {
    const table = new AddressTable(false);
    const { kernel, marks } = setUp(table);
    await using _kernel = kernel;
    await kernel.putAddress(put(V4), never);
    const ours = table.table.get(V4);
    if (ours !== undefined) table.table.set(V4, { ...ours, ...change });
    expect(await marks()).toEqual({ [V4]: 0 });
  });

  it("marks events too", async () => {
    const table = new AddressTable(false);
    const { native, kernel } = setUp(table);
    await using _kernel = kernel;
    await kernel.putAddress(put(V4), never);
    const events: KernelEvent[] = [];
    await using _listener = kernel.listen((event) => events.push(event));
    const shown = table.table.get(V4);
    if (shown !== undefined) native.arrive(encodeMessage({ type: RTM_NEWADDR, flags: 0, seq: 0, portId: 0, payload: encodeAddress(shown) }));
    expect(events).toEqual([expect.objectContaining({ type: "address", address: expect.objectContaining({ mark: MARK }) as unknown })]);
  });
});

describe("the record", () => {
  it.each([
    { name: "no JSON", text: "{" },
    { name: "another version", text: '{"version":2,"addresses":{}}' },
    { name: "no addresses", text: '{"version":1}' },
    { name: "a key that is no address", text: '{"version":1,"addresses":{"3 2001:db8::/64/1":77}}' },
    { name: "a mark that is none", text: `{"version":1,"addresses":{"3 ${V6}/128":0}}` },
  ])("is empty, with a warning, where the file has $name", async ({ text }) => {
    await writeFile(join(dir, "addresses.json"), text);
    const { log, kernel, marks } = setUp(new AddressTable(false));
    await using _kernel = kernel;
    await kernel.putAddress(put(V4), never);
    expect(await marks()).toEqual({ [V4]: MARK });
    expect(log.lines.map(({ message }) => message)).toEqual(["record of addresses not read"]);
  });

  it("that cannot be written is a warning; the address is put all the same", async () => {
    await writeFile(join(dir, "file"), "");
    const { log, kernel, marks } = setUp(new AddressTable(false), { recordDir: join(dir, "file", "sub") });
    await using _kernel = kernel;
    await kernel.putAddress(put(V6), never);
    await kernel.putAddress(put(V4), never);
    expect(await marks()).toEqual({ [V4]: MARK, [V6]: MARK });
    expect(log.lines.map(({ message }) => message)).toEqual(["record of addresses not read", "record of addresses not written"]);
  });
});
