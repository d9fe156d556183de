import { parseMetalLb } from "../config/bgp-metallb.js";
import type { Settings } from "../config/settings.js";
import { bgpWarnings } from "../core/bgp-check.js";
import { bgpPeers, type BgpPeers } from "../core/bgp-peers.js";
import { fileText } from "./watch-bgp.js";

/** The peers that settings and files name, without those of the API and what the links of the node say; and what is wrong with the files. */
export function peersOfSettings(settings: Settings): BgpPeers {
  const { bgpConfigFile: path } = settings;
  const read = path === undefined ? { text: "" } : fileText(path);
  const file = "problem" in read ? { drafts: [], problems: [`bgp_config_file="${path}": expected a file that can be read: ${read.problem}`] } : parseMetalLb(read.text, path ?? "");
  // What depends on links is said by the daemon, which knows them.
  const plain: Settings = { ...settings, bgpAnnotations: undefined, bgpRouterInterface: undefined, bgpNextHopMode: settings.bgpNextHopMode === "fixed" ? "fixed" : undefined };
  const labels = { labels: {}, annotations: {} };
  const { peers, problems } = bgpPeers(plain, { node: labels, subnets: new Map(), drafts: (file.drafts ?? []).map((draft) => ({ ...draft, nodeSelectors: undefined })), passwords: {}, password: undefined });
  return { peers, problems: [...file.problems, ...problems] };
}

/** What `vip check` says of BGP: peers that are left out, then what works and is not meant so. */
export function bgpCheck(settings: Settings): readonly string[] {
  if (!settings.bgp) return [];
  const { peers, problems } = peersOfSettings(settings);
  const elsewhere = settings.bgpAnnotations ?? settings.bgpConfigMap;
  const none = peers.length === 0 && elsewhere === undefined ? ["BGP has no peer: name one by bgp_peers, bgp_peeraddress, bgp_config_file, bgp_configmap or annotation"] : [];
  return [...problems, ...none, ...bgpWarnings(peers, settings)];
}
