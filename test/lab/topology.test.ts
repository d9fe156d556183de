import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Lab } from "./lab.js";
import { labNamespaces } from "./reap.js";
import { answeringNode, waitForAnswer } from "./service-plane.js";
import { waitFor } from "./wait.js";

const VIP = "10.77.0.200";

async function pings(lab: Lab, from: string, to: string): Promise<boolean> {
  return (await lab.exec(from, ["ping", "-c1", "-W1", to], { mayFail: true })).code === 0;
}

/** A name that did not resolve is asked for again after up to a second. */
async function pingsSoon(lab: Lab, from: string, to: string): Promise<boolean> {
  return await waitFor(async () => await pings(lab, from, to), 5_000, `a ping from ${from} to ${to}`);
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // ESRCH: it is gone
  }
}

describe("the network", () => {
  test("is up at once and everybody reaches everybody", async () => {
    const start = performance.now();
    await using lab = await Lab.create();
    console.log(JSON.stringify({ figure: "lab-create", nodes: 3, ms: Math.round(performance.now() - start) }));
    const targets = ["10.77.0.1", "fd77::1", "10.77.0.100", "fd77::100", ...lab.nodes.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])];
    const reached = await Promise.all(["n1", "n3", "client", "lab-rt"].flatMap((from) => targets.map(async (to) => [from, to, await pings(lab, from, to)])));
    expect(reached.filter(([, , ok]) => ok !== true)).toEqual([]);
    expect(reached).toHaveLength(40);
    expect(await pings(lab, "n2", "10.78.0.1")).toBe(true);
    expect(await pings(lab, "lab-api", lab.node("n3").apiIpv4)).toBe(true);
  });

  test("fails and heals apart: the LAN and the way to the API", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    await lab.cutLan("n1");
    expect([await pings(lab, "client", "10.77.0.11"), await pings(lab, "n1", "10.78.0.1"), await pings(lab, "client", "10.77.0.12")]).toEqual([false, true, true]);
    await lab.healLan("n1");
    expect(await pingsSoon(lab, "client", "10.77.0.11")).toBe(true);
    await lab.cutApi("n1");
    expect([await pings(lab, "client", "10.77.0.11"), await pings(lab, "n1", "10.78.0.1")]).toEqual([true, false]);
    await lab.healApi("n1");
    expect(await pingsSoon(lab, "n1", "10.78.0.1")).toBe(true);
  });

  test("takes the carrier away where that is asked for", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const flags = async () => (await lab.exec("n1", ["ip", "-br", "link", "show", "dev", "eth0"])).stdout;
    await lab.cutLan("n1", { carrier: true });
    await lab.waitFor(async () => (await flags()).includes("NO-CARRIER"), 1_000, "eth0 without carrier");
    await lab.healLan("n1");
    await lab.waitFor(async () => (await flags()).includes("LOWER_UP"), 1_000, "eth0 with carrier");
    expect(await pingsSoon(lab, "client", "fd77::11")).toBe(true);
  });

  test("drops in one direction only", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    const heal = await lab.drop({ network: "api", from: "n1", to: "api", match: "ip protocol icmp" });
    expect([await pings(lab, "n1", "10.78.0.1"), await pings(lab, "n2", "10.78.0.1")]).toEqual([false, true]);
    await heal();
    expect(await pingsSoon(lab, "n1", "10.78.0.1")).toBe(true);
  });
});

describe("dispose", () => {
  test("leaves no process and no namespace, and another lab can follow", async () => {
    const pids: number[] = [];
    for (const round of [1, 2]) {
      await using lab = await Lab.create({ nodes: 1 });
      const plain = await lab.spawn("n1", ["sleep", "1000"]);
      // Ignores SIGTERM, forked twice, of a session of its own: only its namespace tells whose it is.
      const forked = await lab.spawn("n1", ["sh", "-c", "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; sleep 1000' & sleep 0.05"], { name: "forked" });
      pids.push(plain.pid, Number(await forked.waitFor(/^\d+$/)));
      expect(pids.slice(-2).map(alive)).toEqual([true, true]);
      expect(pids).toHaveLength(round * 2);
    }
    await waitFor(() => !pids.some(alive), 1_000, "process 1 to reap what was forked twice");
    expect(labNamespaces()).toEqual([]);
  });

  test("of an earlier lab that was forgotten is made up for by the next one", async () => {
    const forgotten = await Lab.create({ nodes: 1 });
    const left = await forgotten.spawn("n1", ["sleep", "1000"]);
    await using lab = await Lab.create({ nodes: 1 });
    rmSync(forgotten.dir, { recursive: true });
    expect(alive(left.pid)).toBe(false);
    expect(await pings(lab, "client", "10.77.0.11")).toBe(true);
  });
});

describe("a program", () => {
  test("has the pid of the handle, tells its output and its end", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const program = await lab.spawn("n1", ["sh", "-c", 'echo pid $$; echo \'{"a":1}\'; sleep 0.2; exit 3']);
    expect(await program.waitFor(/^pid/)).toBe(`pid ${program.pid}`);
    expect(await program.exited).toEqual({ code: 3, signal: null });
    expect(program.logs()).toEqual([{ a: 1 }]);
    await expect(program.waitFor(/never/)).rejects.toThrow(/ended .*"code":3/);
  });
});

describe("the service plane", () => {
  test("leads every address of the ranges to the node's own pod, IPv4 and IPv6", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    await lab.serve();
    await lab.exec("n2", ["ip", "addr", "add", `${VIP}/32`, "dev", "eth0"]);
    await lab.exec("n1", ["ip", "addr", "add", "fd77::1:5/128", "dev", "eth0", "nodad"]);
    expect(await waitForAnswer(lab, VIP)).toBe("n2");
    expect(await answeringNode(lab, "fd77::1:5")).toBe("n1");
    expect(await answeringNode(lab, "10.77.0.201")).toBeUndefined();
    expect(await lab.holders(VIP)).toEqual(["n2"]);
  });

  test("serves an address that no interface has, as kube-proxy does, unless told otherwise", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    await lab.serve();
    await lab.exec("client", ["ip", "route", "add", "10.99.0.0/16", "via", "10.77.0.11"]);
    expect(await answeringNode(lab, "10.99.1.2")).toBe("n1");
    await lab.serve({ heldOnly: true });
    expect(await answeringNode(lab, "10.99.1.2")).toBeUndefined();
  });
});

describe("the probe", () => {
  test("measures a known outage of 300 ms in all three protocols", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    await lab.serve({ heldOnly: true });
    await lab.exec("n1", ["ip", "addr", "add", `${VIP}/32`, "dev", "eth0"]);
    const probe = await lab.probe(VIP);
    await sleep(400);
    const down = lab.now();
    await lab.exec("n1", ["sh", "-c", `ip addr del ${VIP}/32 dev eth0; sleep 0.3; ip addr add ${VIP}/32 dev eth0`]);
    const outage = lab.now() - down;
    await sleep(400);
    const result = await probe.stop();
    for (const protocol of ["udp", "icmp", "tcp"] as const) {
      const { gapMs, gapStart, answered, sent, silentAtEndMs } = result[protocol];
      console.log(JSON.stringify({ figure: "probe-gap", protocol, outage: Math.round(outage), gapMs: Math.round(gapMs), sent, answered }));
      expect(gapMs).toBeGreaterThan(290);
      expect(gapMs).toBeLessThan(outage + 60);
      expect(Math.abs(gapStart - down)).toBeLessThan(80);
      expect(silentAtEndMs).toBeLessThan(80);
    }
    expect(result.udp.nodes.map(({ node }) => node)).toEqual(["n1"]);
    expect(result.tcp.nodes.map(({ node }) => node)).toEqual(["n1"]);
  });

  test("sees a move from node to node, also by IPv6", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    await lab.serve();
    const vip = "fd77::1:7";
    await lab.exec("n1", ["ip", "addr", "add", `${vip}/128`, "dev", "eth0", "nodad"]);
    const probe = await lab.probe(vip);
    await sleep(200);
    await lab.exec("n1", ["ip", "addr", "del", `${vip}/128`, "dev", "eth0"]);
    await lab.exec("n2", ["ip", "addr", "add", `${vip}/128`, "dev", "eth0", "nodad"]);
    await lab.exec("client", ["ip", "neigh", "flush", "dev", "eth0"]);
    await sleep(300);
    const { tcp, icmp } = await probe.stop();
    expect(tcp.nodes.map(({ node }) => node)).toEqual(["n1", "n2"]);
    expect(icmp.silentAtEndMs).toBeLessThan(100);
  });

  test("is an error when there never was an answer", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const probe = await lab.probe(VIP);
    await sleep(100);
    await expect(probe.stop()).rejects.toThrow("10.77.0.200 never answered udp, icmp, tcp");
  });
});

describe("the answerers", () => {
  test("shows one MAC for one holder, two for two, and how long they were two", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    const vips = [VIP, "10.77.0.201", "10.77.0.202"];
    await lab.exec("n1", ["sh", "-c", `ip addr add ${VIP}/32 dev eth0; ip addr add 10.77.0.201/32 dev eth0`]);
    const answerers = await lab.answerers(vips, { intervalMs: 10 });
    await sleep(200);
    await lab.exec("n2", ["sh", "-c", `ip addr add ${VIP}/32 dev eth0; sleep 0.2; ip addr del ${VIP}/32 dev eth0`]);
    await sleep(200);
    const { perVip, worstOverlapMs } = await answerers.stop();
    const [two, one, none] = perVip;
    const [n1, n2] = [await lab.mac("n1"), await lab.mac("n2")];
    expect(Object.keys(two?.macs ?? {}).sort()).toEqual([n1, n2].sort());
    expect(Object.keys(one?.macs ?? {})).toEqual([n1]);
    expect([one?.overlapMs, none?.overlapMs, none?.answeredRounds]).toEqual([0, 0, 0]);
    expect(worstOverlapMs).toBe(two?.overlapMs);
    expect(worstOverlapMs).toBeGreaterThan(180);
    expect(worstOverlapMs).toBeLessThan(280);
    expect(two?.holders.map(({ macs }) => macs)).toEqual([n1, [n1, n2].sort().join("+"), n1]);
    expect(one?.longestGapMs).toBeLessThan(60);
  });

  test("asks for 1,000 addresses every 50 ms", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    const vips = Array.from({ length: 1_000 }, (_, at) => `10.99.${at >> 8}.${at & 255}`);
    const batch = vips.map((vip) => `addr add ${vip}/32 dev eth0`).join("\n");
    await lab.exec("n1", ["ip", "-batch", "-"], { input: batch });
    const answerers = await lab.answerers(vips, { intervalMs: 50 });
    await sleep(1_000);
    const { perVip, worstOverlapMs, refused, started, ended } = await answerers.stop();
    const rounds = perVip.reduce((sum, one) => sum + one.rounds, 0);
    const answered = perVip.reduce((sum, one) => sum + one.answeredRounds, 0);
    console.log(JSON.stringify({ figure: "answerers-rate", perSecond: Math.round(rounds / ((ended - started) / 1_000)), answered: answered / rounds, refused }));
    expect(worstOverlapMs).toBe(0);
    expect(answered / rounds).toBeGreaterThan(0.99);
    expect(rounds).toBeGreaterThan(10_000);
  });
});

describe("keepalived", () => {
  test("takes over on the second node when the first one stops", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    const first = await lab.keepalived("n1", { vip: VIP, priority: 150, fast: true });
    await waitFor(async () => (await lab.holders(VIP)).includes("n1"), 5_000, "n1 as master");
    await lab.keepalived("n2", { vip: VIP, priority: 100, fast: true });
    await first.stop();
    await waitFor(async () => (await lab.holders(VIP)).join() === "n2", 5_000, "n2 as the only master");
  });
});
