import type { LeaseRecord } from "../lib/lease-record.js";

/** One life of a member. Numbers only grow, also when its Lease has been deleted meanwhile: a claim of an earlier life is void. */
export interface Ref {
  readonly node: string;
  readonly incarnation: number;
}

/** Who has a key. `heir`: to whom the owner gives it; `from`: from whom the owner has it, as long as that one may still have the address. */
export interface Claim {
  readonly owner: Ref;
  readonly heir: Ref | undefined;
  readonly from: Ref | undefined;
}

/** What a member says of itself in its Lease `vip-member-<node>`; others change only `state`. */
export interface MemberRecord {
  readonly incarnation: number;
  /** Tells the writes of one process apart, with `process`. */
  readonly seq: number;
  /** Random, anew in every process. */
  readonly process: string;
  readonly state: "live" | "fenced" | "released";
  /** Wants no keys and gives up those that it has. */
  readonly drain: boolean;
  /** How many keys it takes in proportion to other members; 1 by default. */
  readonly weight: number;
  /** How the life before this one ended: a member that was fenced gets nothing by rebalancing for a while. */
  readonly after: "nothing" | "fenced" | "released";
}

/** The claims of one shard. `kept`: entries of a version that is not this one, which go back as they are and whose keys nobody takes. */
export interface ShardContent {
  readonly claims: ReadonlyMap<string, Claim>;
  readonly kept: ReadonlyMap<string, unknown>;
}

/** Annotation of a Lease `vip-member-<node>`. */
export const MEMBER_ANNOTATION = "vip.internal/member";
/** Annotation of a Lease `vip-claims-<shard>`. */
export const CLAIMS_ANNOTATION = "vip.internal/claims";
export const EMPTY_SHARD: ShardContent = { claims: new Map(), kept: new Map() };

/** `json`: not the JSON object that it has to be. `member`: a field of a member is missing or of another type. */
export class ClaimError extends Error {
  override readonly name = "ClaimError";

  constructor(
    readonly code: "json" | "member",
    message: string,
  ) {
    super(message);
  }
}

/**
 * Text of the annotation, by key, for people to read, too:
 *
 *     {"default/web":"node-1#7", "default/api":"node-1#7>node-2#4", "default/db":"node-2#4<node-1#7"}
 *
 * `node#incarnation` of the owner, then `>heir`, then `<from`. Keys are sorted: the same claims give the same text.
 */
export function encodeShard({ claims, kept }: ShardContent): string {
  const entries: [string, unknown][] = [...kept];
  for (const [key, claim] of claims) entries.push([key, claimText(claim)]);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(entries));
}

/** No annotation: no claims. Throws ClaimError. */
export function decodeShard(text: string | undefined): ShardContent {
  if (text === undefined || text === "") return EMPTY_SHARD;
  const claims = new Map<string, Claim>();
  const kept = new Map<string, unknown>();
  for (const [key, value] of Object.entries(objectOf(text))) {
    const claim = typeof value === "string" ? parseClaim(value) : undefined;
    if (claim === undefined) kept.set(key, value);
    else claims.set(key, claim);
  }
  return { claims, kept };
}

/** Bytes that the API server counts. */
export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

export function encodeMember(record: MemberRecord): string {
  const { incarnation, seq, process, state, drain, weight, after } = record;
  return JSON.stringify({ incarnation, seq, process, state, drain, weight, after });
}

/** Throws ClaimError. */
export function decodeMember(text: string | undefined): MemberRecord {
  const { incarnation, seq, process, state, drain, weight, after } = objectOf(text ?? "");
  if (!isCount(incarnation) || !isCount(seq)) throw new ClaimError("member", "a member without incarnation or seq");
  if (state !== "live" && state !== "fenced" && state !== "released") throw new ClaimError("member", `a member whose state is ${JSON.stringify(state)}`);
  return {
    incarnation,
    seq,
    process: typeof process === "string" ? process : "",
    state,
    drain: drain === true,
    weight: typeof weight === "number" && weight > 0 && Number.isFinite(weight) ? weight : 1,
    after: after === "fenced" || after === "released" ? after : "nothing",
  };
}

/** The fields of the Lease itself, for `kubectl get leases`; nothing reads them back. `time`: MicroTime of this write. */
export function memberLease(node: string, record: MemberRecord, write: { readonly time: string; readonly leaseSeconds: number }): LeaseRecord {
  const holderIdentity = record.state === "live" ? node : "";
  return { holderIdentity, leaseDurationSeconds: write.leaseSeconds, acquireTime: undefined, renewTime: write.time, leaseTransitions: 0 };
}

export function sameRef(a: Ref | undefined, b: Ref | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.node === b.node && a.incarnation === b.incarnation);
}

function claimText({ owner, heir, from }: Claim): string {
  return `${refText(owner)}${heir === undefined ? "" : `>${refText(heir)}`}${from === undefined ? "" : `<${refText(from)}`}`;
}

function refText({ node, incarnation }: Ref): string {
  return `${node}#${incarnation}`;
}

const CLAIM = /^([^#<>]+)#(\d{1,15})(?:>([^#<>]+)#(\d{1,15}))?(?:<([^#<>]+)#(\d{1,15}))?$/;

function parseClaim(text: string): Claim | undefined {
  const [, node, incarnation, heir, heirIncarnation, from, fromIncarnation] = CLAIM.exec(text) ?? [];
  const owner = refOf(node, incarnation);
  return owner === undefined ? undefined : { owner, heir: refOf(heir, heirIncarnation), from: refOf(from, fromIncarnation) };
}

function refOf(node: string | undefined, incarnation: string | undefined): Ref | undefined {
  return node === undefined || incarnation === undefined ? undefined : { node, incarnation: Number(incarnation) };
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ClaimError("json", `not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ClaimError("json", "not a JSON object");
  return value as Readonly<Record<string, unknown>>;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
