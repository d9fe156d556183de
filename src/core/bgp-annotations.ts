import { MULTIHOP_TTL, type BgpPeerDraft } from "../config/bgp-peer-draft.js";
import { parseAs } from "../lib/as-number.js";
import { familyOf, parseIp } from "../lib/ip.js";

/** Peers of a Node's annotations, and a line for each thing that is wrong with them. */
export interface AnnotationPeers {
  readonly drafts: readonly BgpPeerDraft[];
  readonly problems: readonly string[];
}

type Texts = Readonly<Record<string, string>>;
type Fields = ReadonlyMap<string, string>;

/** What is read of annotations, behind their prefix and the number of a group. */
export const NODE_PEER_FIELDS = ["node-asn", "peer-asn", "src-ip", "bgp-pass", "peer-multi-hop", "peer-ip"] as const;

/**
 * kube-vip's `<prefix>/[bgp-peers-N-]node-asn`, `peer-asn`, `src-ip`, `peer-ip` (comma list), `bgp-pass` (base64), `peer-multi-hop`, as Equinix's cloud provider
 * writes them. What group N does not say, it has from group 0, and that from the annotations without a number. `src-ip` is router ID and source address.
 * `annotations` undefined: the Node has not been read.
 */
export function annotationPeers(prefix: string, annotations: Texts | undefined): AnnotationPeers {
  if (annotations === undefined) return { drafts: [], problems: [`annotations ${prefix}/: waits for the Node object of this node`] };
  const groups = groupsOf(prefix, annotations);
  const withPeers = [...groups].filter(([, fields]) => fields.has("peer-ip")).toSorted(([a], [b]) => a - b);
  const problems = withPeers.length === 0 ? [`annotation ${prefix}/bgp-peers-0-peer-ip: waits for it on the Node object of this node`] : [];
  const read = withPeers.map(([number]) => groupPeers(labelOf(prefix, number), new Map([-1, 0, number].flatMap((one) => [...(groups.get(one) ?? [])]))));
  return { drafts: read.flatMap(({ drafts }) => drafts), problems: [...problems, ...read.flatMap((one) => one.problems)] };
}

/** By number; -1: those without one. */
function groupsOf(prefix: string, annotations: Texts): ReadonlyMap<number, Fields> {
  const groups = new Map<number, Map<string, string>>();
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(`${prefix}/`)) continue;
    const [, number, field = ""] = /^(?:bgp-peers-(\d{1,4})-)?(.+)$/.exec(key.slice(prefix.length + 1)) ?? [];
    if (!NODE_PEER_FIELDS.some((one) => one === field)) continue;
    const index = number === undefined ? -1 : Number(number);
    const group = groups.get(index) ?? new Map<string, string>();
    groups.set(index, group.set(field, value.trim()));
  }
  return groups;
}

function labelOf(prefix: string, number: number): string {
  return `annotation ${prefix}/${number === -1 ? "" : `bgp-peers-${number}-`}`;
}

function groupPeers(label: string, fields: Fields): AnnotationPeers {
  const problems: string[] = [];
  const need = <T>(field: (typeof NODE_PEER_FIELDS)[number], read: (text: string) => T | undefined, expected: string): T | undefined => {
    const text = fields.get(field) ?? "";
    const value = read(text);
    if (value === undefined) problems.push(`${label}${field}${text === "" ? "" : `="${field === "bgp-pass" ? "***" : text}"`}: expected ${expected}`);
    return value;
  };
  const localAs = need("node-asn", parseAs, "the AS number of this node");
  const peerAs = need("peer-asn", parseAs, "the AS number of the peers");
  const source = need("src-ip", parseIp, "an IP address of this node");
  const multihop = need("peer-multi-hop", boolOf, "true or false");
  const password = fields.has("bgp-pass") ? need("bgp-pass", base64Text, "base64 of a text") : "";
  if (localAs === undefined || peerAs === undefined || source === undefined || multihop === undefined || password === undefined) return { drafts: [], problems };
  const common = { localAs, peerAs, multihopTtl: multihop ? MULTIHOP_TTL : undefined, password: password === "" ? undefined : password, ...(familyOf(source) === 4 ? { routerId: source } : {}) };
  const drafts = (fields.get("peer-ip") ?? "").split(",").flatMap((part): readonly BgpPeerDraft[] => {
    const address = parseIp(part.trim());
    if (address === undefined) problems.push(`${label}peer-ip="${part.trim()}": expected an IP address`);
    return address === undefined ? [] : [{ from: `${label}peer-ip (${address})`, address, ...common, ...(familyOf(source) === familyOf(address) ? { sourceAddress: source } : {}) }];
  });
  return { drafts, problems };
}

function boolOf(text: string): boolean | undefined {
  return text === "" || text === "false" ? false : text === "true" ? true : undefined;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** UTF-8 text from base64 (RFC 4648 4); undefined where it is neither. */
function base64Text(text: string): string | undefined {
  const bare = text.replace(/={0,2}$/, "");
  if (!/^[A-Za-z0-9+/]*$/.test(bare) || bare.length % 4 === 1) return undefined;
  const bits = Array.from(bare, (letter) => ALPHABET.indexOf(letter).toString(2).padStart(6, "0")).join("");
  const octets = bits.match(/.{8}/g) ?? [];
  try {
    return decodeURIComponent(octets.map((octet) => `%${Number.parseInt(octet, 2).toString(16).padStart(2, "0")}`).join(""));
  } catch {
    // No UTF-8: the caller says what was expected.
    return undefined;
  }
}
