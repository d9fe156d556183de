import { familyOf, ipToBytes, parseIp, type Family, type IpAddress } from "./ip.js";

const DOT = 46;
const COLON = 58;

/** Addresses of one family from `first` to `last`, both included, as numbers (the address read as one big-endian integer). */
export interface IpRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** A range that is a prefix: `first` has no host bits, `last` has all of them. */
export interface Cidr extends IpRange {
  /** 0 to 32, or to 128. */
  readonly prefix: number;
}

/** `192.0.2.0/24` or `2001:db8::/64`; host bits are cut off. Undefined where `text` is no CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const [before = "", after = "", ...rest] = text.split("/");
  const address = parseIp(before);
  if (address === undefined || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(after)) return undefined;
  const family = familyOf(address);
  const bits = family === 4 ? 32 : 128;
  const prefix = Number(after);
  if (prefix > bits) return undefined;
  const host = (1n << BigInt(bits - prefix)) - 1n;
  const last = ipToNumber(address) | host;
  return { family, first: last - host, last, prefix };
}

/** `192.0.2.10-192.0.2.20`, spaces around the dash allowed, or one address. Undefined where `text` is neither, or runs backwards, or over both families. */
export function parseIpRange(text: string): IpRange | undefined {
  const ends = text.split("-").map((end) => parseIp(end.trim()));
  const from = ends[0];
  const to = ends.length === 1 ? from : ends[1];
  if (from === undefined || to === undefined || ends.length > 2 || familyOf(from) !== familyOf(to)) return undefined;
  const [first, last] = [ipToNumber(from), ipToNumber(to)];
  return first <= last ? { family: familyOf(from), first, last } : undefined;
}

/** An address as one big-endian integer of 32 or 128 bits. */
export function ipToNumber(address: IpAddress): bigint {
  // Runs for every address of every planning pass, so without the general parser: this text is canonical.
  if (address.includes(".")) return address.includes(":") ? bytesToNumber(ipToBytes(address)) : BigInt(quadToNumber(address));
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groupsOf(address);
  return (BigInt((a * 65536 + b) * 65536 + c) << 80n) | (BigInt((d * 65536 + e) * 65536 + f) << 32n) | BigInt(g * 65536 + h);
}

/** The canonical text of a number below 2^32, or 2^128. */
export function ipFromNumber(family: Family, value: bigint): IpAddress {
  if (family === 6) return ipv6Text(value);
  const n = Number(value);
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}` as IpAddress;
}

/** The same addresses as sorted ranges (by family, then by number) that neither overlap nor touch. */
export function mergeRanges(ranges: readonly IpRange[]): readonly IpRange[] {
  const merged: IpRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.family - b.family || (a.first < b.first ? -1 : Number(a.first > b.first)))) {
    const before = merged.at(-1);
    if (before === undefined || before.family !== range.family || range.first > before.last + 1n) merged.push(range);
    else if (range.last > before.last) merged[merged.length - 1] = { family: range.family, first: before.first, last: range.last };
  }
  return merged;
}

/** All addresses of these ranges one after the other, made only as they are asked for; with `descending` from the last one down. */
export function* eachIp(ranges: readonly IpRange[], descending: boolean): Generator<IpAddress> {
  for (const { family, first, last } of descending ? ranges.toReversed() : ranges) {
    // In blocks that differ in the last part of the text only: walks over what is taken are long, and this is several times as fast as number by number.
    const [bits, most] = family === 4 ? [8n, 255] : [16n, 65535];
    const [lowest, highest] = [first >> bits, last >> bits];
    const step = descending ? -1n : 1n;
    for (let block = descending ? highest : lowest; block >= lowest && block <= highest; block += step) {
      const head = ipFromNumber(family, (block << bits) | 1n).slice(0, -1);
      const low = block === lowest ? Number(first & BigInt(most)) : 0;
      const high = block === highest ? Number(last & BigInt(most)) : most;
      for (let i = 0; i <= high - low; i++) {
        const part = descending ? high - i : low + i;
        // An IPv6 address that ends in zeros may have its `::` elsewhere.
        yield family === 6 && part === 0 ? ipFromNumber(6, block << bits) : (`${head}${part.toString(family === 4 ? 10 : 16)}` as IpAddress);
      }
    }
  }
}

/** How many addresses are in ranges that do not overlap. */
export function countIps(ranges: readonly IpRange[]): bigint {
  return ranges.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
}

/** True where `value` is in one of these ranges, which are sorted, do not overlap and are of one family. */
export function inRanges(ranges: readonly IpRange[], value: bigint): boolean {
  let [low, high] = [0, ranges.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle];
    if (range === undefined) return false;
    if (value >= range.first && value <= range.last) return true;
    if (value < range.first) high = middle - 1;
    else low = middle + 1;
  }
  return false;
}

/** True where some address is in both. */
export function overlap(a: IpRange, b: IpRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

function quadToNumber(quad: string): number {
  let [value, octet] = [0, 0];
  for (let i = 0; i < quad.length; i++) {
    const code = quad.charCodeAt(i);
    if (code !== DOT) octet = octet * 10 + code - 48;
    else [value, octet] = [value * 256 + octet, 0];
  }
  return value * 256 + octet;
}

/** The eight groups of an IPv6 text without a dotted end. */
function groupsOf(text: string): readonly number[] {
  const groups = [0, 0, 0, 0, 0, 0, 0, 0];
  let [at, group, digits, gap] = [0, 0, 0, 8];
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? COLON : text.charCodeAt(i);
    if (code !== COLON) {
      group = group * 16 + (code > 96 ? code - 87 : code - 48);
      digits++;
      continue;
    }
    if (digits > 0) groups[at++] = group;
    else gap = Math.min(gap, at);
    group = 0;
    digits = 0;
  }
  // What stands behind `::` belongs to the end.
  for (let from = at - 1, to = 7; from >= gap && from < to; from--, to--) {
    groups[to] = groups[from] ?? 0;
    groups[from] = 0;
  }
  return groups;
}

function bytesToNumber(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** RFC 5952 4: no leading zeros, lower case, the first of the longest runs of two or more zero groups as `::`. */
function ipv6Text(value: bigint): IpAddress {
  const groups: number[] = [];
  for (let shift = 96n; shift >= 0n; shift -= 32n) {
    const word = Number((value >> shift) & 0xffffffffn);
    groups.push(word >>> 16, word & 0xffff);
  }
  const { start, length } = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":") as IpAddress;
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}` as IpAddress;
}

function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [i, group] of groups.entries()) {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  }
  return best;
}
