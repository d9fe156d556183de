import { describe, expect, test } from "vitest";
import { macOf, uuidOf } from "../../src/core/dhcp.js";
import { vipKey, type LeaseKey, type LeaseSeen, type VipKey } from "../../src/core/model.js";
import { plan, type Plan, type PlanConfig } from "../../src/core/plan.js";
import { parsePools } from "../../src/core/pools.js";
import { emptyWorld, type World } from "../../src/core/world.js";
import { parseMac, type MacAddress } from "../../src/lib/mac.js";
import type { Link } from "../../src/ports/kernel.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeLink } from "../fakes/kernel.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { FREE, ip, MINE, owning, PLAN_CONFIG, THEIRS, worldWith } from "./given.js";

const IPS = "kube-vip.io/loadbalancerIPs";
const ADDRESS = "192.0.2.150";
const SERVER = ip("192.0.2.1");
const LINK = "vip-uidweb";
const MAC = macOf("uid-web");
const KEY = "dhcp4/uid-web" as LeaseKey;
const ETH0 = fakeLink(2, "eth0");

/** Asks for an address by DHCP. */
function web(annotations: Readonly<Record<string, string>> = {}, part: Partial<Service> = {}): Service {
  return fakeService({ annotations: { [IPS]: "0.0.0.0", ...annotations }, ...part });
}

function macvlan(part: Partial<Link> = {}): Pick<World, "links"> {
  const links = [fakeLink(1, "lo"), ETH0, { ...fakeLink(9, LINK), kind: "macvlan", parentIndex: ETH0.index, mac: MAC, ...part }];
  return { links: new Map(links.map((link) => [link.name, link])) };
}

function seen(part: Partial<LeaseSeen> = {}): Pick<World, "leases"> {
  const lease = { address: ip(ADDRESS), prefix: 24, routers: [], routes: [], dnsServers: [], domainName: undefined, hostname: undefined, server: SERVER, nextHop: undefined, renewAt: 60_000, rebindAt: 105_000, expiresAt: 120_000 };
  return { leases: new Map([[KEY, { phase: "bound", mac: MAC, lease, sends: 0, seekingSince: undefined, trouble: undefined, ...part }]]) };
}

function planned(service: Service, part: Partial<World> = {}, config: Partial<PlanConfig> = {}): Plan {
  return plan(worldWith([service], part), { ...PLAN_CONFIG, ...config });
}

function eventsOf({ events }: Plan): readonly string[] {
  return [...events.values()].map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
}

function skipOf({ skipped }: Plan): string | undefined {
  return [...skipped.values()][0]?.code;
}

describe("a Service that asks for an address by DHCP", () => {
  test("first needs a link of its own, on the link that it would have", () => {
    const made = planned(web());
    expect([...made.wants.link.values()]).toEqual([{ key: LINK, parent: "eth0", mac: MAC, rpFilter: 2, owners: ["default/web"] }]);
    expect(made.wants.dhcp.size).toBe(0);
    expect([...made.asks]).toEqual([KEY]);
    expect(skipOf(made)).toBe("linkPending");
  });

  test.each<readonly [string, Partial<World>]>([
    ["is on another link", macvlan({ parentIndex: 7 })],
    ["has another MAC", macvlan({ mac: parseMac("02:00:00:00:00:99") as MacAddress })],
    ["is down", macvlan({ up: false })],
    ["is of another kind", macvlan({ kind: "dummy" })],
    ["has no carrier", { ...macvlan(), badLinks: new Set([LINK]) }],
  ])("asks for none by a link that %s", (_name, part) => {
    const made = planned(web(), part);
    expect(made.wants.dhcp.size).toBe(0);
    expect(made.wants.link.has(LINK as never)).toBe(true);
  });

  test("asks by that link, with the MAC that it has, the name, and the address of an earlier life", () => {
    const made = planned(web({ "kube-vip.io/loadbalancerHostname": "web.example.org", "kube-vip.io/requestedIP": `2001:db8::1,${ADDRESS}`, "kube-vip.io/dhcp-broadcast": "true" }), macvlan());
    expect([...made.wants.dhcp.values()]).toEqual([
      { key: KEY, family: 4, owners: ["default/web"], iface: LINK, linkIndex: 9, mac: MAC, uuid: uuidOf("uid-web"), hostname: "web.example.org", requestedAddress: ADDRESS, known: [], broadcast: true },
    ]);
    expect(skipOf(made)).toBe("dhcpPending");
    expect(made.wants.arp.size).toBe(0);
    expect(made.statuses.size).toBe(0);
  });

  test.each([["another node holds it", THEIRS], ["nobody holds it", FREE]])("wants nothing here where %s, but the lease is not to be given back", (_name, state) => {
    const made = planned(web(), { ...macvlan(), ...owning({ services: state }) });
    expect([made.wants.link.size, made.wants.dhcp.size, made.wants.arp.size]).toEqual([0, 0, 0]);
    expect([...made.asks]).toEqual([KEY]);
  });

  test("in BGP mode is refused", () => {
    const made = planned(web(), macvlan(), { bgp: { attachServices: false, electControlPlane: false } });
    expect(skipOf(made)).toBe("dhcpNotSupported");
    expect(made.wants.dhcp.size).toBe(0);
  });
});

test("the link below that answers for the address, too, is told of, with what to set", () => {
  const answering = new Map([["eth0", { arpIgnore: 0, arpAnnounce: 1 }]]);
  const made = planned(web(), { ...macvlan(), ...seen(), answering });
  const sysctl = "net.ipv4.conf.eth0";
  expect(eventsOf(made)).toContain(`Warning ParentAnswers: eth0 answers ARP for the address, too, with its own MAC (${sysctl}.arp_ignore is 0, ${sysctl}.arp_announce is 1): set them to 1 and 2, or dhcp_manage_parent to true`);
  const quiet = planned(web(), { ...macvlan(), ...seen(), answering: new Map([["eth7", { arpIgnore: 0, arpAnnounce: 0 }]]) });
  expect(eventsOf(quiet).filter((line) => line.includes("ParentAnswers"))).toEqual([]);
});

describe("a lease", () => {
  test("becomes a VIP on the link until it ends, not probed again; what the next holder needs is written down", () => {
    const made = planned(web({ "kube-vip.io/loadbalancerHostname": "web" }), { ...macvlan(), ...seen() });
    expect([...made.wants.arp.values()]).toMatchObject([{ key: `${LINK}/${ADDRESS}`, iface: LINK, address: ADDRESS, prefix: 32, fresh: false, until: 120_000 }]);
    expect([...made.statuses.values()][0]?.annotations).toMatchObject({ "kube-vip.io/requestedIP": ADDRESS, "kube-vip.io/hwaddr": MAC });
    expect(eventsOf(made)).toContain(`Normal DhcpLease: ${ADDRESS} is leased from DHCP server ${SERVER} as web (MAC ${MAC} on ${LINK})`);
  });

  test("is said in the status once the address is up", () => {
    const up = new Map<VipKey, { readonly state: "up"; readonly result: undefined }>([[vipKey(LINK, ip(ADDRESS)), { state: "up", result: undefined }]]);
    const made = planned(web(), { ...macvlan(), ...seen(), observed: up });
    expect([...made.statuses.values()][0]?.ingress).toEqual([{ ip: ADDRESS }]);
    expect(skipOf(made)).toBeUndefined();
  });

  test("that is written down already writes nothing again, and a renewal is no news", () => {
    const service = web({ "kube-vip.io/requestedIP": ADDRESS, "kube-vip.io/hwaddr": MAC });
    const [first, second] = [0, 60_000].map((later) => {
      const { leases } = seen();
      const known = leases.get(KEY);
      if (known?.lease === undefined) throw new Error("no lease");
      const lease = { ...known.lease, renewAt: known.lease.renewAt + later, rebindAt: known.lease.rebindAt + later, expiresAt: known.lease.expiresAt + later };
      return planned(service, { ...macvlan(), leases: new Map([[KEY, { ...known, lease }]]) });
    });
    expect(first?.statuses.size).toBe(0);
    expect([...(second?.events.keys() ?? [])]).toEqual([...(first?.events.keys() ?? [])]);
    expect([...(second?.wants.arp.values() ?? [])][0]?.until).toBe(180_000);
  });

  test.each<readonly [string, Partial<LeaseSeen>, string]>([
    ["nobody renewed", { trouble: { type: "lost", address: ip(ADDRESS), reason: "expired" } }, `the lease of ${ADDRESS} has ended and no DHCP server has renewed it; asked again for ever`],
    ["was refused", { trouble: { type: "refused", server: SERVER, text: "no free leases" } }, `DHCP server ${SERVER} refuses the address ("no free leases"); asked again for ever`],
    ["is in use", { trouble: { type: "declined", address: ip(ADDRESS), server: SERVER, by: "02:00:00:00:00:66" as MacAddress } }, `${ADDRESS}, given by DHCP server ${SERVER}, is in use by 02:00:00:00:00:66: declined; asked again for ever`],
    ["nobody gives", { sends: 4 }, `no DHCP server has answered ${MAC}: expected one on the network of its link; asked again for ever`],
  ])("that %s is told in an Event, and the VIP goes", (_name, part, message) => {
    const made = planned(web(), { ...macvlan(), ...seen({ phase: "selecting", lease: undefined, ...part }) });
    expect(eventsOf(made)).toEqual([`Warning DhcpFailed: ${message}`]);
    expect(made.wants.arp.size).toBe(0);
    expect(made.wants.dhcp.size).toBe(1);
  });
});

describe("a Service that asks for an address of each family", () => {
  const KEY6 = "dhcp6/uid-web" as LeaseKey;
  const ADDRESS6 = ip("2001:db8::150");
  const lease = (address: string): LeaseSeen => ({ phase: "bound", mac: MAC, lease: { address: ip(address), server: SERVER, renewAt: 1000, rebindAt: 2000, expiresAt: address.includes(":") ? 3000 : 4000 }, sends: 0, seekingSince: undefined, trouble: undefined });
  const both = (annotations: Readonly<Record<string, string>> = {}): Service => web({ [IPS]: "0.0.0.0,::", ...annotations });

  test("asks for both on one link, each for its address of an earlier life", () => {
    const made = planned(both({ "kube-vip.io/requestedIP": `${ADDRESS},${ADDRESS6}` }), macvlan());
    expect([...made.wants.link.keys()]).toEqual([LINK]);
    expect([...made.asks]).toEqual([KEY, KEY6]);
    expect([...made.wants.dhcp.values()].map(({ key, family, requestedAddress, iface }) => [key, family, requestedAddress, iface])).toEqual([[KEY, 4, ADDRESS, LINK], [KEY6, 6, ADDRESS6, LINK]]);
  });

  test("has both, each until its own lease ends, and writes both down", () => {
    const made = planned(both(), { ...macvlan(), leases: new Map([[KEY, lease(ADDRESS)], [KEY6, lease(ADDRESS6)]]) });
    expect([...made.wants.arp.values()].map(({ key, until }) => [key, until])).toEqual([[`${LINK}/${ADDRESS}`, 4000], [`${LINK}/${ADDRESS6}`, 3000]]);
    expect([...made.statuses.values()][0]?.annotations).toMatchObject({ "kube-vip.io/requestedIP": `${ADDRESS},${ADDRESS6}` });
    expect(eventsOf(made)).toContain(`Normal DhcpLease: ${ADDRESS6} is leased from DHCPv6 server ${SERVER} (MAC ${MAC} on ${LINK})`);
  });

  test("has the one that came, says so, and keeps in mind what the other was", () => {
    const up = new Map<VipKey, { readonly state: "up"; readonly result: undefined }>([[vipKey(LINK, ip(ADDRESS)), { state: "up", result: undefined }]]);
    const made = planned(both({ "kube-vip.io/requestedIP": ADDRESS6 }), { ...macvlan(), leases: new Map([[KEY, lease(ADDRESS)]]), observed: up });
    expect([...made.statuses.values()][0]).toMatchObject({ ingress: [{ ip: ADDRESS }], annotations: { "kube-vip.io/requestedIP": `${ADDRESS},${ADDRESS6}` } });
    expect(skipOf(made)).toBe("dhcpPending");
  });

  test("after a hand-over leaves the status as it is until both are asked for", () => {
    const announced = { "vip.internal/announced": JSON.stringify({ addresses: [ADDRESS, ADDRESS6], node: "n2" }) };
    const made = planned({ ...both(announced), ingress: [fakeIngress(ADDRESS), fakeIngress(ADDRESS6)] }, { ...macvlan(), leases: new Map([[KEY, lease(ADDRESS)]]) });
    expect([...made.statuses.values()][0]?.ingress).toBeUndefined();
  });
});

describe("Services that name one link", () => {
  const shared = { "kube-vip.io/macvlanName": "shared0" };
  const one = web({ ...shared, "kube-vip.io/hwaddr": "02:00:00:00:0a:01" }, { name: "one", createdAt: 1 });
  const two = web(shared, { name: "two", createdAt: 2, ports: [{ name: "b", protocol: "TCP", port: 9001 }] });

  test("share it and its lease, by the word of the oldest", () => {
    const world = worldWith([two, one], macvlan({ name: "shared0", mac: "02:00:00:00:0a:01" as MacAddress }));
    const made = plan(world, PLAN_CONFIG);
    expect([...made.wants.link.values()]).toMatchObject([{ key: "shared0", mac: "02:00:00:00:0a:01", owners: ["default/one", "default/two"] }]);
    expect([...made.wants.dhcp.values()]).toMatchObject([{ key: "dhcp4/link/shared0", mac: "02:00:00:00:0a:01", owners: ["default/one", "default/two"] }]);
  });
});

describe("a pool that is 0.0.0.0/32", () => {
  const pools = (more: Readonly<Record<string, string>> = {}): Pick<World, "pools"> => ({ pools: parsePools({ "cidr-global": "0.0.0.0/32", ...more }, undefined).pools });
  const bare = fakeService();
  const granted = fakeService({ annotations: { "vip.internal/granted": "0.0.0.0" } });

  test("is written down in the Service, which asks by DHCP from then on", () => {
    const first = planned(bare, pools());
    expect([...first.statuses.values()].map(({ annotations }) => annotations)).toEqual([{ "vip.internal/granted": "0.0.0.0" }]);
    expect(first.wants.link.size).toBe(0);
    expect(eventsOf(first)).toEqual([]);
    expect([...planned(granted, pools()).wants.link.keys()]).toEqual([LINK]);
  });

  test("is written down by the owner of the Services alone", () => {
    expect(planned(bare, { ...pools(), ...owning({ services: THEIRS }) }).statuses.size).toBe(0);
  });

  test("says the link, where the ConfigMap names one for the namespace", () => {
    const links = new Map([...emptyWorld("n1").links, ...["eth0", "eth1"].map((name, i) => [name, fakeLink(i + 2, name)] as const)]);
    const made = planned(granted, { links, ...pools({ "interface-default": "eth1" }) });
    expect([...made.wants.link.values()]).toMatchObject([{ key: LINK, parent: "eth1" }]);
  });

  test("keeps a Service that has its address from DHCP there when it names addresses later", () => {
    expect([...planned(granted, { pools: parsePools({ "cidr-global": "192.0.2.0/28" }, undefined).pools }).wants.link.keys()]).toEqual([LINK]);
  });

  test("is forgotten when the Service names an address", () => {
    const named = fakeService({ loadBalancerIP: "192.0.2.9", annotations: { "vip.internal/granted": "0.0.0.0" } });
    const made = planned(named, pools());
    expect([...made.statuses.values()][0]?.annotations).toMatchObject({ "vip.internal/granted": null });
    expect([...made.wants.arp.keys()]).toEqual(["eth0/192.0.2.9"]);
  });

  test("gives its owner's key to a Service under svc_election once it is written down", () => {
    const election = { election: true };
    expect([...(planned(bare, pools(), election).wishes?.keys() ?? [])]).toEqual([]);
    expect([...(planned(granted, pools(), election).wishes?.keys() ?? [])]).toEqual([`svc/${KEY}`]);
    expect(planned(granted, { ...pools(), ...owning({ services: THEIRS, [`svc/${KEY}`]: MINE }) }, election).wants.link.size).toBe(1);
  });
});
