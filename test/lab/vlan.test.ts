import { describe, expect, it, onTestFinished } from "vitest";

import type { LinkKey, LinkWant, ServiceKey } from "../../src/core/model.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { addLink, type LinkPut } from "../../src/linux/link-requests.js";
import { createKernel } from "../../src/linux/kernel.js";
import { NetlinkRequests } from "../../src/linux/netlink-requests.js";
import { createRandom } from "../../src/linux/random.js";
import { LINK_ALIAS } from "../../src/modes/link-parent.js";
import { createLinkMode } from "../../src/modes/link.js";
import type { Kernel, KernelEvent, Link } from "../../src/ports/kernel.js";
import { encodeLinkAlias, MACVLAN_MODE_BRIDGE, type LinkKind } from "../../src/wire/netlink/link-change.js";
import { RTM_NEWLINK } from "../../src/wire/netlink/message.js";
import { clock, errorOf, ip, linkNamed, log, native, never, useKernelLab } from "./kernel-fixture.js";
import { waitFor } from "./wait.js";

const MAC = "02:00:00:00:00:77" as MacAddress;
const MACVLAN: LinkKind = { kind: "macvlan", mode: MACVLAN_MODE_BRIDGE, mac: MAC };

const lab = useKernelLab();
const kernel = () => lab().kernel;
const a = () => lab().a;

async function links(): Promise<readonly Link[]> {
  return kernel().links(never);
}

async function names(): Promise<readonly string[]> {
  return (await links()).map(({ name }) => name).sort();
}

/** Whether this kernel has 8021q: iproute2 finds out, not we. */
async function has8021q(): Promise<boolean> {
  await ip("link", "add", "vkx", "type", "veth", "peer", "name", "vky");
  const error = await errorOf(ip("link", "add", "link", "vkx", "name", "vkx.9", "type", "vlan", "id", "9"));
  await ip("link", "del", "vkx");
  if (error === undefined) return true;
  if (!(error instanceof Error && error.message.includes("Unknown device type"))) throw error as Error;
  return false;
}

/** The links that a test leaves behind are no concern of the next. */
function removedAfterwards(...left: readonly string[]): void {
  onTestFinished(async () => {
    for (const { name, index } of await links()) if (left.includes(name)) await kernel().removeLink(index, never);
  });
}

const vlans = await has8021q();
if (!vlans) process.stdout.write("\n*** THIS KERNEL HAS NO 8021q: that VLAN links are made, used and removed is NOT tested here, only that it is said ***\n\n");

const want: LinkWant = { key: "vka.200" as LinkKey, owners: ["default/web" as ServiceKey], parent: "vka", vlan: 200 };
const mode = (of: Kernel = kernel()) => createLinkMode({ serves: new Set(["services"]), manageParent: false }, { kernel: of, log, answers: () => {} });
const vlan200 = () => ({ name: "vka.200", kind: "vlan", vlan: 200, parentIndex: a().index, alias: LINK_ALIAS, up: true });

function told(): readonly string[] {
  return log.lines.splice(0).map(({ message }) => message);
}

describe.runIf(!vlans)("link mode without 8021q", () => {
  it("says so and leaves nothing", async () => {
    const before = await names();
    await using ours = mode();
    const error = await errorOf(ours.up(want, never));
    expect(error).toMatchObject({ code: "no8021q", message: "add vka.200 (VLAN 200 on vka): the kernel has no 8021q: modprobe 8021q" });
    expect(await names()).toEqual(before);
  });
});

describe.runIf(vlans)("link mode with 8021q", () => {
  it("adds, finds and removes a VLAN", async () => {
    const before = await names();
    await using ours = mode();
    await ours.up(want, never);
    const link = await linkNamed(kernel(), "vka.200");
    expect(link).toMatchObject(vlan200());
    const [shown] = JSON.parse(await ip("-d", "-j", "link", "show", "vka.200")) as readonly unknown[];
    expect(shown).toMatchObject({ link: "vka", ifalias: LINK_ALIAS, linkinfo: { info_kind: "vlan", info_data: { protocol: "802.1Q", id: 200 } } });
    await ip("link", "set", "vka.200", "down");
    await ours.up(want, never);
    expect(await linkNamed(kernel(), "vka.200")).toMatchObject({ index: link.index, up: true });
    await using next = mode();
    expect(await next.held(never)).toEqual([{ key: "vka.200", describe: "VLAN 200 on vka" }]);
    await next.down(want.key, "leftover", never);
    await next.down(want.key, "leftover", never);
    expect(await names()).toEqual(before);
    expect(told()).toEqual(["link added", "link removed"]);
  });

  it("makes one link where two processes want it at the same moment", async () => {
    removedAfterwards("vka.200");
    for (let round = 0; round < 10; round += 1) {
      await using other = createKernel({ log, clock, native });
      await using ours = mode();
      await using theirs = mode(other);
      await Promise.all([ours.up(want, never), theirs.up(want, never)]);
      expect(await linkNamed(kernel(), "vka.200")).toMatchObject(vlan200());
      await Promise.all([ours.down(want.key, "unwanted", never), theirs.down(want.key, "unwanted", never)]);
      expect(await names()).not.toContain("vka.200");
      expect(told().toSorted()).toEqual(["link added", "link removed"]);
    }
  });

  it("uses a VLAN of somebody, which it neither changes nor removes", async () => {
    removedAfterwards("vka.200");
    await ip("link", "add", "link", "vka", "name", "vka.200", "type", "vlan", "id", "200");
    const before = await linkNamed(kernel(), "vka.200");
    await using ours = mode();
    await ours.up(want, never);
    expect(await ours.held(never)).toEqual([]);
    await ours.down(want.key, "unwanted", never);
    expect(await linkNamed(kernel(), "vka.200")).toEqual(before);
  });

  it.each([
    { name: "IEEE 802.1ad", link: ["vka.200", "type", "vlan", "proto", "802.1ad", "id", "200"], why: "the name is taken by a link of kind vlan" },
    { name: "another id", link: ["vka.200", "type", "vlan", "id", "201"], why: "the name is taken by VLAN 201 on vka" },
    { name: "another name", link: ["vkstorage", "type", "vlan", "id", "200"], why: "that VLAN is there already as vkstorage" },
  ])("leaves a VLAN of somebody alone that is not as wanted, and says so: $name", async ({ link, why }) => {
    removedAfterwards("vka.200", "vkstorage");
    await ip("link", "add", "link", "vka", "name", ...link);
    const before = await links();
    await using ours = mode();
    await expect(ours.up(want, never)).rejects.toMatchObject({ code: "taken", message: `add vka.200 (VLAN 200 on vka): ${why}` });
    expect(await links()).toEqual(before);
  });

  it("is refused by the kernel where the parent has this VLAN by another name", async () => {
    removedAfterwards("vkstorage", "vka.200");
    await ip("link", "add", "link", "vka", "name", "vkstorage", "type", "vlan", "id", "200");
    const put = { name: "vka.200", parentIndex: a().index, vlan: 200, alias: LINK_ALIAS };
    await expect(kernel().addVlan(put, never)).rejects.toMatchObject({ code: "EEXIST" });
  });

  it("makes a link of ours anew that stands on a link which was renamed", async () => {
    removedAfterwards("vka.200");
    await using ours = mode();
    await ip("link", "add", "link", "vkb", "name", "vka.200", "type", "vlan", "id", "200");
    await ip("link", "set", "vka.200", "alias", LINK_ALIAS);
    await ours.up(want, never);
    expect(await linkNamed(kernel(), "vka.200")).toMatchObject(vlan200());
    expect(told()).toEqual(["link added"]);
  });

  it("leaves nothing where the parent is down, and works once it is up", async () => {
    removedAfterwards("vka.200");
    const before = await names();
    await using ours = mode();
    await ip("link", "set", "vka", "down");
    await expect(ours.up(want, never)).rejects.toMatchObject({ code: "ENETDOWN" });
    expect(await names()).toEqual(before);
    await ip("link", "set", "vka", "up");
    await ours.up(want, never);
    expect(await linkNamed(kernel(), "vka.200")).toMatchObject(vlan200());
    expect(told()).toEqual(["link added"]);
  });

  it("tells what the kernel has against a parent that takes no VLANs", async () => {
    await using ours = mode();
    const up = ours.up({ ...want, key: "lo.200" as LinkKey, parent: "lo" }, never);
    await expect(up).rejects.toMatchObject({ name: "KernelError", errno: 95, message: expect.stringContaining("8021q: VLANs not supported") as string });
  });
});

describe("link mode", () => {
  it.each([
    { name: "a macvlan", link: ["link", "vka", "name", "vka.200", "type", "macvlan"], alias: "somebody's", why: "macvlan" },
    { name: "a link of another kind with even our alias", link: ["vka.200", "type", "veth", "peer", "vkb.200"], alias: LINK_ALIAS, why: "a link of kind veth" },
  ])("leaves what somebody made alone that has the name: $name", async ({ link, alias, why }) => {
    removedAfterwards("vka.200");
    await ip("link", "add", ...link);
    await ip("link", "set", "vka.200", "alias", alias);
    const before = await linkNamed(kernel(), "vka.200");
    await using ours = mode();
    await expect(ours.up(want, never)).rejects.toMatchObject({ code: "taken", message: expect.stringContaining(why) as string });
    expect(await ours.held(never)).toEqual([]);
    await ours.down(want.key, "leftover", never);
    expect(await linkNamed(kernel(), "vka.200")).toEqual(before);
  });
});

// The same requests with a kind of link that every kernel of the lab has.
describe("a macvlan", () => {
  async function add(part: Partial<LinkPut> = {}): Promise<void> {
    await using requests = NetlinkRequests.open({ native, log });
    const taken = new Set((await links()).map(({ index }) => index));
    await addLink({ requests, random: createRandom(), taken }, { name: "vkmac", parentIndex: a().index, kind: MACVLAN, alias: LINK_ALIAS, ...part }, never);
  }

  it("is made, found by its alias, set up and removed", async () => {
    removedAfterwards("vkmac");
    await add();
    const [link, ...others] = (await links()).filter(({ alias }) => alias === LINK_ALIAS);
    if (link === undefined) throw new Error("no link with our alias");
    expect(others).toEqual([]);
    expect(link).toMatchObject({ name: "vkmac", kind: "macvlan", mac: MAC, parentIndex: a().index, vlan: undefined, up: true });
    expect(link.index).toBeGreaterThanOrEqual(0x8000);
    expect(link.index).toBeLessThan(0x1_0000);
    const [shown] = JSON.parse(await ip("-d", "-j", "link", "show", "vkmac")) as readonly { link: string; ifalias: string; linkinfo: unknown }[];
    expect(shown).toMatchObject({ link: "vka", ifalias: LINK_ALIAS, linkinfo: { info_kind: "macvlan", info_data: { mode: "bridge" } } });
    await ip("link", "set", "vkmac", "down");
    await kernel().setLinkUp(link.index, never);
    expect(await linkNamed(kernel(), "vkmac")).toEqual(link);
    expect(await kernel().removeLink(link.index, never)).toBe(true);
    expect(await kernel().removeLink(link.index, never)).toBe(false);
    expect(await names()).not.toContain("vkmac");
    await expect(kernel().setLinkUp(link.index, never)).rejects.toMatchObject({ code: "ENODEV" });
  });

  it("that is made is told as an event with its alias, and that it is gone", async () => {
    removedAfterwards("vkmac");
    const events: (KernelEvent & { readonly type: "link" })[] = [];
    await using _listener = kernel().listen((event) => void (event.type === "link" && event.link.name === "vkmac" && events.push(event)));
    await add();
    const last = await waitFor(() => events.findLast(({ link, gone }) => !gone && link.alias !== ""), 2000, "the link with its alias");
    expect(last.link).toEqual(await linkNamed(kernel(), "vkmac"));
    await kernel().removeLink(last.link.index, never);
    await waitFor(() => events.some(({ gone, link }) => gone && link.index === last.link.index && link.alias === LINK_ALIAS), 2000, "the link to be gone");
  });

  it("has another index when it is made again", async () => {
    removedAfterwards("vkmac");
    const seen = new Set<number>();
    for (let i = 0; i < 3; i += 1) {
      await add();
      const { index } = await linkNamed(kernel(), "vkmac");
      seen.add(index);
      await kernel().removeLink(index, never);
    }
    expect(seen.size).toBe(3);
  });

  it("of a name that is taken is not made, and the link that has the name does not get our alias", async () => {
    await expect(add({ name: "vkb" })).rejects.toMatchObject({ code: "EEXIST" });
    expect(await linkNamed(kernel(), "vkb")).toMatchObject({ kind: "veth", alias: "" });
  });

  it("of an index that a link of another kind has is not made, and that link does not get our alias", async () => {
    const { b } = lab();
    await using requests = NetlinkRequests.open({ native, log });
    const payload = (): Uint8Array => encodeLinkAlias({ index: b.index, kind: MACVLAN }, LINK_ALIAS);
    await expect(requests.request({ type: RTM_NEWLINK, flags: 0, payload, tried: "mark vkb" }, never)).rejects.toMatchObject({ errno: 95 });
    expect(await linkNamed(kernel(), "vkb")).toMatchObject({ alias: "" });
  });

  it.each([
    { name: "a name of 16 octets", part: { name: "sixteen-octets-x" } },
    { name: "no link below", part: { parentIndex: 999_999 } },
    { name: "a MAC address for many", part: { kind: { ...MACVLAN, mac: "01:00:5e:00:00:01" as MacAddress } } },
  ])("is not made, and nothing is left: $name", async ({ part }) => {
    const before = await names();
    await expect(add(part)).rejects.toMatchObject({ name: "KernelError" });
    expect(await names()).toEqual(before);
  });
});
