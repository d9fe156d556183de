import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Frr } from "./bgp-fixture.js";
import { startBird, type BirdDaemon } from "./bird.js";
import { Cluster } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { LabProcess } from "./process.js";
import { CLIENT_NS, ROUTER_NS } from "./topology.js";

/** Of the pods, on lo of the node, which serves it only while it is there. */
const VIP = "10.99.0.200";
const VIP6 = "fd99::200";
const CONTROL_PLANE = "10.99.0.201";
const VIPS: readonly string[] = [VIP, VIP6, CONTROL_PLANE];
const ENV = { vip_arp: "false", vip_interface: "lo", bgp_enable: "true", bgp_as: "64500", bgp_peers: "10.77.0.1:64501", bgp_attach_ip_to_interface: "true", bgp_graceful_shutdown: "300" };
/** With the control plane, and with a family that the session does not run over. */
const RESTARTING = { ...ENV, bgp_graceful_restart: "60", cp_enable: "true", address: CONTROL_PLANE, control_plane_health_check_address: "off", mpbgp_nexthop: "fixed", mpbgp_ipv4: "10.77.0.11", mpbgp_ipv6: "fd77::11" };
const PATIENCE_MS = 20_000;
/** Ten years, less a year. */
const YEARS_S = 9 * 365 * 86_400;

const BIRD = `
router id 10.77.0.1;
protocol device {}
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol kernel { ipv6 { export where source = RTS_BGP; }; }
protocol bgp node { local 10.77.0.1 as 64501; neighbor 10.77.0.11 as 64500; passive; error wait time 1,2; ipv4 { import all; export none; }; ipv6 { import all; export none; }; }
`;

/** FRR helps others to restart without being told to. */
const FRR = `
router bgp 64501
 bgp router-id 10.77.0.1
 no bgp ebgp-requires-policy
 neighbor 10.77.0.11 remote-as 64500
 neighbor 10.77.0.11 passive
`;

let cluster: Cluster;
let bird: BirdDaemon;

beforeAll(async () => {
  cluster = await Cluster.bare(1);
  const { lab, api } = cluster;
  await lab.serve({ heldOnly: true });
  // The client is to come by this router, although it is on the same network as the node.
  await lab.exec(ROUTER_NS, ["sh", "-ec", "for d in all eth0; do echo 0 >/proc/sys/net/ipv4/conf/$d/send_redirects; done"]);
  bird = await startBird(lab, { ns: ROUTER_NS, config: BIRD });
  await api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
  await api.client.createService(loadBalancer({ name: "pods6", ip: VIP6 }));
}, 60_000);
afterAll(async () => await cluster[Symbol.asyncDispose]());

/** Whether the router's kernel leads the VIP to the node. */
async function routed(): Promise<boolean> {
  return (await cluster.lab.exec(ROUTER_NS, ["ip", "route", "show", VIP])).stdout.includes("via 10.77.0.11");
}

/** For how long the node's kernel keeps the VIP, s; undefined: it has none. */
async function lifetime(): Promise<number | undefined> {
  return (await cluster.lab.addresses("n1", "lo")).find(({ local }) => local === VIP)?.validLifetime;
}

async function start(env: Readonly<Record<string, string>>): Promise<void> {
  await cluster.startVip("n1", { env });
  await served();
}

/** The router leads packets here, and the address is there for good. */
async function served(): Promise<void> {
  await cluster.lab.waitFor(async () => (await routed()) && ((await lifetime()) ?? 0) > YEARS_S, PATIENCE_MS, "the VIP on the node and at the router");
}

async function stop(): Promise<void> {
  expect(await cluster.vip("n1").stop("SIGTERM")).toEqual({ code: 0, signal: null });
}

async function nothingLeft(): Promise<void> {
  await cluster.lab.waitFor(async () => !(await routed()) && (await lifetime()) === undefined, PATIENCE_MS, "neither route nor address");
}

interface Upgrade {
  /** Of UDP and ICMP. */
  readonly lost: number;
  /** What the router's kernel did with routes to VIPs. */
  readonly moved: readonly string[];
  /** VIPs on the node while no process ran, each with its end. */
  readonly meanwhile: readonly string[];
}

/** A process is stopped, and another one started, under a probe; `up`: it has its session with the router. */
async function upgraded(env: Readonly<Record<string, string>>, name: string, up: () => Promise<boolean>): Promise<Upgrade> {
  const { lab } = cluster;
  // The first packet by this way, so that no neighbour is asked for within the measurement.
  await lab.exec(CLIENT_NS, ["ping", "-c", "1", "-W", "5", VIP]);
  const monitor = await lab.spawn(ROUTER_NS, ["ip", "-o", "monitor", "route"], { name: "monitor" });
  const probe = await lab.probe(VIP, { intervalMs: 10 });
  const begun = lab.now();
  await stop();
  const stoppedMs = Math.round(lab.now() - begun);
  const [there, left] = [await routed(), await lifetime()];
  const meanwhile = (await lab.addresses("n1", "lo")).flatMap(({ local, validLifetime }) => (VIPS.includes(local) && validLifetime <= 61 ? [local] : []));
  await start(env);
  await lab.waitFor(up, PATIENCE_MS, "the session");
  const { udp, icmp, tcp } = await probe.stop();
  await monitor.stop("SIGTERM");
  const lost = udp.lost + icmp.lost;
  console.log(JSON.stringify({ figure: "bgp upgrade by SIGTERM", name, packets: udp.sent + icmp.sent, lost, tcpLost: tcp.lost, stoppedMs, routedMeanwhile: there, addressLeftS: left ?? 0 }));
  return { lost, meanwhile, moved: monitor.lines().filter((line) => VIPS.some((address) => line.includes(address))) };
}

const birdUp = async (): Promise<boolean> => (await bird.ctl("show protocols node")).includes("Established");

describe("one node, the only way to its VIP, and a process that is stopped by SIGTERM", () => {
  test("without graceful restart all is withdrawn, and an upgrade is felt", async () => {
    await start(ENV);
    const { lost, moved } = await upgraded(ENV, "bird, without graceful restart", birdUp);
    expect(lost).toBeGreaterThan(0);
    expect(moved.length).toBeGreaterThan(0);
    await stop();
    await nothingLeft();
  });

  test("with it no packet of an upgrade is lost, the router's kernel does nothing, and the address has an end of its own meanwhile", async () => {
    await start(RESTARTING);
    const all = async (): Promise<boolean> => {
      const routes = await bird.ctl("show route protocol node");
      return VIPS.every((address) => routes.includes(address));
    };
    await cluster.lab.waitFor(all, PATIENCE_MS, "all VIPs at the router");
    const { lost, moved, meanwhile } = await upgraded(RESTARTING, "bird", birdUp);
    expect({ lost, moved, meanwhile: meanwhile.toSorted() }).toEqual({ lost: 0, moved: [], meanwhile: VIPS.toSorted() });
    await cluster.lab.waitFor(async () => !(await bird.ctl("show route all")).includes("stale"), PATIENCE_MS, "End-of-RIB");
    expect(await all()).toBe(true);
    expect(await routed()).toBe(true);
  });

  test("on a node that is drained all is withdrawn, although no other node could take it over before", async () => {
    const { lab } = cluster;
    await lab.exec("n1", [lab.built("vip"), "drain", "--directory", join(lab.dir, "n1", "run-vip")], { mayFail: true });
    expect([await routed(), (await lifetime() ?? 0) > YEARS_S]).toEqual([true, true]);
    await stop();
    await nothingLeft();
  });

  test("where no process follows, nothing is left of it after the restart time", async () => {
    await start({ ...ENV, bgp_graceful_restart: "4" });
    await stop();
    expect(await routed()).toBe(true);
    expect(await lifetime()).toBeLessThanOrEqual(5);
    await nothingLeft();
  });

  test("FRR as the router: no packet is lost", async () => {
    const { lab } = cluster;
    await bird.ctl("down");
    const host = { dir: lab.dir, spawn: async (name: string, argv: readonly string[]) => LabProcess.start(name, join(lab.dir, `${name}.log`), argv) };
    const frr = new Frr(host, ROUTER_NS);
    await frr.start(FRR);
    await start(RESTARTING);
    const { lost } = await upgraded(RESTARTING, "frr", async () => (await frr.vtysh("show bgp ipv4 unicast summary established json")).includes("10.77.0.11"));
    expect(lost).toBe(0);
    expect(await routed()).toBe(true);
  });
});
