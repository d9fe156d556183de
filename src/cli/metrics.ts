import { Counter, Histogram, Registry } from "prom-client";
import { failuresBetween, Takeovers, type Pass } from "../core/metrics.js";
import type { OwnershipKey } from "../core/model.js";
import type { RequestSeen } from "../kube/client.js";
import type { NeighbourProtocol } from "./kernel-tap.js";

/** Fast answers in the same rack up to a request that runs into its deadline, s. */
const API_SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** A move within one program up to the end of a probe that is asked again and again, s. */
const TAKEOVER_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** A pass over nothing up to one over 100,000 Services, s. */
const PASS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

/** Every Romana VIP has a key of its own: as labels of counters they would never end. */
type KeyKind = "services" | "control-plane" | "romana";

/** What is counted as it happens. What can be read off when somebody asks is in metrics-gauges.ts. */
export class Metrics {
  readonly registry = new Registry();
  readonly #takeoverTimes = new Takeovers();
  readonly #announcements = this.#counter("vip_announcements_total", "Gratuitous ARP packets and unsolicited Neighbor Advertisements sent.", ["protocol"]);
  readonly #probes = this.#counter("vip_probes_total", "Questions sent whether anybody has an address.", ["protocol"]);
  readonly #takeovers = this.#counter("vip_takeovers_total", "Ownerships that came to this node with VIPs behind them.", ["key"]);
  readonly #losses = this.#counter("vip_ownership_lost_total", "Ownerships that this node gave up or lost.", ["key"]);
  readonly #takeoverSeconds = this.#histogram("vip_takeover_seconds", "From an ownership taken to all of its VIPs up.", { labels: ["key"], buckets: TAKEOVER_SECONDS });
  readonly #passSeconds = this.#histogram("vip_reconcile_seconds", "One pass of the planning loop: world in, plan out, verbs begun.", { labels: [], buckets: PASS_SECONDS });
  readonly #failures = this.#counter("vip_reconcile_errors_total", "Failed attempts to bring something up.", ["what", "reason"]);
  readonly #netlinkErrors = this.#counter("vip_netlink_errors_total", "Requests that the kernel refused, and frames that could not be sent.", ["operation", "code"]);
  readonly #requests = this.#counter("vip_api_requests_total", "Requests to the API server; without an answer `code` says why.", ["verb", "resource", "code"]);
  readonly #requestSeconds = this.#histogram("vip_api_request_seconds", "Time of a request to the API server; of a watch to its beginning.", { labels: ["verb", "resource"], buckets: API_SECONDS });
  readonly #renewSeconds = this.#histogram("vip_lease_renew_seconds", "Time of a write to a Lease that took effect.", { labels: [], buckets: API_SECONDS });
  readonly #upnpRefused = this.#counter("vip_upnp_refused_total", "What gateways and other devices sent by UPnP and was not used.", ["reason"]);
  readonly #dhcpDropped = this.#counter("vip_dhcp_dropped_total", "Messages of DHCP servers that were for us and not used.", ["reason"]);
  // kube-vip's name for the same.
  readonly #transitions = this.#counter("kube_vip_leader_election_transitions_total", "As in kube-vip: ownerships that came to this node, by Lease.", ["lease_name"]);

  /** `leaseOf`: the name of the Lease of a key that stays for good; undefined for others. */
  constructor(private readonly leaseOf: (key: OwnershipKey) => string | undefined) {
    // Prometheus sees a counter rise only from a value that it has read before.
    for (const key of ["services", "control-plane"] as const) {
      const lease = leaseOf(key);
      if (lease === undefined) continue;
      for (const counter of [this.#takeovers, this.#losses]) counter.inc({ key }, 0);
      this.#transitions.inc({ lease_name: lease }, 0);
    }
    for (const protocol of ["arp", "ndp"]) for (const counter of [this.#announcements, this.#probes]) counter.inc({ protocol }, 0);
  }

  /** One finished request of the API. */
  requested({ verb, resource, code, ms }: RequestSeen): void {
    this.#requests.inc({ verb, resource, code });
    this.#requestSeconds.observe({ verb, resource }, ms / 1000);
    if (resource === "leases" && verb === "update" && code.startsWith("2")) this.#renewSeconds.observe(ms / 1000);
  }

  netlinkFailed(operation: string, code: string): void {
    this.#netlinkErrors.inc({ operation, code });
  }

  upnpRefused(reason: string): void {
    this.#upnpRefused.inc({ reason });
  }

  dhcpDropped(reason: string): void {
    this.#dhcpDropped.inc({ reason });
  }

  sent(protocol: NeighbourProtocol, kind: "announcement" | "probe"): void {
    (kind === "announcement" ? this.#announcements : this.#probes).inc({ protocol });
  }

  /** A pass was made at `now` (monotonic ms). */
  planned(after: Pass, before: Pass | undefined, now: number): void {
    for (const { what, reason } of failuresBetween(before, after)) this.#failures.inc({ what, reason });
    const { done, lost } = this.#takeoverTimes.pass(after, now);
    for (const { key, ms } of done) {
      this.#takeovers.inc({ key: kindOf(key) });
      this.#takeoverSeconds.observe({ key: kindOf(key) }, ms / 1000);
    }
    for (const key of lost) this.#losses.inc({ key: kindOf(key) });
    for (const [key, { held }] of after.world.ownership) {
      const lease = held && before?.world.ownership.get(key)?.held !== true ? this.leaseOf(key) : undefined;
      if (lease !== undefined) this.#transitions.inc({ lease_name: lease });
    }
  }

  /** A pass took so long. */
  passed(ms: number): void {
    this.#passSeconds.observe(ms / 1000);
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<L extends string>(name: string, help: string, { labels, buckets }: { readonly labels: readonly L[]; readonly buckets: readonly number[] }): Histogram<L> {
    return new Histogram({ name, help, labelNames: labels, buckets: [...buckets], registers: [this.registry] });
  }
}

function kindOf(key: OwnershipKey): KeyKind {
  return key === "services" || key === "control-plane" ? key : "romana";
}
