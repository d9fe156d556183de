import type { RouteReport } from "../core/explain-routes.js";
import type { LeaseReport } from "../core/explain-leases.js";
import type { PortReport } from "../core/explain-ports.js";
import type { NodeReport, OwnershipReport, VipReport } from "../core/explain.js";
import { peerLines } from "./bgp.js";
import { runClusterStatus, type ClusterOptions } from "./cluster-status.js";
import { askDaemons, bodyOf, saidError, type ControlPlace } from "./control-client.js";
import type { StatusReport } from "./control-reports.js";
import { EXIT, type CommandIo, type OutputFormat } from "./io.js";
import { age, shortTime, table, wrap } from "./table.js";

export interface StatusOptions extends ControlPlace, ClusterOptions {
  readonly output: OutputFormat;
  /** Ask the API instead of the daemons of this node. */
  readonly cluster: boolean;
}

/** `vip status`. JSON: `{ "processes": [StatusReport] }`, or ClusterReport with `cluster`. Returns the exit code: 0, or 1 where nobody answers. */
export async function runStatus(options: StatusOptions, io: CommandIo): Promise<number> {
  try {
    if (options.cluster) return await runClusterStatus(options, io);
    const answers = await askDaemons("/v1/status", options);
    const reports = answers.map((answer) => bodyOf(answer) as StatusReport);
    io.out(options.output === "json" ? JSON.stringify({ processes: reports }, undefined, 2) : reports.map(statusText).join("\n\n"));
    return EXIT.ok;
  } catch (error) {
    return saidError(error, options.output, io);
  }
}

/** What `vip status` prints of one process. */
export function statusText(report: StatusReport): string {
  const api = report.controlPlaneHealth === null ? "" : `   api server here: ${report.controlPlaneHealth}`;
  const blocks = [[`node ${report.node}   vip ${report.version}   started ${age(report.started.seconds)} ago${api}`], ownershipLines(report.ownership), ...held(report), leaseLines(report.leases), portLines(report.ports), troubleLines(report)];
  return [...blocks.filter((lines) => lines.length > 0).map((lines) => lines.join("\n")), servicesLines(report.services).join("\n")].join("\n\n");
}

/** Addresses, or peers and routes. */
function held({ vips, routes, bgp }: StatusReport): readonly (readonly string[])[] {
  if (bgp === null) return [vipLines(vips)];
  const peers = bgp.peers.length === 0 ? ["! no BGP peer is configured"] : peerLines(bgp.peers);
  return [peers, routeLines(routes), vips.length === 0 ? [] : vipLines(vips)];
}

function routeLines(routes: readonly RouteReport[]): readonly string[] {
  if (routes.length === 0) return ["no route is announced by this node"];
  const rows = routes.map(({ key, state, since, peers, without, services }) => [key, state, since === null ? "" : age(since.seconds), `${peers.length} of ${peers.length + without.length}`, namesText(services, services.length === 0)]);
  return table(["ROUTE", "STATE", "FOR", "PEERS", "SERVICES"], rows);
}

function ownershipLines(ownership: readonly OwnershipReport[]): readonly string[] {
  if (ownership.length === 0) return ["nothing is owned or watched"];
  const rows = ownership.map(({ key, holder, mine, state, since }) => [key, holder === "" ? `(${state})` : holder, mine ? "yes" : "no", since === null ? "" : shortTime(since.at), since === null ? "" : age(since.seconds)]);
  return table(["OWNERSHIP", "HOLDER", "HERE", "SINCE", "AGE"], rows);
}

function vipLines(vips: readonly VipReport[]): readonly string[] {
  if (vips.length === 0) return ["no address is wanted on this node"];
  const rows = vips.map((vip) => [vip.address, vip.link, vip.state, vip.since === null ? "" : age(vip.since.seconds), kernelText(vip), servicesText(vip)]);
  return [...table(["ADDRESS", "LINK", "STATE", "FOR", "KERNEL", "SERVICES"], rows), ...vips.flatMap(vipTrouble)];
}

function leaseLines(leases: readonly LeaseReport[]): readonly string[] {
  if (leases.length === 0) return [];
  const left = (seconds: LeaseReport["endsIn"]): string => (seconds === null ? "" : seconds === "never" ? "never" : age(seconds));
  const rows = leases.map(({ address, server, state, since, renewsIn, rebindsIn, endsIn, services }) => [address ?? "(none)", server ?? "", state, since === null ? "" : age(since.seconds), left(renewsIn), left(rebindsIn), left(endsIn), namesText(services, false)]);
  return [...table(["LEASE", "FROM", "STATE", "FOR", "RENEW", "REBIND", "END", "SERVICES"], rows), ...leases.flatMap(leaseTrouble)];
}

function leaseTrouble({ address, mac, link, askingFor, lastFailure }: LeaseReport): readonly string[] {
  const what = address ?? `${mac} on ${link}`;
  const asking = askingFor === null ? [] : wrap(`! ${what}: no DHCP server has given ${address === null ? "an address" : "more time"} for ${age(askingFor)}`, 2);
  if (lastFailure === null) return asking;
  return [...asking, ...wrap(`${lastFailure.cleared === null ? "!" : " "} ${what}: failed ${age(lastFailure.last.seconds)} ago: ${lastFailure.text}`, 2)];
}

function portLines(ports: readonly PortReport[]): readonly string[] {
  if (ports.length === 0) return [];
  const rows = ports.map(({ address, port, external, gateway, state, services }) => [`${address} ${port}`, external ?? `(${state})`, gateway ?? "", namesText(services, false)]);
  const wrong = ports.filter(({ why, state }) => why !== null && state !== "asking").flatMap(({ address, port, why }) => wrap(`! ${address} ${port}: ${why}`, 2));
  return [...table(["PORT", "OUTSIDE", "GATEWAY", "SERVICE"], rows), ...wrong];
}

function kernelText({ inKernel, secondsLeft }: VipReport): string {
  if (inKernel === null) return "?";
  if (!inKernel) return "absent";
  return secondsLeft === "forever" ? "no end" : `${secondsLeft}s left`;
}

function servicesText({ services, ownership }: VipReport): string {
  return namesText(services, ownership === "control-plane");
}

/** The first of many: `vip why` and `-o json` have all. */
function namesText([first, ...others]: readonly string[], controlPlane: boolean): string {
  if (first === undefined) return controlPlane ? "(control plane)" : "";
  return others.length === 0 ? first : `${first} and ${others.length} more`;
}

function vipTrouble({ address, error, attempts, conflict, lastFailure }: VipReport): readonly string[] {
  const lines: string[] = [];
  if (error !== null) lines.push(...wrap(`! ${address}: ${error} (${attempts} ${attempts === 1 ? "attempt" : "attempts"}, tried again)`, 2));
  else if (lastFailure !== null) lines.push(...wrap(`  ${address}: failed ${age(lastFailure.last.seconds)} ago: ${lastFailure.text}`, 2));
  if (conflict !== null) lines.push(...wrap(`! ${address}: ${conflict} announces it too`, 2));
  return lines;
}

function troubleLines({ badLinks, problems }: NodeReport): readonly string[] {
  const links = badLinks.filter((name) => name !== "lo").map((name) => `! link ${name} is down or has no carrier`);
  return [...links, ...problems.flatMap((problem) => wrap(`! ${problem}`, 2))];
}

function servicesLines({ known, served, skipped }: NodeReport["services"]): readonly string[] {
  if (known === null) return ["Services: not known to this process"];
  const counts = Object.entries(skipped).toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const refused = counts.length === 0 ? "" : `; not served here: ${counts.map(([code, count]) => `${count} ${code}`).join(", ")} (vip why <namespace>/<service> says why)`;
  return wrap(`Services: ${known} known, ${served} served here${refused}`, 2);
}
