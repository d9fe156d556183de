// bfd: the worst gap between the packets of a session while the main thread is as busy as with 5,000 Services that change all the time, against the
// time after which the peer gives up. `thread`: as in the executable; `loop`: in the main thread, for comparison.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startBfdThread } from "../../src/cli/bfd.js";
import { BfdThread } from "../../src/cli/bfd-thread.js";
import { serviceKey } from "../../src/core/model.js";
import { PlanMemo } from "../../src/core/plan-memo.js";
import { plan } from "../../src/core/plan.js";
import { emptyWorld, type World } from "../../src/core/world.js";
import type { BfdTiming } from "../../src/lib/bgp-peer.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { createClock } from "../../src/linux/clock.js";
import { createNative } from "../../src/linux/native.js";
import { createRandom } from "../../src/linux/random.js";
import { createUdp } from "../../src/linux/udp.js";
import { BfdSessions } from "../../src/modes/bfd.js";
import type { Bfd, BfdTarget } from "../../src/ports/bfd.js";
import type { Udp } from "../../src/ports/udp.js";
import { PLAN_CONFIG, readyEndpoints } from "../core/given.js";
import { fakeLink } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";
import { fakeService } from "../fakes/service.js";
import { inNamespace, run } from "../lab/command.js";
import { LabProcess } from "../lab/process.js";
import { figure, progress } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";

const NS = "bfd-peer";
const HERE = "10.93.0.1" as IpAddress;
const THERE = "10.93.0.2" as IpAddress;
const SERVICES = 5000;

type Place = "thread" | "loop";

/** What a process says at its end. */
interface Said {
  /** Longest time between two packets of the other side while up, ms. */
  readonly worstGapMs: number;
  /** How often the session went down. */
  readonly downs: number;
  readonly up: boolean;
  /** By how much the main thread was late at worst, ms. */
  readonly loopLateMs: number;
}

const clock = createClock();
const random = createRandom();

function address(index: number): IpAddress {
  const parsed = parseIp(`10.100.${index >> 8}.${index & 255}`);
  if (parsed === undefined) throw new Error(`no address for Service ${index}`);
  return parsed;
}

function worldOf(count: number): World {
  const services = Array.from({ length: count }, (_, index) => fakeService({ name: `service-${index}`, resourceVersion: String(index), loadBalancerIP: address(index) }));
  return {
    ...emptyWorld("n1"),
    links: new Map([["eth0", fakeLink(2, "eth0")]]),
    defaultLink: "eth0",
    services: new Map(services.map((one) => [serviceKey(one), one])),
    endpoints: readyEndpoints(services),
  };
}

/** Parses the list of all Services as the API sends it and plans them all anew, again and again, with one turn of the loop in between. */
function beBusy(): void {
  const world = worldOf(SERVICES);
  const managed = Array.from({ length: 6 }, (_, i) => ({ manager: `controller-${i}`, operation: "Update", fieldsV1: { "f:status": { "f:loadBalancer": { "f:ingress": {} } } } }));
  const items = [...(world.services ?? new Map<string, object>()).values()].map((one) => ({ ...one, metadata: { managedFields: managed } }));
  const text = JSON.stringify({ items });
  const turn = (): void => {
    JSON.parse(text);
    plan(world, { ...PLAN_CONFIG, iface: "eth0" }, new PlanMemo());
    setImmediate(turn);
  };
  turn();
}

/** Counts the gaps between datagrams that came while `counted()`. */
function watching(udp: Udp, seen: (gapMs: number) => void): Udp {
  let last: number | undefined;
  return {
    connect: (route) => udp.connect(route),
    receive: (local, onDatagram) =>
      udp.receive(local, (datagram) => {
        const now = clock.now();
        if (last !== undefined) seen(now - last);
        last = now;
        onDatagram(datagram);
      }),
  };
}

/** One side, in a process of its own: says at SIGTERM what it saw. */
function side(place: Place, timing: BfdTiming, { target, busy }: { readonly target: BfdTarget; readonly busy: boolean }): void {
  const log = new FakeLog();
  let worstGapMs = 0;
  let downs = 0;
  let loopLateMs = 0;
  let upSince: number | undefined;
  const udp = watching(createUdp({ native: createNative(), log, random }), (gapMs) => {
    // Not the slow packets of the start, nor the first of the fast ones.
    if (upSince !== undefined && clock.now() - upSince > 3000) worstGapMs = Math.max(worstGapMs, gapMs);
  });
  const worker = (): string => readFileSync("dist/work/bfd-worker.cjs", "utf8");
  const bfd: Bfd = place === "loop" ? new BfdSessions({ clock, random, log, udp }) : new BfdThread({ clock, log, start: (listener) => startBfdThread(worker(), listener) });
  const session = bfd.open(target, timing, ({ state }) => {
    if (state === "Up") {
      upSince ??= clock.now();
      process.stdout.write("up\n");
    } else if (state === "Down") downs += 1;
  });
  let last = clock.now();
  const timer = setInterval(() => {
    loopLateMs = Math.max(loopLateMs, clock.now() - last - 10);
    last = clock.now();
  }, 10);
  process.once("SIGTERM", () => {
    clearInterval(timer);
    const said: Said = { worstGapMs, downs, up: session.report().state === "Up", loopLateMs };
    process.stdout.write(`${JSON.stringify(said)}\n`, () => process.exit(0));
  });
  if (busy) beBusy();
}

async function stopped(one: LabProcess): Promise<Said> {
  await one.stop();
  const [said] = one.logs();
  if (said === undefined) throw new Error(`${one.name} said nothing:\n${one.tail()}`);
  return said as unknown as Said;
}

async function measure(place: Place, timing: BfdTiming, ms: number): Promise<void> {
  const dir = process.env["TMPDIR"] ?? "/tmp";
  const argv = (role: string): string[] => [process.execPath, "--disable-warning=ExperimentalWarning", process.argv[1] ?? "", "--side", role, JSON.stringify(timing)];
  const name = `${place}-${timing.transmitMs}-${process.pid}`;
  await using peer = await LabProcess.start("peer", join(dir, `vip-bench-bfd-peer-${name}.log`), inNamespace(NS, argv("peer")));
  await using subject = await LabProcess.start(place, join(dir, `vip-bench-bfd-${name}.log`), argv(place));
  await Promise.all([peer.waitFor(/^up$/, 20_000), subject.waitFor(/^up$/, 20_000)]);
  await sleep(ms);
  const [theirs, ours] = await Promise.all([stopped(peer), stopped(subject)]);
  await run(["rm", peer.logFile, subject.logFile]);
  const detectMs = timing.multiplier * timing.transmitMs;
  const more = { place, intervalMs: timing.transmitMs, multiplier: timing.multiplier, services: SERVICES, seconds: ms / 1000 };
  figure("bfd.worstGap", theirs.worstGapMs, "ms", { ...more, budget: detectMs, downs: theirs.downs, upAtEnd: theirs.up, loopLateMs: Math.round(ours.loopLateMs) });
}

async function main(): Promise<void> {
  const { choose } = benchOptions();
  const setUp = `ip link set lo up; ip netns add ${NS}; ip link add vbfd type veth peer name eth0 netns ${NS}; ip addr add ${HERE}/24 dev vbfd; ip link set vbfd up`;
  await run(["sh", "-ec", `${setUp}; ip -n ${NS} addr add ${THERE}/24 dev eth0; ip -n ${NS} link set eth0 up`]);
  for (const interval of [300, 50]) {
    for (const place of ["thread", "loop"] as const) {
      progress(`${interval} x 3, ${place}`);
      await measure(place, { receiveMs: interval, transmitMs: interval, multiplier: 3 }, choose(20_000, 8_000));
    }
  }
}

const at = process.argv.indexOf("--side");
if (at === -1) await main();
else {
  const role = process.argv[at + 1] ?? "";
  const timing = JSON.parse(process.argv[at + 2] ?? "{}") as BfdTiming;
  if (role === "peer") side("loop", timing, { target: { address: HERE, iface: "eth0", local: THERE, multihop: false }, busy: false });
  else side(role === "thread" ? "thread" : "loop", timing, { target: { address: THERE, iface: "vbfd", local: HERE, multihop: false }, busy: true });
}
