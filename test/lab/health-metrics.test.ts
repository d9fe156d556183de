import { describe, expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";

const HEALTH_PORT = 10_300;
const ENV = { health_check_port: String(HEALTH_PORT), prometheus_server: ":2112" };
const PORTS = { metrics: 2112, health: HEALTH_PORT } as const;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Asks the daemon of a node, from that node. */
async function ask(cluster: Cluster, node: string, path: string, port: number = PORTS.metrics): Promise<Answer> {
  const { stdout } = await cluster.lab.exec(node, ["curl", "-s", "-m", "2", "-w", "\n%{http_code}", `http://127.0.0.1:${port}${path}`], { mayFail: true });
  const at = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(at + 1)), text: stdout.slice(0, at) };
}

/** The value of one series, by its name and labels as they are written; undefined where there is no such series. */
async function metric(cluster: Cluster, node: string, series: string): Promise<number | undefined> {
  const { text } = await ask(cluster, node, "/metrics");
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

async function serving(nodes: number): Promise<{ readonly cluster: Cluster; readonly owner: string; readonly others: readonly string[] }> {
  const cluster = await Cluster.up(nodes, { env: ENV });
  await cluster.api.client.createService(loadBalancer({ name: "web", ip: VIP }));
  const owner = await cluster.heldBy(VIP, 2000);
  return { cluster, owner, others: cluster.lab.nodes.map(({ name }) => name).filter((name) => name !== owner) };
}

async function becomes(cluster: Cluster, node: string, path: string, status: number, ms: number): Promise<string> {
  return cluster.lab.waitFor(
    async () => {
      const answer = await ask(cluster, node, path);
      return answer.status === status ? answer.text : undefined;
    },
    ms,
    `${path} of ${node} to say ${status}`,
  );
}

describe("health and metrics", () => {
  test("each answers where it should, and says what it looked at", async () => {
    const { cluster, owner } = await serving(1);
    await using _ = cluster;
    await becomes(cluster, owner, "/readyz", 200, 5000);
    for (const port of Object.values(PORTS)) {
      for (const path of ["/livez", "/readyz", "/healthz"]) expect([port, path, await ask(cluster, owner, path, port)]).toEqual([port, path, { status: 200, text: "ok" }]);
    }
    const { text } = await ask(cluster, owner, "/readyz?verbose");
    expect(text.split("\n")).toEqual(["[+]ping ok", "[+]loop ok", "[+]netlink ok", "[+]fence ok", "[+]shutdown ok", "[+]api ok", "[+]links ok", "[+]services ok", "readyz check passed", ""]);
    expect((await ask(cluster, owner, "/metrics", PORTS.health)).status).toBe(404);
  });

  test("figures follow a failover", async () => {
    const { cluster, owner, others } = await serving(2);
    await using _ = cluster;
    const [other = ""] = others;
    const series = `vip_held{address="${VIP}",interface="eth0",mode="arp",key="services"}`;
    expect([await metric(cluster, owner, series), await metric(cluster, other, series)]).toEqual([1, undefined]);
    expect([await metric(cluster, owner, 'vip_is_owner{key="services"}'), await metric(cluster, other, 'vip_is_owner{key="services"}')]).toEqual([1, 0]);
    expect(await metric(cluster, other, 'vip_takeovers_total{key="services"}')).toBe(0);
    expect(await metric(cluster, other, 'vip_announcements_total{protocol="arp"}')).toBe(0);
    await cluster.lab.waitFor(async () => (await metric(cluster, other, 'vip_services_skipped{reason="notOwner"}')) === 1, 2000, "the other node to have heard of the Service");
    await cluster.vip(owner).stop("SIGKILL");
    await cluster.heldBy(VIP, 8000, other);
    await cluster.lab.waitFor(async () => (await metric(cluster, other, series)) === 1, 2000, "the figures of the new owner");
    expect(await metric(cluster, other, 'vip_vips{mode="arp",family="ipv4",state="up"}')).toBe(1);
    expect(await metric(cluster, other, 'vip_takeovers_total{key="services"}')).toBe(1);
    expect(await metric(cluster, other, 'vip_takeover_seconds_count{key="services"}')).toBe(1);
    expect(await metric(cluster, other, 'vip_takeover_seconds_sum{key="services"}')).toBeLessThan(1);
    expect(await metric(cluster, other, 'vip_announcements_total{protocol="arp"}')).toBeGreaterThan(0);
    expect(await metric(cluster, other, `vip_owner_info{key="services",holder="${other}"}`)).toBe(1);
    expect(await metric(cluster, other, 'vip_lease_age_seconds{key="services"}')).toBeLessThan(2);
    expect(await metric(cluster, other, "vip_lease_renew_seconds_count")).toBeGreaterThan(0);
    expect(await metric(cluster, other, 'vip_api_requests_total{verb="watch",resource="services",code="200"}')).toBeGreaterThan(0);
    expect(await metric(cluster, other, `kube_vip_is_leader{node="${other}",lease_name="plndr-svcs-lock"}`)).toBe(1);
    expect(await metric(cluster, other, "vip_reconcile_seconds_count")).toBeGreaterThan(0);
  });

  test("an API that is frozen: /readyz says so on every node, /livez does not mind; both are well again after it", async () => {
    const { cluster, owner, others } = await serving(2);
    await using _ = cluster;
    const nodes = [owner, ...others];
    for (const node of nodes) await becomes(cluster, node, "/readyz", 200, 5000);
    await cluster.admin.pause();
    // The owner is told by its own renews, the other by its attempt to take over.
    for (const node of nodes) expect(await becomes(cluster, node, "/readyz", 503, 15_000)).toMatch(/\[-\]api failed: the API does not answer: update leases: timeout; heard [\d.]+ s ago/);
    for (const node of nodes) expect(await ask(cluster, node, "/livez")).toEqual({ status: 200, text: "ok" });
    expect(await metric(cluster, owner, 'vip_healthcheck{endpoint="readyz",name="api"}')).toBe(0);
    await cluster.admin.resume();
    for (const node of nodes) await becomes(cluster, node, "/readyz", 200, 15_000);
  });

  test("a link without carrier: /readyz says so", async () => {
    const { cluster, owner } = await serving(1);
    await using _ = cluster;
    await becomes(cluster, owner, "/readyz", 200, 5000);
    await cluster.lab.exec(owner, ["ip", "link", "set", "eth0", "down"]);
    expect(await becomes(cluster, owner, "/readyz", 503, 3000)).toContain("[-]links failed: eth0 is down");
    await cluster.lab.exec(owner, ["ip", "link", "set", "eth0", "up"]);
    await becomes(cluster, owner, "/readyz", 200, 5000);
  });

  test("SIGTERM ends the program in time, with both listeners open, and with clients connected that ask nothing", async () => {
    const { cluster, owner } = await serving(1);
    await using _ = cluster;
    const { lab } = cluster;
    const connect = `for (const port of [${Object.values(PORTS).join()}]) require("node:net").connect(port, "127.0.0.1", () => console.log("connected to", port)).resume().on("error", () => undefined)`;
    const idle = await lab.spawn(owner, [process.execPath, "-e", connect], { name: "idle" });
    for (const port of Object.values(PORTS)) await idle.waitFor(new RegExp(`connected to ${port}`));
    const stopping = lab.now();
    expect(await cluster.vip(owner).stop("SIGTERM", 6000)).toEqual({ code: 0, signal: null });
    console.log(JSON.stringify({ figure: "SIGTERM with both listeners open", ms: Math.round(lab.now() - stopping) }));
    expect(lab.now() - stopping).toBeLessThan(4000);
    await idle[Symbol.asyncDispose]();
  });

  test("a port that is taken is a warning, and had as soon as it is free", async () => {
    await using cluster = await Cluster.bare(1);
    const { lab } = cluster;
    const server = `require("node:http").createServer((_, r) => r.end("somebody else")).listen(${PORTS.metrics}, () => console.log("there"))`;
    const other = await lab.spawn("n1", [process.execPath, "-e", server], { name: "other" });
    await other.waitFor(/there/);
    const vip = await cluster.startVip("n1", { env: ENV });
    await vip.waitFor(/"port":2112,.*EADDRINUSE.*cannot listen, tried again/);
    await cluster.owner();
    expect((await ask(cluster, "n1", "/livez", PORTS.health)).status).toBe(200);
    await other.stop();
    await becomes(cluster, "n1", "/metrics", 200, 8000);
    expect(vip.ended).toBeUndefined();
  });

  test("SIGUSR1 switches debug lines on and off, and opens no debugger", async () => {
    const { cluster, owner } = await serving(1);
    await using _ = cluster;
    const vip = cluster.vip(owner);
    const levels = (): readonly unknown[] => vip.logs().map(({ level }) => level);
    expect(levels()).not.toContain("debug");
    vip.kill("SIGUSR1");
    await vip.waitFor(/"to":"debug".*log level changed by SIGUSR1/);
    await cluster.api.client.createService({ metadata: { name: "plain" }, spec: { type: "ClusterIP", ports: [{ port: 80, protocol: "TCP" }] } });
    await cluster.lab.waitFor(() => levels().includes("debug"), 3000, "a debug line");
    vip.kill("SIGUSR1");
    await vip.waitFor(/"to":"info".*log level changed by SIGUSR1/);
    expect((await cluster.lab.exec(owner, ["ss", "-Htln", "sport = :9229"])).stdout).toBe("");
  });
});
