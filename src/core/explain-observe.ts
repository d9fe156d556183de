import { assertNever, messageOf } from "../lib/errors.js";
import type { Service } from "../ports/kube.js";
import { KUBE_PROXY_HEALTH_PORT } from "./dataplane.js";
import { observeBgp } from "./explain-bgp.js";
import type { ExplainInput } from "./explain-input.js";
import type { OwnershipReport, VipReport } from "./explain.js";
import type { LeaseReport } from "./explain-leases.js";
import { gatewaySeen } from "./explain-upnp.js";
import type { RuleName } from "./explain-rules.js";
import type { Seen, ServiceView } from "./explain-view.js";
import { trafficOf } from "./plan-romana.js";
import { askedOf } from "./plan-service.js";

const passed = (text: string): Seen => ({ outcome: "passed", text });

/** The value that a rule looked at. `plan` decides; this only tells what it decided on, so that the two cannot disagree. */
export function observe(rule: RuleName, view: ServiceView): Seen {
  const { service, input } = view;
  const byBgp = observeBgp(rule, view);
  if (byBgp !== undefined) return byBgp;
  switch (rule) {
    case "lists":
      return passed(`complete, Services: ${input.world.services?.size ?? 0}`);
    case "type":
      return passed(typeText(service, input));
    case "ignore":
      return passed(service.annotations["kube-vip.io/ignore"] ?? "not set");
    case "class":
      return passed(service.loadBalancerClass ?? "none");
    case "address":
      return passed(addressText(view));
    case "lease":
      return leaseSeen(view);
    case "endpoints":
      return passed(endpointsText(view));
    case "data plane":
      return dataplaneSeen(view);
    case "ownership":
      return ownershipSeen(view.ownership);
    case "conflict":
      return passed("no other use of the address is known");
    case "link":
      return passed([...new Set(view.vips.map(({ link }) => link))].join(", ") || "not chosen yet");
    case "duplicate":
      return duplicateSeen(view.vips);
    case "kernel":
      return kernelSeen(view.vips);
    case "announced":
      return announcedSeen(view.vips);
    case "status":
      return statusSeen(view);
    case "gateway":
      return gatewaySeen(view);
    default:
      return assertNever(rule);
  }
}

function typeText(service: Service, { config }: ExplainInput): string {
  const asked = askedOf(service, config);
  const romana = asked.type !== "skip" && asked.romana;
  return service.type !== "LoadBalancer" && romana ? `${service.type}, with an annotation romanavip` : service.type;
}

/** Where the addresses come from, and those that were chosen. */
function addressText({ service, input, vips, routes }: ServiceView): string {
  const asked = askedOf(service, input.config);
  const chosen = [...new Set([...vips.map(({ address }) => address), ...routes.map(({ key }) => key.replace(/\/\d+$/, ""))])].join(", ");
  if (asked.type === "any") return `none named, one of a pool${chosen === "" ? "" : `: ${chosen}`}`;
  if (asked.type === "skip") return asked.reason.message;
  const names = asked.entries.map((entry) => ("address" in entry ? entry.address : "dhcp" in entry ? (entry.dhcp.family === 4 ? "0.0.0.0, by DHCP" : "::, by DHCPv6") : entry.name)).join(", ");
  const resolved = asked.entries.some((entry) => !("address" in entry)) && chosen !== "" ? `, which is ${chosen}` : "";
  return `${names} (${asked.from})${resolved}`;
}

function endpointsText({ key, service, input }: ServiceView): string {
  const endpoints = input.world.endpoints?.get(key);
  const local = endpoints === undefined || endpoints.local === "none" ? "none" : `some, ${endpoints.local}`;
  return `${endpoints?.serving === true ? "some serve" : "none serves"}; on this node: ${local}; externalTrafficPolicy ${service.externalTrafficPolicy}`;
}

/** What this node asked: the health port of the Service (policy Local), and that of kube-proxy. For a Romana VIP also how its traffic is led. */
function dataplaneSeen({ service, input, vips }: ServiceView): Seen {
  const { world, config } = input;
  const ports = [service.healthCheckNodePort, KUBE_PROXY_HEALTH_PORT].flatMap((port) => (port === undefined ? [] : [port]));
  const answers = ports.flatMap((port) => (world.dataplane.has(port) ? [`port ${port} of this node: ${world.dataplane.get(port)}`] : []));
  const asked = askedOf(service, config);
  const says = asked.type !== "skip" && asked.romana ? [trafficOf({ service }, world, config).says] : [];
  const text = [...answers, ...says].join("; ") || "not asked";
  const led = vips.flatMap(({ key }) => world.observedDnat.get(key) ?? []);
  const failed = led.find((one) => one.state === "failed");
  if (failed !== undefined) return { outcome: "refused", text: `${text}; ${messageOf(failed.error)} (tried again)`, next: nextOf(messageOf(failed.error)) };
  return led.some(({ state }) => state === "pending") ? { outcome: "pending", text } : passed(text);
}

function ownershipSeen({ key, mine, state, since }: OwnershipReport): Seen {
  if (mine) return passed(`${key}: this node${since === null ? "" : `, since ${since.at}`}`);
  return { outcome: "pending", text: `${key}: ${state}` };
}

function duplicateSeen(vips: readonly VipReport[]): Seen {
  const rivals = vips.filter(({ conflict }) => conflict !== null);
  if (rivals.length === 0) return passed("nobody else answers for it");
  const text = rivals.map(({ address, conflict }) => `${address} is announced by ${conflict} too`).join(", ");
  return { outcome: "passed", text: `${text}; kept and defended`, next: "find the host with that MAC and take the address off it" };
}

function kernelSeen(vips: readonly VipReport[]): Seen {
  const failed = vips.filter(({ state }) => state === "failed");
  const text = vips.map(kernelText).join(", ");
  if (failed.length > 0) return { outcome: "refused", text, next: nextOf(failed[0]?.error ?? "") };
  if (vips.length === 0 || vips.some(({ state }) => state !== "up")) return { outcome: "pending", text: text === "" ? "nothing wanted here" : text };
  if (vips.some(({ inKernel }) => inKernel === false)) return { outcome: "pending", text, next: "it should be back within a second; else look for `not done, tried again` in the log of vip" };
  return passed(text);
}

function kernelText({ address, link, state, error, attempts, inKernel, secondsLeft }: VipReport): string {
  const where = `${address} on ${link}`;
  if (state === "failed") return `${error ?? where} (${attempts} ${attempts === 1 ? "attempt" : "attempts"}, tried again)`;
  if (state === "pending") return `${where}: being put`;
  if (inKernel === null) return `${where}: put (the kernel could not be read)`;
  if (!inKernel) return `${where}: put, but not there now`;
  return `${where}: there, ${secondsLeft === "forever" ? "without end" : `${secondsLeft} s left`}`;
}

/** What to do about an error of the kernel. */
function nextOf(error: string): string {
  if (/\bEPERM\b|\bEACCES\b/.test(error)) return "vip needs CAP_NET_ADMIN and CAP_NET_RAW: securityContext.capabilities.add of its pod";
  if (/\bETIME\b/.test(error)) return "the ownership was about to end: look at the round trip to the API (`lease request failed` in the log of vip)";
  return "it is tried again by itself; the log of vip has every attempt";
}

function announcedSeen(vips: readonly VipReport[]): Seen {
  const up = vips.filter(({ state }) => state === "up");
  if (up.length === 0) return { outcome: "pending", text: "only once it is up" };
  return passed(up.map(({ address, since }) => `${address} (${address.includes(":") ? "NDP" : "ARP"})${since === null ? "" : ` since ${since.at}`}`).join(", "));
}

/** How far the leases of one Service are: one of each family at the most. */
function leaseSeen({ leases, ownership }: ServiceView): Seen {
  if (leases.length === 0) return { outcome: "passed", text: ownership.mine ? "not asked for yet" : "asked for by the node that holds the Service" };
  return { outcome: leases.some(({ address }) => address === null) ? "pending" : "passed", text: leases.map(leaseText).join("; ") };
}

function leaseText(lease: LeaseReport): string {
  const { address, server, mac, link, state, askingFor } = lease;
  if (address === null) return `${state}, MAC ${mac} on ${link}${askingFor === null ? "" : `, for ${askingFor} s`}`;
  const text = `${address} from ${server} (${state}), MAC ${mac} on ${link}; ${timesText(lease)}`;
  return askingFor === null ? text : `${text}; no answer for ${askingFor} s`;
}

function timesText({ renewsIn, rebindsIn, endsIn }: LeaseReport): string {
  return endsIn === "never" ? "without end" : `asked for again in ${renewsIn} s, of any server in ${rebindsIn} s, ends in ${endsIn} s`;
}

/** As we wish it, against as the API has it. */
function statusSeen({ input, key, api }: ServiceView): Seen {
  const has = `${api.ingress.join(", ") || "no address"}, node ${api.node ?? "not named"}`;
  const wish = input.plan.statuses.get(key);
  if (wish === undefined) return api.ingress.length === 0 ? { outcome: "pending", text: has } : passed(has);
  const wished = (wish.ingress ?? []).map(({ ip, hostname }) => (typeof ip === "string" ? ip : typeof hostname === "string" ? hostname : "?"));
  return { outcome: "pending", text: `${has}; being written: ${wished.join(", ") || "no address"}` };
}
