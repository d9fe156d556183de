import type { Settings } from "../config/settings.js";
import { loadConnection, type ConnectionConfig } from "../kube/config.js";
import { createClusterReader } from "../kube/lease-list.js";
import { messageOf } from "../lib/errors.js";
import { createClock } from "../linux/clock.js";
import { createKernel } from "../linux/kernel.js";
import { createNative } from "../linux/native.js";
import { createTcpTable } from "../linux/tcp-table.js";
import type { Link, LinkAddress } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import { peerFacts, unnumberedFacts } from "./bgp-node-facts.js";
import { vipsInLan } from "./bgp-lan.js";
import type { KernelFact } from "./kernel-facts.js";
import { connection, leaseIds } from "./plan-config.js";

type Found = Omit<KernelFact, "what">;

const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, with: () => SILENT };

/** What these settings find on this node: the link that they name, VIPs that belong on no LAN, peers that another process has taken, and the API with the rights of its kubeconfig. Never rejects. */
export async function nodeFacts(settings: Settings): Promise<readonly KernelFact[]> {
  const names = [...new Set([settings.iface, settings.servicesIface].flatMap((name) => (name === undefined || name === "auto" ? [] : [name])))];
  const here = names.length === 0 && !settings.bgp ? NOTHING : await linksHere();
  const peers = settings.bgp ? await peerFacts(settings, createTcpTable({ native: createNative() })) : [];
  const unnumbered = "error" in here ? [] : unnumberedFacts(settings, here.links, here.addresses);
  const lan = "error" in here ? [] : vipsInLan(settings, here.links, here.addresses);
  return [...names.map((name) => ({ what: `link ${name}`, ...linkFact(name, "error" in here ? here.error : here.links) })), ...lan, ...unnumbered, ...peers, { what: "API", ...(await apiFact(settings)) }];
}

/** `links` is a text where they could not be read. */
export function linkFact(name: string, links: readonly Link[] | string): Found {
  if (typeof links === "string") return { state: "unknown", detail: links };
  const link = links.find((one) => one.name === name);
  if (link === undefined) return { state: "missing", detail: `not on this node: expected one of ${links.filter(({ loopback }) => !loopback).map((one) => one.name).join(", ")}` };
  if (link.up && link.carrier) return { state: "ok", detail: "up, with carrier" };
  return { state: "missing", detail: link.up ? "has no carrier: this node is not eligible for its VIPs" : `is down: ip link set ${name} up` };
}

interface LinksHere {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
}

const NOTHING: LinksHere = { links: [], addresses: [] };

async function linksHere(): Promise<LinksHere | { readonly error: string }> {
  try {
    await using kernel = createKernel({ log: SILENT, clock: createClock() });
    const { signal } = new AbortController();
    const [links, addresses] = await Promise.all([kernel.links(signal), kernel.addresses(signal)]);
    return { links, addresses };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

/** By one Lease of these settings: whoever may read that has credentials and rights. */
async function apiFact(settings: Settings): Promise<Found> {
  const from: ConnectionConfig = connection(settings);
  const [id] = leaseIds(settings).values();
  if (id === undefined) return { state: "unknown", detail: "neither Services nor the control plane are to be served" };
  try {
    const { source, url } = loadConnection(from);
    await using reader = createClusterReader(from, { clock: createClock(), log: SILENT });
    const lease = await reader.lease(id, new AbortController().signal);
    const holder = lease?.record.holderIdentity ?? "";
    return { state: "ok", detail: `${url.host} by ${source}; Lease ${id.namespace}/${id.name} ${lease === undefined ? "is not there yet" : `is held by ${holder === "" ? "nobody" : holder}`}` };
  } catch (error) {
    return { state: "missing", detail: messageOf(error) };
  }
}
