import { describe, expect, it, onTestFinished } from "vitest";

import type { LinkKey, LinkWant, ServiceKey } from "../../src/core/model.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { addLink, type LinkPut } from "../../src/linux/link-requests.js";
import { NetlinkRequests } from "../../src/linux/netlink-requests.js";
import { createRandom } from "../../src/linux/random.js";
import { createLinkMode, LINK_ALIAS } from "../../src/modes/link.js";
import type { KernelEvent, Link } from "../../src/ports/kernel.js";
import { encodeLinkAlias, MACVLAN_MODE_BRIDGE, type LinkKind } from "../../src/wire/netlink/link-change.js";
import { RTM_NEWLINK } from "../../src/wire/netlink/message.js";
import { errorOf, ip, linkNamed, log, native, never, useKernelLab } from "./kernel-fixture.js";
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

/** Whether this kernel has 8021q; iproute2 says it, not we. */
async function has8021q(): Promise<boolean> {
  const error = await errorOf(ip("link", "add", "link", "vka", "name", "vka.9", "type", "vlan", "id", "9"));
  if (error !== undefined) {
    if (!(error instanceof Error && error.message.includes("Unknown device type"))) throw error as Error;
    return false;
  }
  await ip("link", "del", "vka.9");
  return true;
}

describe("link mode", () => {
  const want: LinkWant = { key: "vka.200" as LinkKey, owners: ["default/web" as ServiceKey], parent: "vka", vlan: 200 };
  const mode = () => createLinkMode({ serves: new Set(["services"]) }, { kernel: kernel(), log });

  it("adds, finds and removes a VLAN; on a kernel without 8021q it says so and leaves nothing", async () => {
    const before = await names();
    await using ours = mode();
    if (!(await has8021q())) {
      process.stdout.write("\n*** THIS KERNEL HAS NO 8021q: that VLAN links are made, used and removed was NOT tested here, only that this is said ***\n\n");
      const error = await errorOf(ours.up(want, never));
      expect(error).toMatchObject({ code: "no8021q", message: "add vka.200 (VLAN 200 on vka): the kernel has no 8021q: modprobe 8021q" });
      expect(await names()).toEqual(before);
      return;
    }
    await ours.up(want, never);
    const link = await linkNamed(kernel(), "vka.200");
    expect(link).toMatchObject({ kind: "vlan", vlan: 200, parentIndex: a().index, alias: LINK_ALIAS, up: true });
    await ip("link", "set", "vka.200", "down");
    await ours.up(want, never);
    expect(await linkNamed(kernel(), "vka.200")).toMatchObject({ index: link.index, up: true });
    await using next = mode();
    expect(await next.held(never)).toEqual([{ key: "vka.200", describe: "VLAN 200 on vka" }]);
    await next.down(want.key, "leftover", never);
    await next.down(want.key, "leftover", never);
    expect(await names()).toEqual(before);
    expect(log.lines.splice(0).map(({ message }) => message)).toEqual(["link added", "link removed"]);
  });

  it("leaves a macvlan of somebody alone that has the name, and even our alias", async () => {
    await ip("link", "add", "link", "vka", "name", "vka.200", "type", "macvlan");
    onTestFinished(async () => void (await ip("link", "del", "vka.200")));
    await ip("link", "set", "vka.200", "alias", LINK_ALIAS);
    const before = await linkNamed(kernel(), "vka.200");
    await using ours = mode();
    await expect(ours.up(want, never)).rejects.toMatchObject({ code: "taken", message: expect.stringContaining("a link of kind macvlan") as string });
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

  /** The links that a test leaves behind are no concern of the next. */
  function removedAfterwards(name: string): void {
    onTestFinished(async () => {
      const left = (await links()).find((link) => link.name === name);
      if (left !== undefined) await kernel().removeLink(left.index, never);
    });
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
    const told = await waitFor(() => events.findLast(({ link, gone }) => !gone && link.alias !== ""), 2000, "the link with its alias");
    expect(told.link).toEqual(await linkNamed(kernel(), "vkmac"));
    await kernel().removeLink(told.link.index, never);
    await waitFor(() => events.some(({ gone, link }) => gone && link.index === told.link.index && link.alias === LINK_ALIAS), 2000, "the link to be gone");
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
