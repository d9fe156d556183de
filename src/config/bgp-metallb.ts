import { loadAll, YAMLException } from "js-yaml";
import { parseCommunities } from "../lib/bgp-community.js";
import { isLikely, nearest } from "../lib/near.js";
import type { BfdTiming, BgpRoutePolicy } from "../lib/bgp-peer.js";
import { bfdProblem } from "./bgp-peer-text.js";
import { BFD_DEFAULT, type BgpPeerDraft } from "./bgp-peer-draft.js";
import { PEER_FIELDS, type Names } from "./bgp-metallb-fields.js";

/** Peers of a text as MetalLB's ConfigMap has them. */
export interface MetalLbPeers {
  /** Undefined where nothing of the text can be read, so that what was known before should stay. */
  readonly drafts: readonly BgpPeerDraft[] | undefined;
  /** A line for each thing that is not used; without passwords. */
  readonly problems: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

const TOP = ["peers", "bfd-profiles", "bgp-communities"];
/** What of MetalLB's text is about addresses, which come from elsewhere here. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([["address-pools", "addresses come from svc_addresses or the ConfigMap kubevip, communities from annotations of Services"]]);
/** What our BFD does not have: a session works without. */
const BFD_UNUSED = ["echo-interval", "echo-mode", "passive-mode", "minimum-ttl"];
const BFD_FIELDS = ["name", "receive-interval", "transmit-interval", "detect-multiplier", ...BFD_UNUSED];

/**
 * Reads `peers:`, `bfd-profiles:` and `bgp-communities:` of MetalLB's ConfigMap (YAML), with our own fields beside MetalLB's. A peer with a value that does not
 * fit is left out; a field that nobody knows is told, and the peer counts. Names may be written as in MetalLB's custom resources, too (`peerAddress`).
 */
export function parseMetalLb(text: string, source: string): MetalLbPeers {
  const document = parsed(text);
  if ("problem" in document) return { drafts: undefined, problems: [`${source}: ${document.problem}`] };
  const top = kebab(document.fields);
  const problems = Object.keys(top).flatMap((key) => topProblem(source, key));
  const names = { communities: aliasesOf(top["bgp-communities"], source, problems), profiles: profilesOf(top["bfd-profiles"], source, problems) };
  const peers = listOf(top["peers"]);
  if (peers === undefined) problems.push(`${source}: peers: expected a list`);
  const drafts = (peers ?? []).flatMap((raw, index) => {
    const read = peerOf(raw, { from: `${source}, peer ${index + 1}`, names });
    problems.push(...read.problems);
    return read.draft ?? [];
  });
  return { drafts, problems };
}

function parsed(text: string): { readonly fields: Fields } | { readonly problem: string } {
  try {
    const documents = loadAll(text);
    if (documents.length > 1) return { problem: "expected one document" };
    const fields = documents[0] ?? {};
    return isFields(fields) ? { fields } : { problem: "expected keys and values, such as peers: and a list" };
  } catch (error) {
    // Only the place: the message may quote a part of the text, and that a password.
    const line = error instanceof YAMLException ? error.mark?.line : undefined;
    return { problem: `expected YAML${line === undefined ? "" : `, see line ${line + 1}`}` };
  }
}

function topProblem(source: string, key: string): readonly string[] {
  const elsewhere = ELSEWHERE.get(key);
  if (elsewhere !== undefined) return [`${source}: ${key} is not used: ${elsewhere}`];
  return TOP.includes(key) ? [] : [`${source}: ${unknownField(key, TOP)}`];
}

interface PeerPlace {
  readonly from: string;
  readonly names: Names;
}

function peerOf(raw: unknown, { from, names }: PeerPlace): { readonly draft: BgpPeerDraft | undefined; readonly problems: readonly string[] } {
  if (!isFields(raw)) return { draft: undefined, problems: [`${from}: expected fields such as peer-address and peer-asn`] };
  const fields = kebab(raw);
  const address = fields["peer-address"] ?? fields["interface"];
  const label = typeof address === "string" ? `${from} (${address})` : from;
  const wrong: string[] = [];
  const hints: string[] = [];
  const parts: Partial<BgpPeerDraft>[] = [];
  for (const [key, value] of Object.entries(fields)) {
    const field = Object.hasOwn(PEER_FIELDS, key) ? PEER_FIELDS[key] : undefined;
    if (value === null) continue;
    if (field === undefined) {
      hints.push(`${label}: ${unknownField(key, Object.keys(PEER_FIELDS))}`);
      continue;
    }
    const read = field.read(value, names);
    if ("expected" in read) wrong.push(`${label}: ${key}${field.secret === true ? "" : ` ${quote(value)}`}: expected ${read.expected}`);
    else {
      parts.push(read.value);
      if (read.hint !== undefined) hints.push(`${label}: ${key}: ${read.hint}`);
    }
  }
  const policy: BgpRoutePolicy = Object.assign({}, ...parts.map((part) => part.policy)) as BgpRoutePolicy;
  const { peerAs, ...rest }: Partial<BgpPeerDraft> = Object.assign({}, ...parts) as Partial<BgpPeerDraft>;
  if (fields["peer-asn"] === undefined && fields["dynamic-asn"] === undefined) wrong.push(`${label}: expected peer-asn`);
  if (address === undefined) wrong.push(`${label}: expected peer-address, or interface for an unnumbered peer`);
  if (wrong.length > 0 || peerAs === undefined) return { draft: undefined, problems: [...wrong, ...hints] };
  return { draft: { ...rest, peerAs, policy: Object.keys(policy).length === 0 ? undefined : policy, from: label }, problems: hints };
}

function aliasesOf(raw: unknown, source: string, problems: string[]): ReadonlyMap<string, string> {
  const aliases = new Map<string, string>();
  for (const [name, value] of Object.entries(isFields(raw) ? raw : {})) {
    if (typeof value === "string" && parseCommunities([value]).bad.length === 0) aliases.set(name, value);
    else problems.push(`${source}: bgp-communities ${name} ${quote(value)}: expected a community such as 65000:100 (in quotes) or 64496:1:2`);
  }
  return aliases;
}

function profilesOf(raw: unknown, source: string, problems: string[]): ReadonlyMap<string, BfdTiming> {
  const profiles = new Map<string, BfdTiming>();
  for (const [index, one] of (listOf(raw) ?? []).entries()) {
    const fields = isFields(one) ? kebab(one) : {};
    const name = fields["name"];
    const label = `${source}, bfd-profile ${typeof name === "string" ? name : index + 1}`;
    const number = (key: string, fallback: number): number => (typeof fields[key] === "number" ? fields[key] : fields[key] === undefined ? fallback : Number.NaN);
    const timing = { receiveMs: number("receive-interval", BFD_DEFAULT.receiveMs), transmitMs: number("transmit-interval", BFD_DEFAULT.transmitMs), multiplier: number("detect-multiplier", BFD_DEFAULT.multiplier) };
    const expected = typeof name === "string" ? bfdProblem(timing) : "a name";
    if (expected !== undefined || typeof name !== "string") problems.push(`${label}: expected ${expected}`);
    else profiles.set(name, timing);
    for (const key of Object.keys(fields)) {
      if (BFD_UNUSED.includes(key) && fields[key] !== false) problems.push(`${label}: ${key} is not used`);
      else if (!BFD_FIELDS.includes(key)) problems.push(`${label}: ${unknownField(key, BFD_FIELDS)}`);
    }
  }
  return profiles;
}

function unknownField(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return `${key} is not known and has no effect${near !== undefined && isLikely(key, near) ? `; did you mean ${near.name}?` : ""}`;
}

const LONGEST_QUOTE = 60;

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}...` : text;
}

/** `peerAddress` and `myASN` as `peer-address` and `my-asn`. */
function kebab(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key.replaceAll(/(?<=[a-z])([A-Z])/g, "-$1").toLowerCase(), value]));
}

function isFields(raw: unknown): raw is Fields {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw);
}

/** Nothing is an empty list. */
function listOf(raw: unknown): readonly unknown[] | undefined {
  if (raw === undefined || raw === null) return [];
  return Array.isArray(raw) ? (raw as readonly unknown[]) : undefined;
}
