import { expect, test } from "vitest";
import type { VipMode } from "../../src/core/mode.js";
import { mappingKey, vipKey, type Mapping, type ModeName, type Vip, type VipKey } from "../../src/core/model.js";
import { ModeSyncs } from "../../src/core/mode-syncs.js";
import type { Plan } from "../../src/core/plan-model.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { FakeClock, flush } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";

const NOTHING: Plan["wants"] = { arp: new Map(), bgp: new Map(), dhcp: new Map(), dnat: new Map(), link: new Map(), upnp: new Map() };

/** A mode that writes down what it is told; `down` waits where it is told to. */
function modeOf<M extends ModeName>(name: M, ops: string[], downs: (key: string) => Promise<void> = async () => undefined): VipMode<M> {
  return {
    name,
    up: async (want) => void ops.push(`up ${want.key}`),
    down: async (key) => {
      await downs(key);
      ops.push(`down ${key}`);
    },
    held: async () => [],
    [Symbol.asyncDispose]: async () => undefined,
  };
}

test("an address goes when its own ports are closed, whatever the router of another one does", async () => {
  const ops: string[] = [];
  let answer: () => void = () => undefined;
  const hangs = new Promise<void>((resolve) => (answer = resolve));
  await using syncs = new ModeSyncs({
    clock: new FakeClock(),
    log: new FakeLog(),
    random: { float: () => 0 },
    modes: {
      arp: () => modeOf("arp", ops),
      link: () => modeOf("link", ops),
      dhcp: () => modeOf("dhcp", ops),
      dnat: () => modeOf("dnat", ops),
      upnp: () => modeOf("upnp", ops, async (key) => await (key.startsWith("eth1") ? hangs : undefined)),
    },
    changed: () => undefined,
    vipReported: () => undefined,
    vipFailed: () => undefined,
    leaseSeen: () => undefined,
    mapped: () => undefined,
    letGo: () => "unwanted",
    whyGone: () => "unwanted",
    isAskedFor: () => false,
  });
  const vips = ["eth0", "eth1"].map((iface) => vipKey(iface, parseIp("192.0.2.10") as IpAddress));
  const ports = vips.map((vip) => mappingKey(vip, { protocol: "TCP", port: 80 }));
  const keyed = <K, V>(keys: readonly K[], value: (key: K) => V): ReadonlyMap<K, V> => new Map(keys.map((key) => [key, value(key)]));
  syncs.set({ ...NOTHING, arp: keyed(vips, (key: VipKey) => ({ key }) as Vip), upnp: keyed(ports, (key) => ({ key }) as Mapping) });
  await flush();
  ops.splice(0);
  syncs.set(NOTHING);
  await flush();
  expect(ops).toEqual([`down ${ports[0]}`, `down ${vips[0]}`]);
  answer();
  await flush();
  expect(ops.slice(2)).toEqual([`down ${ports[1]}`, `down ${vips[1]}`]);
});
