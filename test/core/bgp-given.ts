import type { BgpPeerFacts, BgpPeerSettings } from "../../src/core/bgp-peers.js";
import { loadSettings } from "../../src/config/load.js";

/** Settings of a daemon with these variables. */
export function bgpSettings(env: Readonly<Record<string, string>> = {}): BgpPeerSettings {
  return loadSettings({ env: { vip_arp: "true", svc_enable: "true", ...env } }).settings;
}

export const NO_FACTS: BgpPeerFacts = { node: undefined, subnets: new Map(), drafts: [], passwords: {}, password: undefined };
