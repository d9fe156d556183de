import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { macvlans } from "./dhcp-servers.js";
import { answers, deploy, expose } from "./kubectl-services.js";
import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";
import type { PackageConfig, PackageMessage } from "./programs/dhcp-package.js";
import { CLIENT_NS, ROUTER_NS } from "./topology.js";

const PATIENCE = 20_000;
/** Of the Service's link. No octet is above 127, so that both servers can tell the client id. */
const MAC = "02:11:22:33:44:55";
const CLIENT_ID = "01:02:11:22:33:44:55";
/** Seconds of a lease, T1 and T2. */
const [LEASE, T1, T2] = [8, 2, 5];

/** What a server has seen of the client with `MAC`. */
interface Server {
  readonly process: LabProcess;
  /** The name and the client id that it has written down, or heard last. */
  seen(): { readonly hostname: string; readonly clientId: string } | undefined;
  /** How often the client has asked for more time by unicast, from the address that it has. */
  renewals(address: string): number;
  released(address: string): boolean;
}

/** ISC's server in the namespace of the router. */
async function dhcpd(lab: Lab): Promise<Server> {
  const [config, leases] = [join(lab.dir, "dhcpd.conf"), join(lab.dir, "dhcpd.leases")];
  const subnet = "subnet 10.77.0.0 netmask 255.255.255.0 { range 10.77.0.150 10.77.0.159; option routers 10.77.0.1; }";
  writeFileSync(config, `authoritative; ddns-update-style none; ping-check false; default-lease-time ${LEASE}; max-lease-time ${LEASE};\noption dhcp-renewal-time ${T1}; option dhcp-rebinding-time ${T2};\n${subnet}\n`);
  writeFileSync(leases, "");
  // By its path: the package `dhcp` has a program of that name.
  const process = await lab.spawn(ROUTER_NS, ["/usr/sbin/dhcpd", "-4", "-f", "-d", "--no-pid", "-cf", config, "-lf", leases, "eth0"], { name: "dhcpd" });
  await process.waitFor(/Server starting service/);
  return {
    process,
    seen: () => leaseIn(readFileSync(leases, "utf8")),
    // A client that is in SELECTING or REBOOTING asks by broadcast, and the first of these names the server.
    renewals: (address) => process.lines().filter((line) => line.startsWith(`DHCPREQUEST for ${address} from ${MAC}`)).length,
    released: (address) => process.lines().some((line) => line.startsWith(`DHCPRELEASE of ${address} from ${MAC}`) && line.includes("(found)")),
  };
}

/** The newest lease of a lease file of dhcpd, which has the client id as a string with octal escapes. */
function leaseIn(file: string): ReturnType<Server["seen"]> {
  const last = file.split(/^lease /m).at(-1) ?? "";
  const [hostname, uid] = [/client-hostname "(.*)";/.exec(last)?.[1], /uid "(.*)";/.exec(last)?.[1]];
  if (hostname === undefined || uid === undefined) return undefined;
  const octets = [...uid.matchAll(/\\(\d{3})|\\(.)|(.)/g)].map(([, octal, escaped, plain]) => (octal === undefined ? (escaped ?? plain ?? "").charCodeAt(0) : Number.parseInt(octal, 8)));
  return { hostname, clientId: octets.map((octet) => octet.toString(16).padStart(2, "0")).join(":") };
}

/** The server of the package `dhcp`, on a host of the LAN. */
async function dhcpPackage(lab: Lab): Promise<Server> {
  const config: PackageConfig = { server: "10.77.0.100", range: ["10.77.0.150", "10.77.0.159"], leaseTime: LEASE, renewalTime: T1, rebindingTime: T2 };
  const process = await lab.spawnProgram(CLIENT_NS, "dhcp-package", [JSON.stringify(config)]);
  await process.waitFor(/^ready$/);
  const heard = (): readonly PackageMessage[] => process.lines().filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as PackageMessage).filter(({ mac }) => mac === MAC);
  return {
    process,
    seen: () => {
      const { hostname, clientId } = heard().findLast(({ type }) => type === 3) ?? {};
      return hostname === undefined || clientId === undefined ? undefined : { hostname, clientId: clientId.replaceAll(/..(?=.)/g, "$&:") };
    },
    renewals: (address) => heard().filter(({ type, ciaddr }) => type === 3 && ciaddr === address).length,
    released: (address) => heard().some(({ type, ciaddr }) => type === 7 && ciaddr === address),
  };
}

test.each([
  ["ISC dhcpd", dhcpd],
  ["the package dhcp", dhcpPackage],
])("%s: it is told name and client id, its lease is renewed again and again, and given back when the Service is deleted", async (_name, start) => {
  await using cluster = await Cluster.up(2);
  const { lab } = cluster;
  await deploy(cluster, { replicas: 2 });
  const server = await start(lab);
  await expose(cluster, "web", { ip: "0.0.0.0", annotations: { "kube-vip.io/loadbalancerHostname": "others-test", "kube-vip.io/hwaddr": MAC } });
  const service = await cluster.service("web", PATIENCE, "web to have an address", (s) => ingressOf(s).length > 0);
  const address = ingressOf(service)[0] ?? "";
  expect(address).toMatch(/^10\.77\.0\.15\d$/);
  await answers(cluster, address);
  const owner = await cluster.heldBy(address, PATIENCE);
  expect(await lab.waitFor(() => server.seen(), PATIENCE, "the server to know the client")).toEqual({ hostname: "others-test", clientId: CLIENT_ID });
  const probe = await lab.probe(address);
  await lab.waitFor(() => server.renewals(address) >= 2, PATIENCE, "two renewals");
  const { icmp } = await probe.stop();
  expect(icmp.gapMs).toBeLessThan(1000);
  expect(await lab.holders(address)).toEqual([owner]);
  await cluster.kubectl(["delete", "service", "web"]);
  await lab.waitFor(() => server.released(address), PATIENCE, "the lease to be given back");
  await cluster.free(address, PATIENCE);
  await lab.waitFor(async () => (await macvlans(lab, owner)).length === 0, PATIENCE, "no macvlan");
});
