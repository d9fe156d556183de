// keepalived: the same incidents as in failover, with keepalived in place of vip: what a client may expect of the usual way to do it.
import { setTimeout as sleep } from "node:timers/promises";
import { VIP } from "../lab/cluster.js";
import type { Keepalived } from "../lab/keepalived.js";
import { Lab } from "../lab/lab.js";
import { interrupt, repeat, type Interruption } from "./lib/interrupt.js";
import { benchOptions } from "./lib/options.js";

const MASTER = "n1";
const BACKUP = "n2";
const SETTLE_MS = 1500;

/** A pair of keepalived, n1 the master. */
async function pair(lab: Lab, fast: boolean): Promise<readonly [Keepalived, Keepalived]> {
  const master = await lab.keepalived(MASTER, { vip: VIP, priority: 150, fast });
  await lab.waitFor(async () => (await lab.holders(VIP)).includes(MASTER), 10_000, `keepalived on ${MASTER} to be master`);
  const backup = await lab.keepalived(BACKUP, { vip: VIP, priority: 100, fast });
  await sleep(SETTLE_MS);
  return [master, backup];
}

const INCIDENTS: Readonly<Record<string, (lab: Lab, master: Keepalived) => Promise<void>>> = {
  SIGTERM: async (_lab, master) => master.process.kill("SIGTERM"),
  "kill -9": async (_lab, master) => await master.crash(),
  "node cut off": async (lab) => await lab.cutLan(MASTER),
};

/** One incident on a new pair. */
async function once(lab: Lab, fast: boolean, incident: (lab: Lab, master: Keepalived) => Promise<void>): Promise<Interruption> {
  const [master, backup] = await pair(lab, fast);
  const seen = await interrupt(lab, { vip: VIP, holder: MASTER, inject: async () => await incident(lab, master) });
  await Promise.all([master.crash(), backup.crash()]);
  await lab.healLan(MASTER);
  for (const node of [MASTER, BACKUP]) await lab.exec(node, ["ip", "addr", "del", `${VIP}/32`, "dev", "eth0"], { mayFail: true });
  return seen;
}

const { choose } = benchOptions();
await using lab = await Lab.create({ nodes: 2 });
await lab.serve({ heldOnly: true });
for (const fast of [false, true]) {
  for (const [event, incident] of Object.entries(INCIDENTS)) {
    await repeat({
      runs: choose(3, 1),
      name: "keepalived",
      parameters: { event, settings: fast ? "VRRPv3 100 ms" : "VRRPv2 1 s" },
      once: async () => await once(lab, fast, incident),
    });
  }
}
