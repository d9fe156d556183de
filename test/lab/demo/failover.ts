import { setTimeout as sleep } from "node:timers/promises";
import type { AddressChange } from "../address-log.js";
import type { KubeLease } from "../kube-client.js";
import type { ProbeResult } from "../probe.js";
import { monotonicMs } from "../wait.js";
import { ms } from "./paint.js";
import { DemoError, type Stage } from "./stage.js";

/** How a VIP went from one node to another. Times are ms since the signal. */
export interface Failover {
  readonly from: string;
  readonly to: string;
  /** The new owner's name was written into the Lease. */
  readonly named: number;
  /** The old node's kernel no longer had the address. */
  readonly dropped: number;
  /** The new node's kernel had it. */
  readonly taken: number;
  /** The client's probe heard the new node first. */
  readonly heard: number;
  readonly probe: ProbeResult;
}

const PROTOCOLS = ["udp", "icmp", "tcp"] as const;
/** Longer than a Lease (5 s) and what comes after it. */
const PATIENCE_MS = 10_000;
/** What the probe is given before the signal and after the take-over. */
const CALM_MS = 800;
/** More silence than this at the end means that the VIP does not answer. */
const SILENT_MS = 250;

/** Sends the owner's `vip` a signal while the client probes, and measures what happens. */
export async function failOver(stage: Stage, from: string, signal: "SIGKILL" | "SIGTERM"): Promise<Failover> {
  const { cluster, vip } = stage;
  const owner = stage.processOf(from);
  if (owner === undefined) throw new DemoError(`no vip runs on ${from}`);
  await using probe = await cluster.lab.probe(vip);
  await sleep(CALM_MS);
  const struck = monotonicMs();
  owner.kill(signal);
  const to = await cluster.lab.waitFor(async () => {
    const holders = await cluster.lab.holders(vip);
    const [holder] = holders;
    return holders.length === 1 && holder !== from ? holder : undefined;
  }, PATIENCE_MS, `${vip} on exactly one node, another than ${from}`);
  await sleep(CALM_MS);
  const result = await probe.stop();
  const first = (node: string, what: AddressChange["what"]): number => {
    const change = stage.addresses.of(node, vip, what).find(({ at }) => at >= struck);
    if (change === undefined) throw new DemoError(`the kernel of ${node} never reported ${vip} as ${what}`);
    return change.at - struck;
  };
  const heard = result.udp.nodes.find(({ node, at }) => node === to && at >= struck);
  if (heard === undefined) throw new DemoError(`the client never heard ${to}: ${JSON.stringify(result.udp.nodes)}`);
  const failover = { from, to, named: (await leaseTaken(stage, to)) - struck, dropped: first(from, "removed"), taken: first(to, "added"), heard: heard.at - struck, probe: result };
  check(failover, signal);
  return failover;
}

/** When the Lease got the name of its present holder, by the monotonic clock. */
async function leaseTaken({ cluster }: Stage, holder: string): Promise<number> {
  interface Timed extends KubeLease { readonly spec?: NonNullable<KubeLease["spec"]> & { readonly acquireTime?: string } }
  const lease: Timed = await cluster.api.client.lease("plndr-svcs-lock");
  if (lease.spec?.holderIdentity !== holder) throw new DemoError(`the Lease names ${lease.spec?.holderIdentity}, and ${holder} holds the VIP`);
  return new Date(lease.spec.acquireTime ?? "").getTime() - Date.now() + monotonicMs();
}

function check({ from, to, dropped, taken, probe }: Failover, signal: string): void {
  const silent = PROTOCOLS.filter((protocol) => probe[protocol].silentAtEndMs > SILENT_MS);
  if (silent.length > 0) throw new DemoError(`after ${signal} to ${from} the VIP does not answer ${silent.join(", ")} on ${to}`);
  if (signal === "SIGKILL" && taken < dropped) throw new DemoError(`${to} had the VIP ${ms(dropped - taken)} before the kernel of ${from} dropped it`);
}

/** What happened when, a line each, in order. */
export function timeline(failover: Failover, signal: "SIGKILL" | "SIGTERM", vip: string): string[] {
  const { from, to, named, dropped, taken, heard } = failover;
  const gone = signal === "SIGKILL" ? `its kernel dropped ${vip} by itself: the lifetime was over` : `removes ${vip}: the Lease names its heir`;
  const rows = [
    { at: 0, who: from, what: signal === "SIGKILL" ? "gets SIGKILL: no time to clean up anything" : "gets SIGTERM, and gives the Lease up" },
    { at: dropped, who: from, what: gone },
    { at: named, who: to, what: "writes its name into the Lease" },
    { at: taken, who: to, what: `adds ${vip} to its network card, and announces it by gratuitous ARP` },
    { at: heard, who: "client", what: `gets the first answer of ${to}` },
  ].sort((a, b) => a.at - b.at);
  return rows.map(({ at, who, what }) => `${ms(at).padStart(9)}  ${who.padEnd(6)}  ${what}`);
}

/** The longest silence by protocol. */
export function gaps({ probe }: Failover): string {
  return PROTOCOLS.map((protocol) => `${protocol.toUpperCase()} ${ms(probe[protocol].gapMs)}`).join(", ");
}
