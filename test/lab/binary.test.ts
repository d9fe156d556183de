import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { run } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import { Lab } from "./lab.js";

/** A folder with the binary, the libraries that the loader names, and nothing else. */
async function bareRoot(lab: Lab, name: string): Promise<string> {
  const root = join(lab.dir, name);
  const binary = lab.built("vip");
  const { stdout } = await run(["ldd", binary]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? "");
  expect(libraries.length).toBeGreaterThan(4);
  for (const path of libraries) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
  copyFileSync(binary, join(root, "vip"));
  return root;
}

describe("dist/vip", () => {
  test("serves a Service from a root that holds nothing but its libraries and a kubeconfig", async () => {
    await using cluster = await Cluster.bare(1);
    const { lab, api } = cluster;
    const root = await bareRoot(lab, "bare-root");
    writeFileSync(join(root, "admin.conf"), readFileSync(api.adminConf));
    const env = { vip_arp: "true", svc_enable: "true", vip_interface: "eth0", vip_nodename: "n1", k8s_config_file: "/admin.conf" };
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    const daemon = await lab.spawn("n1", ["chroot", root, "/vip", "start"], { name: "vip-bare", env });
    await cluster.heldBy(VIP, 5000);
    expect(await daemon.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(await lab.holders(VIP)).toEqual([]);
  });

  test("takes its link from the default route where none is named, and its own name from the host", async () => {
    await using cluster = await Cluster.bare(1);
    const daemon = await cluster.startVip("n1", { env: { vip_interface: "", vip_nodename: "" } });
    await cluster.api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.heldBy(VIP, 5000);
    const host = (await run(["hostname"])).stdout.trim().toLowerCase();
    expect(daemon.logs().find((line) => line["message"] === "started")).toMatchObject({ node: host, interface: "eth0" });
  });

  test("is not moved by NODE_OPTIONS", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const { stdout } = await lab.exec("n1", [lab.built("vip"), "version"], { env: { NODE_OPTIONS: "--no-such-option" } });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each<readonly [string, Record<string, string>, string]>([
    ["a value that does not parse", { vip_leaseduration: "5s" }, 'vip: vip_leaseduration="5s": expected a whole number from 1 to 3600\n'],
    ["timings that cannot work", { vip_leaseduration: "4" }, "vip: vip_leaseduration x 0.98 - 1.6 must be at least vip_renewdeadline (vip_leaseduration=4, vip_renewdeadline=3, vip_retryperiod=1)\n"],
    ["nothing to do", { svc_enable: "" }, 'vip: svc_enable="false", cp_enable="false": expected one of them to be true (--services, --controlplane), or there is nothing to do\n'],
  ])("ends the start with one line for %s", async (_name, env, line) => {
    await using lab = await Lab.create({ nodes: 1 });
    const started = await lab.startVip("n1", { env });
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.output()).toBe(line);
  });

  test("without the right to change addresses ends the start with one line that says what is missing", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const env = { vip_arp: "true", svc_enable: "true", vip_interface: "eth0", vip_nodename: "n1" };
    const daemon = await lab.spawn("n1", ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", lab.built("vip"), "start"], { name: "vip-weak", env });
    expect(await daemon.exited).toEqual({ code: 1, signal: null });
    expect(daemon.output()).toMatch(/^vip: CAP_NET_ADMIN: expected, .*\n$/);
  });
});

describe("the control plane", () => {
  test("has its address on one node, by the Lease of kube-vip, apart from the Services' and moves when its owner dies", async () => {
    await using cluster = await Cluster.bare(2);
    const { lab, api } = cluster;
    const env = { cp_enable: "true", address: "10.77.0.210", port: "6443", control_plane_health_check_address: "off" };
    for (const { name } of lab.nodes) await cluster.startVip(name, { env });
    const owner = await cluster.owner("plndr-cp-lock");
    await cluster.heldBy("10.77.0.210", 2000, owner);
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.heldBy(VIP, 2000);
    await cluster.vip(owner).stop("SIGKILL");
    const next = await lab.waitFor(async () => (await lab.holders("10.77.0.210")).find((node) => node !== owner), 7000, "another owner");
    expect(await cluster.leaseHolder("plndr-cp-lock")).toBe(next);
  });

  test("works without Services, and a kubeconfig that comes later is found", async () => {
    await using cluster = await Cluster.bare(1);
    const path = join(cluster.lab.dir, "later.conf");
    const daemon = await cluster.startVip("n1", { env: { svc_enable: "", cp_enable: "true", address: "10.77.0.210", k8s_config_file: path, control_plane_health_check_address: "off" } });
    await daemon.waitFor(/later\.conf \(ENOENT\)/);
    copyFileSync(cluster.api.adminConf, path);
    await cluster.heldBy("10.77.0.210", 5000, "n1");
  });
});
