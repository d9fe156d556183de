import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { registerGauges } from "../../src/cli/metrics-gauges.js";
import { routeKey, type Route, type ServiceKey } from "../../src/core/model.js";
import type { BgpPeerReport } from "../../src/modes/bgp-report.js";
import { ip } from "../core/explain-input.js";
import { DOWN, UP } from "./bgp-given.js";
import { givenPass, givenSources, givenVip } from "./metrics-given.js";

const ADDRESS = ip("192.0.2.10");
const KEY = routeKey(ADDRESS, 32);
const route: Route = { key: KEY, owners: ["default/web" as ServiceKey], address: ADDRESS, length: 32, policy: {} };
const other: Route = { ...route, key: routeKey(ip("2001:db8::10"), 128), owners: ["default/six" as ServiceKey], address: ip("2001:db8::10"), length: 128, peers: ["tor2"] };
const UP_NOW = { state: "up", result: undefined } as const;
const attached = { ...givenVip("192.0.2.10"), anycast: true } as const;
const wants = { ...givenPass().plan.wants, arp: new Map([[attached.key, attached]]), bgp: new Map([[KEY, route], [other.key, other]]) };
const pass = givenPass({ plan: { wants }, world: { observedRoutes: new Map([[KEY, UP_NOW]]), observed: new Map([[attached.key, UP_NOW]]) } });

async function read(name: string, peers: readonly BgpPeerReport[] | "arp" = REPORTS): Promise<readonly string[]> {
  const registry = new Registry();
  registerGauges(registry, givenSources(pass, peers === "arp" ? {} : { bgpPeers: () => peers }));
  return (await registry.metrics()).split("\n").filter((line) => new RegExp(`^(# TYPE )?${name}[ {]`).test(line));
}

const REPORTS = [UP, DOWN];
const MET = { tor1: "192.0.2.1:179", tor2: "[2001:db8::2]:179" };

test.each<readonly [string, string, readonly string[]]>([
  ["vip_bgp_session_up", "gauge", ['{peer="tor1"} 1', '{peer="tor2"} 0']],
  ["vip_bgp_routes_sent", "gauge", ['{peer="tor1",family="ipv4"} 1', '{peer="tor1",family="ipv6"} 0', '{peer="tor2",family="ipv4"} 0', '{peer="tor2",family="ipv6"} 0']],
  ["vip_bgp_updates_sent_total", "counter", ['{peer="tor1"} 3', '{peer="tor2"} 3']],
  ["vip_bgp_sessions_lost_total", "counter", ['{peer="tor1"} 1', '{peer="tor2"} 1']],
  ["vip_bfd_session_up", "gauge", ['{peer="tor1"} 1']],
  ["vip_bfd_sessions_established_total", "counter", ['{peer="tor1"} 3']],
  ["vip_bfd_sessions_lost_total", "counter", ['{peer="tor1"} 2']],
  ["vip_bfd_packets_sent_total", "counter", ['{peer="tor1"} 40']],
  ["vip_bfd_packets_received_total", "counter", ['{peer="tor1"} 39']],
  ["vip_bfd_packets_discarded_total", "counter", ['{peer="tor1"} 2']],
  ["metallb_bgp_session_up", "gauge", [`{peer="${MET.tor1}"} 1`, `{peer="${MET.tor2}"} 0`]],
  ["metallb_bgp_announced_prefixes_total", "gauge", [`{peer="${MET.tor1}"} 1`, `{peer="${MET.tor2}"} 0`]],
  ["metallb_bgp_pending_prefixes_total", "gauge", [`{peer="${MET.tor1}"} 1`, `{peer="${MET.tor2}"} 2`]],
  ["metallb_bfd_session_up", "gauge", ['{peer="192.0.2.1"} 1']],
  ["metallb_bfd_control_packet_input", "counter", ['{peer="192.0.2.1"} 39']],
  ["metallb_bfd_control_packet_output", "counter", ['{peer="192.0.2.1"} 40']],
  ["metallb_bfd_session_up_events", "counter", ['{peer="192.0.2.1"} 3']],
  ["metallb_bfd_session_down_events", "counter", ['{peer="192.0.2.1"} 2']],
  ["vip_services_served", "gauge", [" 1"]],
  ["vip_held", "gauge", ['{address="192.0.2.10",interface="eth0",mode="bgp",key="services"} 1']],
])("%s is a %s and says what is known of each peer", async (name, type, expected) => {
  expect(await read(name)).toEqual([`# TYPE ${name} ${type}`, ...expected.map((line) => `${name}${line}`)]);
});

test("the state of a session is one of all, also by kube-vip's name", async () => {
  expect((await read("vip_bgp_session_state")).filter((line) => line.endsWith(" 1"))).toEqual(['vip_bgp_session_state{peer="tor1",state="Established"} 1', 'vip_bgp_session_state{peer="tor2",state="Active"} 1']);
  expect((await read("kube_vip_manager_bgp_session_info")).find((line) => line.endsWith(" 1"))).toBe('kube_vip_manager_bgp_session_info{state="SESSION_STATE_ESTABLISHED",peer="192.0.2.1"} 1');
});

test("in ARP mode there is no series of BGP", async () => {
  for (const name of ["vip_routes", "vip_bgp_session_up", "metallb_bgp_session_up", "metallb_bgp_pending_prefixes_total"]) expect((await read(name, "arp")).slice(1)).toEqual([]);
});
