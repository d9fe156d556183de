import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { answers, deploy, expose } from "./kubectl-services.js";
import type { Lab } from "./lab.js";
import { routerAdvertisement } from "./raw/router.js";
import { CLIENT_NS } from "./topology.js";

const PATIENCE = 20_000;
/** A macvlan on eth0 that is nobody's: what the kernel does with advertisements where nobody tells it otherwise. */
const CONTROL = "ip link add ctl0 link eth0 type macvlan mode bridge && ip link set ctl0 up";

/** As on a node that forwards no IPv6. */
const LISTENS = ["sysctl", "-w", "net.ipv6.conf.default.accept_ra=1", "net.ipv6.conf.default.forwarding=0"];

/** A host of the LAN advertises itself as the default router, with this prefix. */
async function advertise(lab: Lab, prefix: string): Promise<void> {
  const { stdout } = await lab.exec(CLIENT_NS, ["ip", "-j", "link", "show", "dev", "eth0"]);
  const [{ ifindex, address }] = JSON.parse(stdout) as [{ readonly ifindex: number; readonly address: string }];
  const frame = routerAdvertisement(Buffer.from(address.replaceAll(":", ""), "hex"), prefix);
  const sent = await lab.spawnProgram(CLIENT_NS, "send", [String(ifindex), frame.toString("hex")]);
  await sent.waitFor(/"at"/);
}

/** What a link has of IPv6 beyond its own link: addresses and routes. */
async function ipv6Of(lab: Lab, node: string, link: string): Promise<string> {
  const shown = await Promise.all([["addr", "show", "scope", "global"], ["route", "show"]].map(async (what) => (await lab.exec(node, ["ip", "-6", ...what, "dev", link])).stdout));
  return shown.join("\n");
}

test("a router that advertises gives the link of a Service by DHCP no address and no route", async () => {
  await using cluster = await Cluster.bare(1);
  const { lab } = cluster;
  const node = lab.nodes[0]?.name ?? "";
  await lab.exec(node, LISTENS);
  await cluster.startVip(node);
  await deploy(cluster, { replicas: 1 });
  await Dnsmasq.start(lab);
  await expose(cluster, "web", { ip: "0.0.0.0" });
  const service = await cluster.service("web", PATIENCE, "web to have an address", (s) => ingressOf(s).length > 0);
  const [link] = await macvlans(lab, node);
  expect(link?.name).toMatch(/^vip-/);
  await lab.exec(node, ["sh", "-c", CONTROL]);
  await advertise(lab, "fd77:a::");
  await lab.waitFor(async () => (await ipv6Of(lab, node, "ctl0")).includes("fd77:a:"), PATIENCE, "an address by SLAAC on another macvlan");
  // Once this one is there the one before has come to all links.
  await advertise(lab, "fd77:b::");
  await lab.waitFor(async () => (await ipv6Of(lab, node, "ctl0")).includes("fd77:b:"), PATIENCE, "another address there");
  expect(await ipv6Of(lab, node, "ctl0")).toMatch(/default via fe80::99 /);
  expect((await ipv6Of(lab, node, link?.name ?? "")).trim()).toBe("");
  expect((await lab.exec(node, ["sysctl", "-n", `net.ipv6.conf.${link?.name}.accept_ra`])).stdout.trim()).toBe("0");
  await answers(cluster, ingressOf(service)[0] ?? "");
  expect(cluster.vip(node).output()).not.toContain("router advertisements");
});

test.each([
  ["listens to routers: the log says what to set", "1", true],
  ["does not: nothing is said", "0", false],
])("where /proc/sys is read-only, as in a container without privileges, the address is served; on a node that %s", async (_name, acceptRa, told) => {
  await using cluster = await Cluster.bare(1);
  const { lab } = cluster;
  const node = lab.nodes[0]?.name ?? "";
  const binary = join(lab.dir, "read-only.sh");
  writeFileSync(binary, `#!/bin/sh\nmount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec ${lab.built("vip")} "$@"\n`, { mode: 0o755 });
  await lab.exec(node, LISTENS);
  await lab.exec(node, ["sysctl", "-w", `net.ipv6.conf.default.accept_ra=${acceptRa}`]);
  await cluster.startVip(node, { binary });
  await deploy(cluster, { replicas: 1 });
  await Dnsmasq.start(lab);
  await expose(cluster, "web", { ip: "0.0.0.0" });
  const service = await cluster.service("web", PATIENCE, "web to have an address", (s) => ingressOf(s).length > 0);
  await answers(cluster, ingressOf(service)[0] ?? "");
  const warnings = cluster.vip(node).logs().filter(({ level }) => level === "warn").map(({ message }) => message);
  const warning = "links for addresses by DHCP take addresses and routes from router advertisements: /proc/sys cannot be written, set net.ipv6.conf.default.accept_ra=0 on the node";
  expect(warnings.filter((message) => message === warning)).toHaveLength(told ? 1 : 0);
});
