import { expect, test } from "vitest";
import { LINK_ALIAS } from "../../src/modes/link-parent.js";
import { LinkBench } from "./link-bench.js";

const ETH0 = 2;
const signal = new AbortController().signal;

test("a macvlan takes nothing from routers, also one of an earlier life that was set down; a VLAN does as the node has it", async () => {
  await using bench = new LinkBench();
  const earlier = bench.macvlan(2);
  bench.kernel.addLink({ name: earlier.key, kind: "macvlan", mac: earlier.vlan === undefined ? earlier.mac : undefined, parentIndex: ETH0, alias: LINK_ALIAS, up: false });
  for (const want of [bench.macvlan(1), earlier, bench.want(200)]) await bench.mode.up(want, signal);
  expect([...bench.kernel.deafToRouters]).toEqual(["vip-1", "vip-2"]);
});

test("a macvlan that somebody else made listens to routers as they had it", async () => {
  await using bench = new LinkBench();
  const want = bench.macvlan(1);
  bench.kernel.addLink({ name: want.key, kind: "macvlan", mac: want.vlan === undefined ? want.mac : undefined, parentIndex: ETH0, alias: "theirs" });
  await bench.mode.up(want, signal);
  expect([...bench.kernel.deafToRouters]).toEqual([]);
});

test("where the kernel cannot be told, the links are made, and it is said once what to set", async () => {
  await using bench = new LinkBench();
  bench.kernel.mayRefuseRouters = false;
  for (const n of [1, 2]) await bench.mode.up(bench.macvlan(n), signal);
  const warnings = bench.log.lines.filter(({ level }) => level === "warn");
  expect(warnings).toEqual([{ level: "warn", link: "vip-1", message: expect.stringContaining("net.ipv6.conf.default.accept_ra=0") as string }]);
  expect(bench.kernel.linkList.map(({ name }) => name)).toEqual(expect.arrayContaining(["vip-1", "vip-2"]));
});
