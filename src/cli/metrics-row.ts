import type { OwnershipKey } from "../core/model.js";
import type { Plan } from "../core/plan.js";
import type { World } from "../core/world.js";
import { familyOf, type IpAddress } from "../lib/ip.js";
import type { BgpPeerReport } from "../modes/bgp-report.js";
import type { Check } from "./readiness.js";

/** Where the figures come from that are read off when somebody asks. */
export interface GaugeSources {
  readonly version: string;
  readonly node: string;
  newest(): { readonly world: World; readonly plan: Plan } | undefined;
  /** The name of the Lease of a key that stays for good; undefined for others. */
  leaseOf(key: OwnershipKey): string | undefined;
  /** Since the start of the renew that is in force, ms; undefined where nothing is held. */
  leaseAgeMs(key: OwnershipKey): number | undefined;
  /** How long a pass of the planning loop has been waited for, ms. */
  passWaitMs(): number;
  /** Of the request that has waited longest for the kernel, ms; 0 without one. */
  netlinkWaitMs(): number;
  /** Since the API was last heard, ms; undefined where it never was. */
  apiSilentMs(): number | undefined;
  /** Sessions with BGP peers; undefined in ARP mode. */
  bgpPeers?(): readonly BgpPeerReport[];
  checks(): { readonly livez: readonly Check[]; readonly readyz: readonly Check[] };
}

/** Labels of one sample. */
export type Labels = Readonly<Record<string, string>>;
/** One line of what is served. */
export type Sample = readonly [labels: Labels, value: number];

/** One metric that is read off. */
export interface GaugeRow {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Counted by somebody else, and only ever more. */
  readonly counter?: true;
  readonly samples: (sources: GaugeSources) => Iterable<Sample>;
}

/** One sample for each of `all`, also where there is none of it: a series that comes and goes cannot be alerted on. */
export function counted(label: string, all: readonly string[], found: Iterable<string>): readonly Sample[] {
  const counts = new Map(all.map((value) => [value, 0]));
  for (const value of found) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => [{ [label]: value }, count]);
}

/** How many of each family are in each state. */
export function byFamilyAndState(mode: "arp" | "bgp", found: readonly { readonly address: IpAddress; readonly state: string }[]): readonly Sample[] {
  return ([4, 6] as const).flatMap((family) => {
    const states = found.filter(({ address }) => familyOf(address) === family).map(({ state }) => state);
    return counted("state", ["up", "pending", "failed"], states).map(([labels, value]): Sample => [{ mode, family: `ipv${family}`, ...labels }, value]);
  });
}
