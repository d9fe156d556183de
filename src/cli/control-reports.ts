import type { BgpMode } from "../modes/bgp.js";
import { serviceReport, type ServiceReport } from "../core/explain-service.js";
import type { ExplainInput } from "../core/explain-input.js";
import { nodeReport, type NodeReport } from "../core/explain.js";
import type { History, Moment } from "../core/history.js";
import type { ServiceKey } from "../core/model.js";
import type { Plan, PlanConfig } from "../core/plan.js";
import type { World } from "../core/world.js";
import type { Clock } from "../ports/clock.js";
import type { Addresses, LinkAddress } from "../ports/kernel.js";
import { peerReport, peerView, sentRouteReport, type PeerReport, type SentRouteReport } from "./bgp-report.js";
import type { Reports } from "./control-socket.js";

/** While somebody holds the rtnl lock the kernel does not answer; a report then goes without. */
const KERNEL_MS = 1000;

export interface ReportsConfig {
  readonly plan: PlanConfig;
  readonly version: string;
  readonly node: string;
}

export interface ReportsDeps {
  readonly clock: Clock;
  readonly kernel: Pick<Addresses, "addresses">;
  readonly history: History;
  /** Undefined in ARP mode. */
  readonly bgp?: Pick<BgpMode, "reports" | "routes"> | undefined;
  /** World and plan of the newest pass; undefined before the first. */
  newest(): { readonly world: World; readonly plan: Plan } | undefined;
}

/** Reports of this process, each made from what is known at the moment of asking. */
/** What `vip status` asks for. */
export interface StatusReport extends NodeReport {
  /** Null in ARP mode. */
  readonly bgp: BgpPeersReport | null;
}

/** What `vip bgp peers` asks for. */
export interface BgpPeersReport {
  readonly node: string;
  readonly peers: readonly PeerReport[];
}

/** What `vip bgp routes` asks for. */
export interface BgpRoutesReport {
  readonly node: string;
  readonly peers: readonly { readonly name: string; readonly state: string; readonly routes: readonly SentRouteReport[] }[];
}

export function createReports(config: ReportsConfig, deps: ReportsDeps): Reports {
  const startedAt = momentOf(deps.clock);
  const input = async (): Promise<ExplainInput> => {
    const kernel = await kernelNow(deps);
    const newest = deps.newest();
    if (newest === undefined) throw new Error("vip is starting: nothing is known yet");
    const peers = deps.bgp?.reports().map((report) => peerView(report, (peer) => deps.bgp?.routes(peer) ?? []));
    return { ...newest, kernel, peers, config: config.plan, history: deps.history, at: momentOf(deps.clock), version: config.version, startedAt };
  };
  const { bgp } = deps;
  const bgpPeers = (): BgpPeersReport | null => (bgp === undefined ? null : { node: config.node, peers: bgp.reports().map((report) => peerReport(report, momentOf(deps.clock))) });
  const bgpRoutes = (peer: string | undefined): BgpRoutesReport | null => {
    if (bgp === undefined) return null;
    const asked = bgp.reports().filter((report) => peer === undefined || report.peer.name === peer);
    return { node: config.node, peers: asked.map((report) => ({ name: report.peer.name, state: report.state, routes: bgp.routes(report.peer.name).map(sentRouteReport) })) };
  };
  return {
    status: async (): Promise<StatusReport> => ({ ...nodeReport(await input()), bgp: bgpPeers() }),
    why: async (service): Promise<ServiceReport> => serviceReport(await input(), service as ServiceKey),
    bgpPeers: async () => bgpPeers(),
    bgpRoutes: async (peer) => bgpRoutes(peer),
  };
}

/** This moment on both clocks. */
export function momentOf(clock: Clock): Moment {
  return { now: clock.now(), wallMs: clock.wallTime() };
}

/** Undefined where the kernel does not answer, or refuses. */
async function kernelNow({ kernel, clock }: ReportsDeps): Promise<readonly LinkAddress[] | undefined> {
  const abort = new AbortController();
  const late = clock.after(KERNEL_MS, () => abort.abort(new DOMException("too late", "AbortError")));
  const aborted = new Promise<undefined>((resolve) => abort.signal.addEventListener("abort", () => resolve(undefined), { once: true }));
  try {
    return await Promise.race([kernel.addresses(abort.signal), aborted]);
  } catch {
    // The report says that the kernel could not be read; why, is in the log of who needs it.
    return undefined;
  } finally {
    late.cancel();
  }
}
