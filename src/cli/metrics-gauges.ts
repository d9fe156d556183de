import { Gauge, type MetricType, type Registry } from "prom-client";
import { heldVips } from "../core/metrics.js";
import type { Vip } from "../core/model.js";
import { BGP_ROWS } from "./metrics-bgp.js";
import { byFamilyAndState, counted, type GaugeRow, type GaugeSources, type Sample } from "./metrics-row.js";

/** Costs nothing until the registry is read. */
export function registerGauges(registry: Registry, sources: GaugeSources): void {
  for (const row of [...ROWS, ...BGP_ROWS]) registry.registerMetric(new ReadGauge(row, sources));
}

/** A gauge that is read off, not kept: prom-client's own would look each of a thousand series up by its labels, for each scrape anew. */
class ReadGauge extends Gauge {
  constructor(
    private readonly row: GaugeRow,
    private readonly sources: GaugeSources,
  ) {
    super({ name: row.name, help: row.help, labelNames: row.labels, registers: [] });
  }

  override async get(): ReturnType<Gauge["get"]> {
    const values = Array.from(this.row.samples(this.sources), ([labels, value]) => ({ labels, value }));
    return { ...(await super.get()), ...(this.row.counter === true ? { type: COUNTER } : {}), values };
  }
}

// The enum of prom-client, by value: it is there for types only.
const COUNTER = "counter" as unknown as MetricType;

const ROWS: readonly GaugeRow[] = [
  { name: "vip_build_info", help: "1; the version of this program.", labels: ["version"], samples: ({ version }) => [[{ version }, 1]] },
  { name: "vip_vips", help: "VIPs that this node should hold, by how far they are.", labels: ["mode", "family", "state"], samples: vipsByState },
  { name: "vip_held", help: "1 for each VIP that this node holds.", labels: ["address", "interface", "mode", "key"], samples: held },
  { name: "vip_is_owner", help: "1 where this node holds the ownership; of Romana VIPs only those held here.", labels: ["key"], samples: owners },
  { name: "vip_owner_info", help: "1 for the node that owns a key, as this node knows it.", labels: ["key", "holder"], samples: holders },
  { name: "vip_lease_age_seconds", help: "Since the start of the renew that is in force, of Leases held here.", labels: ["key"], samples: leaseAges },
  { name: "vip_services", help: "Services that this node knows of.", labels: [], samples: (sources) => one(sources.newest()?.world.services?.size) },
  { name: "vip_services_served", help: "Services with a VIP that is held here, or announced by BGP from here.", labels: [], samples: (sources) => one(servedServices(sources).size) },
  { name: "vip_services_skipped", help: "Services that this node does not serve, by reason.", labels: ["reason"], samples: skipped },
  { name: "vip_links", help: "Links other than loopback, by state.", labels: ["state"], samples: links },
  { name: "vip_conflicts", help: "VIPs held here that another host announced, too.", labels: [], samples: (sources) => one(sources.newest()?.world.conflicts.size) },
  { name: "vip_names", help: "DNS names that are followed, by state.", labels: ["state"], samples: names },
  { name: "vip_dhcp_leases", help: "Addresses that this node asks of DHCP servers, by the state of RFC 2131 4.4.", labels: ["state"], samples: dhcpLeases },
  { name: "vip_dataplane_ports", help: "Health ports of the data plane that are asked, by state.", labels: ["state"], samples: dataplane },
  { name: "vip_api_silent_seconds", help: "Since the API was last heard.", labels: [], samples: (sources) => one(inSeconds(sources.apiSilentMs())) },
  { name: "vip_netlink_wait_seconds", help: "How long the request that has waited longest for the kernel has waited.", labels: [], samples: (sources) => one(inSeconds(sources.netlinkWaitMs())) },
  { name: "vip_loop_wait_seconds", help: "How long a pass of the planning loop that was asked for has not come.", labels: [], samples: (sources) => one(inSeconds(sources.passWaitMs())) },
  { name: "vip_healthcheck", help: "1 for each check of /livez and /readyz that is well.", labels: ["endpoint", "name"], samples: checks },
  // kube-vip's names, where they say exactly the same.
  { name: "kube_vip_build_info", help: "As in kube-vip.", labels: ["version", "node"], samples: ({ version, node }) => [[{ version, node }, 1]] },
  { name: "kube_vip_is_leader", help: "As in kube-vip.", labels: ["node", "lease_name"], samples: leaders },
  { name: "kube_vip_active_services", help: "As in kube-vip: Services served, by namespace.", labels: ["namespace"], samples: activeServices },
];

function heldHere(sources: GaugeSources): readonly Vip[] {
  const newest = sources.newest();
  return newest === undefined ? [] : heldVips(newest);
}

function one(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [[{}, value]];
}

function inSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function vipsByState(sources: GaugeSources): readonly Sample[] {
  const newest = sources.newest();
  const vips = newest === undefined ? [] : [...newest.plan.wants.arp.values()];
  const state = (vip: Vip): string => newest?.world.observed.get(vip.key)?.state ?? "pending";
  return byFamilyAndState("arp", vips.filter(({ anycast }) => anycast !== true).map((vip) => ({ address: vip.address, state: state(vip) })));
}

function held(sources: GaugeSources): readonly Sample[] {
  return heldHere(sources).map(({ address, iface, ownership, anycast }) => [{ address, interface: iface, mode: anycast === true ? "bgp" : "arp", key: ownership }, 1]);
}

function owners(sources: GaugeSources): readonly Sample[] {
  const states = [...(sources.newest()?.world.ownership ?? [])];
  return states.filter(([key, state]) => state.held || sources.leaseOf(key) !== undefined).map(([key, state]) => [{ key }, state.held ? 1 : 0]);
}

function holders(sources: GaugeSources): readonly Sample[] {
  const states = [...(sources.newest()?.world.ownership ?? [])];
  return states.filter(([key, { holder }]) => holder !== "" && sources.leaseOf(key) !== undefined).map(([key, { holder }]) => [{ key, holder }, 1]);
}

function* leaseAges(sources: GaugeSources): Generator<Sample> {
  for (const key of sources.newest()?.world.ownership.keys() ?? []) {
    const age = sources.leaseAgeMs(key);
    if (age !== undefined) yield [{ key }, age / 1000];
  }
}

/** In BGP mode those with a route that is announced, in ARP mode those with a VIP. */
function servedServices(sources: GaugeSources): ReadonlySet<string> {
  const newest = sources.newest();
  if (newest === undefined) return new Set();
  const routes = [...newest.plan.wants.bgp.values()].filter(({ key }) => newest.world.observedRoutes.get(key)?.state === "up");
  const vips = heldVips(newest).filter(({ anycast }) => anycast !== true);
  return new Set([...vips, ...routes].flatMap(({ owners: services }) => services));
}

function skipped(sources: GaugeSources): readonly Sample[] {
  return counted("reason", [], [...(sources.newest()?.plan.skipped.values() ?? [])].map(({ code }) => code));
}

function links(sources: GaugeSources): readonly Sample[] {
  const all = [...(sources.newest()?.world.links.values() ?? [])].filter(({ loopback }) => !loopback);
  return counted("state", ["up", "noCarrier", "down"], all.map(({ up, carrier }) => (!up ? "down" : carrier ? "up" : "noCarrier")));
}

function names(sources: GaugeSources): readonly Sample[] {
  const newest = sources.newest();
  const states = [...(newest?.plan.names ?? [])].map((name) => {
    const result = newest?.world.names.get(name);
    if (result === undefined) return "pending";
    if (result.error !== undefined) return "failed";
    return result.addresses.length > 0 ? "resolved" : "gone";
  });
  return counted("state", ["resolved", "pending", "failed", "gone"], states);
}

function dhcpLeases(sources: GaugeSources): readonly Sample[] {
  const newest = sources.newest();
  const states = [...(newest?.plan.wants.dhcp.keys() ?? [])].map((key) => newest?.world.leases.get(key)?.phase ?? "init");
  return counted("state", ["init", "selecting", "requesting", "rebooting", "probing", "bound", "renewing", "rebinding"], states);
}

function dataplane(sources: GaugeSources): readonly Sample[] {
  return counted("state", ["ready", "notReady", "unknown"], sources.newest()?.world.dataplane.values() ?? []);
}

function* checks(sources: GaugeSources): Generator<Sample> {
  for (const [endpoint, list] of Object.entries(sources.checks())) {
    for (const { name, problem } of list) yield [{ endpoint, name }, problem === undefined ? 1 : 0];
  }
}

function* leaders(sources: GaugeSources): Generator<Sample> {
  for (const [key, state] of sources.newest()?.world.ownership ?? []) {
    const lease = sources.leaseOf(key);
    if (lease !== undefined) yield [{ node: sources.node, lease_name: lease }, state.held ? 1 : 0];
  }
}

function activeServices(sources: GaugeSources): readonly Sample[] {
  return counted("namespace", [], [...servedServices(sources)].map((service) => service.split("/")[0] ?? ""));
}
