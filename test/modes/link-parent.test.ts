import { describe, expect, test } from "vitest";
import { beforeOf, isOurAlias, LINK_ALIAS, restoreParent } from "../../src/modes/link-parent.js";
import type { VipMode } from "../../src/core/mode.js";
import type { ArpConf } from "../../src/ports/kernel.js";
import { LinkBench } from "./link-bench.js";

const ETH0 = 2;
const ALL = 0;
const LOUD: ArpConf = { arpIgnore: 0, arpAnnounce: 0 };
const QUIET: ArpConf = { arpIgnore: 1, arpAnnounce: 2 };
const SERVICES = ["services"] as const;
const signal = new AbortController().signal;

async function up(bench: LinkBench, mode: VipMode<"link">, ...ns: readonly number[]): Promise<void> {
  for (const n of ns) await mode.up(bench.macvlan(n), signal);
}

async function down(bench: LinkBench, mode: VipMode<"link">, n: number): Promise<void> {
  await mode.down(bench.macvlan(n).key, "unwanted", signal);
}

function eth0(bench: LinkBench): ArpConf | undefined {
  return bench.kernel.arpConfs.get(ETH0);
}

describe("the link below a macvlan, where it is not ours to change", () => {
  test("is told of once while it answers for the macvlan's addresses, and stays as it is", async () => {
    await using bench = new LinkBench();
    await up(bench, bench.mode, 1, 2, 1);
    expect(bench.answering).toEqual([["eth0", LOUD]]);
    expect(eth0(bench)).toBeUndefined();
    expect(bench.kernel.linkList.filter(({ kind }) => kind === "macvlan").map(({ alias }) => alias)).toEqual([LINK_ALIAS, LINK_ALIAS]);
    bench.kernel.arpConfs.set(ETH0, QUIET);
    await up(bench, bench.mode, 1);
    expect(bench.answering.slice(1)).toEqual([["eth0", undefined]]);
  });

  test("that cannot be looked at keeps nobody from a macvlan", async () => {
    await using bench = new LinkBench();
    bench.kernel.arpConf = async () => Promise.reject(new Error("EACCES: permission denied, open '/proc/sys/net/ipv4/conf/eth0/arp_ignore'"));
    await up(bench, bench.mode, 1);
    expect(bench.kernel.linkList.at(-1)?.name).toBe("vip-1");
    expect(bench.answering).toEqual([]);
  });

  test.each<readonly [string, number, ArpConf]>([
    ["by its own sysctls", ETH0, QUIET],
    ["by those of all links", ALL, { arpIgnore: 1, arpAnnounce: 2 }],
    ["and more than that", ETH0, { arpIgnore: 2, arpAnnounce: 2 }],
  ])("is no news where it does not answer, %s", async (_name, index, conf) => {
    await using bench = new LinkBench();
    bench.kernel.arpConfs.set(index, conf);
    await up(bench, bench.mode, 1);
    expect(bench.answering).toEqual([]);
  });
});

describe("the link below macvlans, with dhcp_manage_parent", () => {
  test("answers for its own addresses only while there are some, and then as before", async () => {
    await using bench = new LinkBench();
    bench.kernel.arpConfs.set(ETH0, { arpIgnore: 0, arpAnnounce: 1 });
    const mode = bench.reborn(SERVICES, true);
    await up(bench, mode, 1, 2);
    expect(eth0(bench)).toEqual(QUIET);
    expect(bench.answering).toEqual([]);
    await down(bench, mode, 1);
    expect(eth0(bench)).toEqual(QUIET);
    await down(bench, mode, 2);
    expect(eth0(bench)).toEqual({ arpIgnore: 0, arpAnnounce: 1 });
  });

  test("is put back by a later life, also where that does not manage it any more", async () => {
    await using bench = new LinkBench();
    await up(bench, bench.reborn(SERVICES, true), 1, 2);
    const next = bench.reborn();
    expect((await next.held(signal)).map(({ key }) => key)).toEqual(["vip-1", "vip-2"]);
    await down(bench, next, 2);
    expect(eth0(bench)).toEqual(QUIET);
    await down(bench, next, 1);
    expect(eth0(bench)).toEqual(LOUD);
  });

  test("is put back by a later life that made the last macvlan itself", async () => {
    await using bench = new LinkBench();
    await up(bench, bench.reborn(SERVICES, true), 1);
    const next = bench.reborn(SERVICES, true);
    await up(bench, next, 2);
    await down(bench, next, 1);
    await down(bench, next, 2);
    expect(eth0(bench)).toEqual(LOUD);
  });

  test("is left as somebody set it meanwhile", async () => {
    await using bench = new LinkBench();
    const mode = bench.reborn(SERVICES, true);
    await up(bench, mode, 1);
    bench.kernel.arpConfs.set(ETH0, { arpIgnore: 2, arpAnnounce: 2 });
    await down(bench, mode, 1);
    expect(eth0(bench)).toEqual({ arpIgnore: 2, arpAnnounce: 2 });
  });

  test("that was quiet before is not touched", async () => {
    await using bench = new LinkBench();
    bench.kernel.arpConfs.set(ALL, QUIET);
    const mode = bench.reborn(SERVICES, true);
    await up(bench, mode, 1);
    await down(bench, mode, 1);
    expect(eth0(bench)).toBeUndefined();
  });

  test("makes a macvlan of the time before anew, for it does not say how the link was", async () => {
    await using bench = new LinkBench();
    await up(bench, bench.mode, 1);
    const [old] = bench.kernel.linkList.slice(-1);
    const mode = bench.reborn(SERVICES, true);
    await up(bench, mode, 1);
    expect(bench.kernel.linkList.filter(({ name }) => name === "vip-1").map(({ index }) => index)).not.toEqual([old?.index]);
    await down(bench, mode, 1);
    expect(eth0(bench)).toEqual(LOUD);
  });

  test("is not put back while a macvlan comes as the last one goes", async () => {
    await using bench = new LinkBench();
    const mode = bench.reborn(SERVICES, true);
    await up(bench, mode, 1);
    await Promise.all([down(bench, mode, 1), up(bench, mode, 2)]);
    expect(eth0(bench)).toEqual(QUIET);
    await down(bench, mode, 2);
    expect(eth0(bench)).toEqual(LOUD);
  });

  test("is put back by what removes leftovers", async () => {
    await using bench = new LinkBench();
    await up(bench, bench.reborn(SERVICES, true), 1);
    const macvlan = bench.kernel.linkList.at(-1);
    if (macvlan === undefined) throw new Error("no macvlan");
    expect(await restoreParent(bench.kernel, macvlan, signal)).toBeUndefined(); // it is still there
    await bench.kernel.removeLink(macvlan.index, signal);
    expect((await restoreParent(bench.kernel, macvlan, signal))?.name).toBe("eth0");
    expect(eth0(bench)).toEqual(LOUD);
  });
});

test.each<readonly [string, boolean, ArpConf | undefined]>([
  [LINK_ALIAS, true, undefined],
  [`${LINK_ALIAS}; below: arp_ignore 0, arp_announce 1`, true, { arpIgnore: 0, arpAnnounce: 1 }],
  [`${LINK_ALIAS}; below: arp_ignore x, arp_announce 1`, false, undefined],
  [`${LINK_ALIAS}, too`, false, undefined],
  ["; below: arp_ignore 0, arp_announce 1", false, undefined],
  ["uplink", false, undefined],
])("the alias %j: ours: %s", (alias, ours, before) => {
  expect([isOurAlias(alias), beforeOf(alias)]).toEqual([ours, before]);
});
