import { describe, expect, test } from "vitest";
import { messageOf } from "../../src/lib/errors.js";
import { KernelError } from "../../src/linux/errors.js";
import type { Link } from "../../src/ports/kernel.js";
import { LINK_ALIAS } from "../../src/modes/link-parent.js";
import { conforms } from "./conformance.js";
import { LinkBench } from "./link-bench.js";

const EOPNOTSUPP = 95;
const ETH0 = 2;
const signal = new AbortController().signal;

conforms("link", () => new LinkBench());

/** `eth0.200 on 2, vlan 200, up`. */
function shown(bench: LinkBench): readonly string[] {
  return bench.kernel.linkList
    .filter(({ index }) => index > ETH0)
    .map(({ name, parentIndex, vlan, up }) => `${name} on ${parentIndex}, vlan ${vlan}, ${up ? "up" : "down"}`);
}

/** A VLAN 200 on eth0 that somebody else made, changed by `part`. */
function foreign(bench: LinkBench, part: Partial<Link> = {}): Link {
  return bench.kernel.addLink({ name: "eth0.200", kind: "vlan", parentIndex: ETH0, vlan: 200, alias: "uplink", ...part });
}

describe("a link that is not there", () => {
  test("is added on its parent, with our mark", async () => {
    await using bench = new LinkBench();
    await bench.mode.up(bench.want(200), signal);
    expect(shown(bench)).toEqual(["eth0.200 on 2, vlan 200, up"]);
    expect(bench.kernel.linkList.at(-1)?.alias).toBe(LINK_ALIAS);
    expect(bench.log.lines).toEqual([{ level: "info", message: "link added", link: "eth0.200", parent: "eth0", vlan: 200 }]);
    await bench.mode.up(bench.want(200), signal);
    expect(bench.log.lines).toHaveLength(1);
    await bench.mode.down(bench.want(200).key, "unwanted", signal);
    expect(bench.log.lines.at(-1)).toEqual({ level: "info", message: "link removed", link: "eth0.200", reason: "unwanted" });
  });

  test("is not added where the parent is not there", async () => {
    await using bench = new LinkBench();
    const up = bench.mode.up(bench.want(200, "eth7"), signal);
    await expect(up).rejects.toMatchObject({ code: "missingParent", message: "add eth7.200 (VLAN 200 on eth7): there is no link eth7" });
    expect(shown(bench)).toEqual([]);
  });

  test("is not added where somebody has the same VLAN by another name", async () => {
    await using bench = new LinkBench();
    foreign(bench, { name: "storage" });
    const up = bench.mode.up(bench.want(200), signal);
    await expect(up).rejects.toMatchObject({ code: "taken", message: "add eth0.200 (VLAN 200 on eth0): that VLAN is there already as storage" });
    expect(shown(bench)).toEqual(["storage on 2, vlan 200, up"]);
  });

  test.each([
    { name: "no 8021q", text: "Unknown device type.", code: "no8021q", message: "add eth0.200 (VLAN 200 on eth0): the kernel has no 8021q: modprobe 8021q" },
    { name: "an old kernel that does not say why", text: "", code: "no8021q", message: "add eth0.200 (VLAN 200 on eth0): the kernel has no 8021q: modprobe 8021q" },
    { name: "a parent that takes no VLANs", text: "8021q: VLANs not supported on device", code: "ENOTSUP", message: "add: ENOTSUP: 8021q: VLANs not supported on device" },
  ])("cannot be added: $name", async ({ text, code, message }) => {
    await using bench = new LinkBench();
    bench.kernel.beforeVlan = () => {
      throw new KernelError("add", EOPNOTSUPP, text);
    };
    const error: unknown = await bench.mode.up(bench.want(200), signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message });
    // What the kernel said is told too.
    expect(messageOf(error)).toContain("ENOTSUP");
    expect(shown(bench)).toEqual([]);
  });
});

describe("a link of ours", () => {
  test("that was set down is set up", async () => {
    await using bench = new LinkBench();
    foreign(bench, { alias: LINK_ALIAS, up: false });
    await bench.mode.up(bench.want(200), signal);
    expect(shown(bench)).toEqual(["eth0.200 on 2, vlan 200, up"]);
  });

  test.each([
    { name: "another parent, which was renamed", part: { parentIndex: 77 } },
    { name: "another id", part: { vlan: 300 } },
  ])("that has $name is made anew", async ({ part }) => {
    await using bench = new LinkBench();
    const old = foreign(bench, { alias: LINK_ALIAS, ...part });
    await bench.mode.up(bench.want(200), signal);
    expect(shown(bench)).toEqual(["eth0.200 on 2, vlan 200, up"]);
    expect(bench.kernel.linkList.some(({ index }) => index === old.index)).toBe(false);
  });

  test("is shown with its parent, for the log", async () => {
    await using bench = new LinkBench();
    await bench.mode.up(bench.want(200), signal);
    expect(await bench.reborn().held(signal)).toEqual([{ key: "eth0.200", describe: "VLAN 200 on eth0" }]);
  });

  test("is nothing to a process that serves no Services", async () => {
    await using bench = new LinkBench();
    await bench.mode.up(bench.want(200), signal);
    expect(await bench.reborn(["control-plane"]).held(signal)).toEqual([]);
    expect(await bench.reborn(["control-plane", "services"]).held(signal)).toHaveLength(1);
  });
});

describe("a link that somebody else made", () => {
  test.each([{ up: true }, { up: false }])("is used where it is the VLAN that is asked for, and neither changed nor removed (up: $up)", async ({ up }) => {
    await using bench = new LinkBench();
    const link = foreign(bench, { up });
    await bench.mode.up(bench.want(200), signal);
    expect(await bench.mode.held(signal)).toEqual([]);
    await bench.mode.down(bench.want(200).key, "unwanted", signal);
    expect(bench.kernel.linkList.at(-1)).toBe(link);
  });

  test.each<{ readonly what: string; readonly part: Partial<Link> }>([
    { what: "VLAN 300 on eth0", part: { vlan: 300 } },
    { what: "VLAN 200 on lo", part: { parentIndex: 1 } },
    { what: "VLAN 200 on a link of another network namespace", part: { parentIndex: undefined } },
    { what: "a link of kind vlan", part: { vlan: undefined } },
    { what: "a link of kind dummy", part: { kind: "dummy", vlan: undefined, parentIndex: undefined } },
    { what: "a link of kind unknown", part: { kind: undefined, vlan: undefined } },
    // The alias alone is a text that anybody can write.
    { what: "a link of kind ipvlan", part: { kind: "ipvlan", vlan: undefined, alias: LINK_ALIAS } },
  ])("is left alone where it is $what, and said", async ({ what, part }) => {
    await using bench = new LinkBench();
    const link = foreign(bench, part);
    const up = bench.mode.up(bench.want(200), signal);
    await expect(up).rejects.toMatchObject({ code: "taken", message: `add eth0.200 (VLAN 200 on eth0): the name is taken by ${what}` });
    expect(await bench.mode.held(signal)).toEqual([]);
    await bench.mode.down(bench.want(200).key, "leftover", signal);
    expect(bench.kernel.linkList.at(-1)).toBe(link);
  });
});

describe("a link that is added between the look and our addition", () => {
  /** `make` runs once, just before our addition. */
  function racing(bench: LinkBench, make: () => void): void {
    bench.kernel.beforeVlan = () => {
      bench.kernel.beforeVlan = () => {};
      make();
    };
  }

  test("by another process of ours is taken as it is", async () => {
    await using bench = new LinkBench();
    racing(bench, () => foreign(bench, { alias: LINK_ALIAS }));
    await bench.mode.up(bench.want(200), signal);
    expect(shown(bench)).toEqual(["eth0.200 on 2, vlan 200, up"]);
    expect(await bench.mode.held(signal)).toHaveLength(1);
  });

  test("by somebody else, and is another, is said", async () => {
    await using bench = new LinkBench();
    racing(bench, () => foreign(bench, { vlan: 300 }));
    await expect(bench.mode.up(bench.want(200), signal)).rejects.toMatchObject({ code: "taken" });
    expect(shown(bench)).toEqual(["eth0.200 on 2, vlan 300, up"]);
  });

  test("in a second life at the same moment is one link", async () => {
    await using bench = new LinkBench();
    await Promise.all([bench.mode, bench.reborn()].map(async (mode) => mode.up(bench.want(200), signal)));
    expect(shown(bench)).toEqual(["eth0.200 on 2, vlan 200, up"]);
  });

  test("and gone again and added again is an error of the kernel, for a later try", async () => {
    await using bench = new LinkBench();
    let times = 0;
    bench.kernel.beforeVlan = () => {
      times += 1;
      throw Object.assign(new Error("add eth0.200: EEXIST"), { code: "EEXIST" });
    };
    await expect(bench.mode.up(bench.want(200), signal)).rejects.toMatchObject({ code: "EEXIST" });
    expect(times).toBe(2);
  });
});
