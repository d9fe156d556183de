import { parseAs } from "../lib/as-number.js";
import type { BfdTiming } from "../lib/bgp-peer.js";
import { familyOf, parseIp, type Family, type IpAddress } from "../lib/ip.js";
import { BFD_DEFAULT, MULTIHOP_TTL, type BgpPeerDraft, type MpNextHop } from "./bgp-peer-draft.js";
import { FALSE, TRUE } from "./setting-types.js";

/** kube-vip's list of peers, read: those that are right, and a line for each that is not. No line has a password in it. */
export interface PeerTexts {
  readonly peers: readonly BgpPeerDraft[];
  readonly problems: readonly string[];
  /** Works, but may not be meant so. */
  readonly warnings: readonly string[];
}

type Tail = Pick<BgpPeerDraft, "multihopTtl" | "port" | "mp" | "bfd">;
type Parsed<T> = { readonly value: T } | { readonly expected: string };

const AS_NUMBER = "an AS number from 1 to 4294967294, internal or external";
const FORM = "<address>:<AS>[:<password>[:<multihop>[:<port>[:<mpbgp>[:<bfd>]]]]]";

/**
 * `192.0.2.1:65000:secret:true:179:mpbgp_nexthop=...;mpbgp_ipv6=...:true;300;300;3`, comma separated; an IPv6 address in brackets, with its link where it is
 * link-local (`[fe80::1%eth0]`), or `unnumbered:eth0`. A password with colons or commas stands in double quotes; without them it ends at the first colon
 * after which the rest can be read as what follows a password.
 */
export function parsePeerTexts(text: string, source = "bgp_peers"): PeerTexts {
  const read = splitPeers(text).map((one, index) => peerOf(one, `${source}, peer ${index + 1}`));
  return {
    peers: read.flatMap((one) => ("value" in one ? [one.value] : [])),
    problems: read.flatMap((one) => ("expected" in one ? [one.expected] : [])),
    warnings: read.flatMap((one) => ("value" in one && one.guessed ? [`${one.value.from}: its password has a colon; in double quotes it is clear where it ends`] : [])),
  };
}

/** The same list with `***` where passwords are. */
export function maskPeerTexts(text: string): string {
  return splitPeers(text)
    .map((one) => {
      const [, head = "", rest = ""] = HEAD.exec(one) ?? [];
      if (head === "" || "expected" in targetOf(head)) return shownHead(one);
      if (rest === "") return head;
      const { password, tail } = splitPassword(rest);
      return `${head}:${password === "" ? "" : "***"}${tail === undefined || tail === "" ? "" : `:${tail}`}`;
    })
    .join(",");
}

/** Of one that cannot be read nobody knows where its password is. */
function shownHead(text: string): string {
  const [first = "", ...more] = text.split(":");
  return more.length === 0 ? first : `${first}:***`;
}

/** Target and AS; then the rest, where there is one. */
const HEAD = /^((?:unnumbered:[^:]+(?::[^:]*)?|(?:\[[^\]]*\]|[^:[\]]*):[^:]*))(?::(.*))?$/s;

/** At commas that are not inside of a quoted password. */
function splitPeers(text: string): readonly string[] {
  const parts: string[] = [];
  let rest = text;
  while (rest !== "") {
    const [one = ""] = /^(?:[^,:]|:"[^"]*"(?=[:,]|$)|:)*/s.exec(rest) ?? [];
    parts.push(one.trim());
    rest = rest.slice(one.length + 1);
  }
  return parts.filter((part) => part !== "");
}

function peerOf(text: string, from: string): { readonly value: BgpPeerDraft; readonly guessed: boolean } | { readonly expected: string } {
  const [, head = "", rest = ""] = HEAD.exec(text) ?? [];
  if (head === "") return { expected: `${from}: expected ${FORM}, an IPv6 address in brackets` };
  const target = targetOf(head);
  if ("expected" in target) return { expected: `${from} (${shownHead(head)}): ${target.expected}` };
  const { password, tail, guessed } = splitPassword(rest);
  const parsed = tailOf(tail ?? "");
  if ("expected" in parsed) return { expected: `${from} (${head}): ${parsed.expected}` };
  return { value: { from: `${from} (${head})`, ...target.value, ...(password === "" ? {} : { password }), ...parsed.value }, guessed };
}

function targetOf(head: string): Parsed<Pick<BgpPeerDraft, "address" | "iface" | "peerAs">> {
  const [, bare] = /^unnumbered:(.*)$/.exec(head) ?? [];
  if (bare !== undefined) {
    const [iface = "", as = ""] = bare.split(":");
    const peerAs = as === "" ? "external" : asOf(as);
    return peerAs === undefined ? { expected: `AS: expected ${AS_NUMBER}` } : { value: { iface, peerAs } };
  }
  const colon = head.lastIndexOf(":");
  const [where, as] = [head.slice(0, colon), head.slice(colon + 1)];
  const [, text = "", iface] = /^\[?([^%\]]*)(?:%([^\]]+))?\]?$/.exec(where) ?? [];
  const address = parseIp(text);
  if (address === undefined) return { expected: `"${where}": expected an IP address, an IPv6 address in brackets, or unnumbered:<link>` };
  const peerAs = asOf(as);
  if (peerAs === undefined) return { expected: `AS "${as}": expected ${AS_NUMBER}` };
  return { value: { address, peerAs, ...(iface === undefined ? {} : { iface }) } };
}

function asOf(text: string): BgpPeerDraft["peerAs"] | undefined {
  return text === "internal" || text === "external" ? text : parseAs(text);
}

/** What may follow the password. The last address of mpbgp may have colons of its own. */
const TAIL = new RegExp(
  String.raw`^(?<multihop>${[...TRUE, ...FALSE].join("|")}|\d{2,3}|[2-9]|)(?::(?<port>\d{1,5}|)(?::(?<mp>(?:mpbgp_[a-z0-9]+=[^;]*;)*mpbgp_[a-z0-9]+=(?:[^;:]*|[\da-fA-F:.]+|\[[^\]]*\])|)(?::(?<bfd>(?:${[...TRUE, ...FALSE].join("|")})(?:;\d+)*|))?)?)?$`,
);

interface Split {
  readonly password: string;
  /** Undefined: nothing follows the password. */
  readonly tail: string | undefined;
  /** Colons in it were taken as its own, without quotes. */
  readonly guessed: boolean;
}

function splitPassword(rest: string): Split {
  const [quoted, inside = "", after] = /^"([^"]*)"(?::(.*))?$/s.exec(rest) ?? [];
  if (quoted !== undefined) return { password: inside, tail: after, guessed: false };
  const colons = [...rest.matchAll(/:/g)].map(({ index }) => index);
  const [first] = colons;
  // An empty field is no password, and nothing to guess about.
  const at = (first === 0 ? [0] : colons).find((colon) => TAIL.test(rest.slice(colon + 1)));
  if (at !== undefined) return { password: rest.slice(0, at), tail: rest.slice(at + 1), guessed: at !== first };
  if (first === undefined) return { password: rest, tail: undefined, guessed: false };
  // One that was to be as kube-vip's and has an error: that is to be told, and is not a password that nobody meant.
  const meant = first === 0 || /^(?:true|false|\d*):|mpbgp_|;/i.test(rest.slice(first + 1));
  return meant ? { password: rest.slice(0, first), tail: rest.slice(first + 1), guessed: false } : { password: rest, tail: undefined, guessed: true };
}

function tailOf(tail: string): Parsed<Tail> {
  const groups = TAIL.exec(tail)?.groups;
  if (groups === undefined) return { expected: `"${tail}" after the password: expected [<multihop>[:<port>[:<mpbgp>[:<bfd>]]]], such as true:179` };
  const { multihop = "", port = "", mp = "", bfd = "" } = groups;
  if (port !== "" && (Number(port) < 1 || Number(port) > 65_535)) return { expected: `port "${port}": expected one from 1 to 65535` };
  const nextHop = mp === "" ? { value: undefined } : parseMpText(mp);
  if ("expected" in nextHop) return nextHop;
  const timing = bfd === "" ? { value: undefined } : bfdOf(bfd);
  if ("expected" in timing) return timing;
  if (Number(multihop) > 255) return { expected: `multihop "${multihop}": expected true, false or a TTL from 2 to 255` };
  return { value: { multihopTtl: multihopOf(multihop), port: port === "" ? undefined : Number(port), mp: nextHop.value, bfd: timing.value } };
}

function multihopOf(text: string): number | false | undefined {
  if (text === "") return undefined;
  if (FALSE.includes(text)) return false;
  return TRUE.includes(text) ? MULTIHOP_TTL : Number(text);
}

function parseMpText(text: string): Parsed<MpNextHop> {
  const fields = new Map(text.split(";").map((field): [string, string] => [field.slice(0, field.indexOf("=")), field.slice(field.indexOf("=") + 1)]));
  const unknown = [...fields.keys()].find((key) => !["mpbgp_nexthop", "mpbgp_ipv4", "mpbgp_ipv6"].includes(key));
  if (unknown !== undefined) return { expected: `${unknown}: expected mpbgp_nexthop, mpbgp_ipv4 or mpbgp_ipv6` };
  const mode = fields.get("mpbgp_nexthop") ?? "fixed";
  if (mode !== "fixed" && mode !== "auto_sourceip" && mode !== "auto_sourceif") return { expected: `mpbgp_nexthop "${mode}": expected fixed, auto_sourceip or auto_sourceif` };
  const addresses: { 4?: IpAddress; 6?: IpAddress } = {};
  for (const family of [4, 6] as const satisfies readonly Family[]) {
    const given = fields.get(`mpbgp_ipv${family}`)?.replace(/^\[(.*)\]$/, "$1") ?? "";
    if (given === "") continue;
    const address = parseIp(given);
    if (address === undefined || familyOf(address) !== family) return { expected: `mpbgp_ipv${family} "${given}": expected an IPv${family} address` };
    addresses[family] = address;
  }
  return { value: { mode, ...addresses } };
}

/** `enabled;rx_ms;tx_ms;mult`, what is not there as in kube-vip. */
function bfdOf(text: string): Parsed<BfdTiming | false> {
  const [enabled = "", receive = BFD_DEFAULT.receiveMs, transmit = BFD_DEFAULT.transmitMs, multiplier = BFD_DEFAULT.multiplier, ...more] = text.split(";");
  if (FALSE.includes(enabled)) return { value: false };
  const timing = { receiveMs: Number(receive), transmitMs: Number(transmit), multiplier: Number(multiplier) };
  const expected = more.length > 0 ? "enabled;receive ms;transmit ms;multiplier" : bfdProblem(timing);
  return expected === undefined ? { value: timing } : { expected: `bfd "${text}": expected ${expected}` };
}

/** What is expected instead of timings that cannot be, or undefined. */
export function bfdProblem({ receiveMs, transmitMs, multiplier }: BfdTiming): string | undefined {
  const interval = (ms: number): boolean => Number.isSafeInteger(ms) && ms >= 10 && ms <= 60_000;
  if (!interval(receiveMs) || !interval(transmitMs)) return "intervals from 10 to 60000 ms";
  return Number.isSafeInteger(multiplier) && multiplier >= 1 && multiplier <= 255 ? undefined : "a multiplier from 1 to 255";
}
