/** RFC 1997, RFC 8326, RFC 7999, RFC 9494: names that need no number. */
export const WELL_KNOWN_COMMUNITIES: Readonly<Record<string, number>> = {
  "graceful-shutdown": 0xffff0000,
  "accept-own": 0xffff0001,
  "llgr-stale": 0xffff0006,
  "no-llgr": 0xffff0007,
  blackhole: 0xffff029a,
  "no-export": 0xffffff01,
  "no-advertise": 0xffffff02,
  "no-export-subconfed": 0xffffff03,
  "no-peer": 0xffffff04,
};

/** Three numbers of 32 bits (RFC 8092). */
export interface LargeCommunity {
  readonly global: number;
  readonly local1: number;
  readonly local2: number;
}

/** 32 bits from `65000:100` or a well-known name; undefined for all else. */
export function parseCommunity(text: string): number | undefined {
  const name = text.toLowerCase();
  if (Object.hasOwn(WELL_KNOWN_COMMUNITIES, name)) return WELL_KNOWN_COMMUNITIES[name];
  const parts = numbers(text, 65_535);
  return parts?.length === 2 ? (((parts[0] ?? 0) << 16) | (parts[1] ?? 0)) >>> 0 : undefined;
}

/** From `64496:1:2`; undefined for all else. */
export function parseLargeCommunity(text: string): LargeCommunity | undefined {
  const parts = numbers(text, 0xffffffff);
  if (parts?.length !== 3) return undefined;
  const [global = 0, local1 = 0, local2 = 0] = parts;
  return { global, local1, local2 };
}

/** `65000:100`, or its well-known name. */
export function communityText(community: number): string {
  const known = Object.entries(WELL_KNOWN_COMMUNITIES).find(([, value]) => value === community);
  return known?.[0] ?? `${community >>> 16}:${community & 0xffff}`;
}

/** What a list of communities says, standard ones and large ones; `bad` are those that are neither. */
export interface CommunityList {
  readonly communities: readonly number[];
  readonly largeCommunities: readonly LargeCommunity[];
  readonly bad: readonly string[];
}

export const EXPECTED_COMMUNITIES = "expected communities such as 65000:100, 64496:1:2 (large) or no-export";

/** From texts, one community each: `65000:100`, a well-known name, `64496:1:2` or, as MetalLB writes it, `large:64496:1:2`. The same twice counts once. */
export function parseCommunities(texts: readonly string[]): CommunityList {
  const communities = new Set<number>();
  const large = new Map<string, LargeCommunity>();
  const bad: string[] = [];
  for (const text of texts.map((one) => one.trim())) {
    const standard = parseCommunity(text);
    const three = parseLargeCommunity(text.replace(/^large:/, ""));
    if (standard !== undefined) communities.add(standard);
    else if (three !== undefined) large.set(`${three.global}:${three.local1}:${three.local2}`, three);
    else bad.push(text);
  }
  return { communities: [...communities], largeCommunities: [...large.values()], bad };
}

function numbers(text: string, max: number): readonly number[] | undefined {
  const parts = text.split(":");
  if (!parts.every((part) => /^\d{1,10}$/.test(part) && Number(part) <= max)) return undefined;
  return parts.map(Number);
}
