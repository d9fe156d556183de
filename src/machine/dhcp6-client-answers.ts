import { familyOf, unusableAsVip, type IpAddress } from "../lib/ip.js";
import { ADVERTISE, INFINITE_LIFETIME, REPLY, STATUS_NO_ADDRS_AVAIL, STATUS_NO_BINDING, STATUS_NOT_ON_LINK, STATUS_SUCCESS } from "../wire/dhcp6/codes.js";
import type { IaAddress, IaNa } from "../wire/dhcp6/ia-na.js";
import type { Dhcp6Message } from "../wire/dhcp6/message.js";
import type { Dhcp6Status } from "../wire/dhcp6/status.js";
import type { Dhcp6ClientConfig, Dhcp6DropReason, Dhcp6Lease, Dhcp6Offer, Dhcp6State } from "./dhcp6-client-state.js";

/** What a message of a server means to us. */
export type Dhcp6Answer =
  | { readonly type: "offer"; readonly offer: Dhcp6Offer & { readonly preference: number } }
  | { readonly type: "granted"; readonly offer: Dhcp6Offer; readonly ia: IaNa; readonly row: IaAddress }
  /** It does not know the lease: asked anew it may give the address. */
  | { readonly type: "unbound"; readonly serverId: Uint8Array }
  /** `final`: what was asked for, or held, is not to be had there. Otherwise it is asked for again, by and by. */
  | { readonly type: "refused"; readonly text: string | undefined; readonly final: boolean }
  /** A Decline or a Release was heard. */
  | { readonly type: "done" }
  | { readonly type: "dropped"; readonly reason: Dhcp6DropReason };

/** Where a lease comes from. `startedAt` is when the question went out, `random` spreads the renewals of many. */
export interface Dhcp6Grant {
  readonly offer: Dhcp6Offer;
  readonly ia: IaNa;
  readonly row: IaAddress;
  readonly startedAt: number;
  readonly random: number;
}

/** RFC 8415 21.4: T1 and T2 where the server leaves them to the client, as parts of the preferred lifetime. */
const RENEWAL_PART = 0.5;
const REBINDING_PART = 0.8;
/** RFC 8415 14.2: up to so much of T1 earlier, so that a hundred leases of one minute do not come back in one minute. */
const FUZZ = 0.05;

/** Sorts out what is not for us, not expected now, or no use. */
export function judgeDhcp6Answer(state: Dhcp6State, message: Dhcp6Message, from: IpAddress, config: Dhcp6ClientConfig): Dhcp6Answer {
  const { type, transactionId, options } = message;
  if (type !== ADVERTISE && type !== REPLY) return dropped("notAReply");
  if (transactionId !== state.transactionId) return dropped("otherTransaction");
  // RFC 8415 16.3, 16.10: both identifiers, and the client's is ours.
  if (options.clientId === undefined || !sameOctets(options.clientId, config.duid)) return dropped("otherClient");
  if (!isExpected(state, message)) return dropped("unexpectedType");
  const { serverId } = options;
  if (serverId === undefined) return dropped("noServer");
  const asked = askedServer(state);
  if (asked !== undefined && !sameOctets(asked, serverId)) return dropped("otherServer");
  if (state.phase === "declining" || state.phase === "releasing") return { type: "done" };
  return judgeContent(state, message, { serverId, from, config });
}

function judgeContent(state: Dhcp6State, { type, options }: Dhcp6Message, at: { readonly serverId: Uint8Array; readonly from: IpAddress; readonly config: Dhcp6ClientConfig }): Dhcp6Answer {
  const { serverId, from, config } = at;
  if (isBad(options.status)) return refused(options.status, state.phase);
  // RFC 8415 21.4: one whose T1 is behind T2 is as if it were not there.
  const ia = options.iaNa.find(({ iaid, t1Seconds, t2Seconds }) => iaid === config.iaid && !(t2Seconds > 0 && t1Seconds > t2Seconds));
  if (ia === undefined) return state.phase === "requesting" ? refused(undefined, state.phase) : dropped("noAddress");
  if (isBad(ia.status)) {
    const renewing = state.phase === "renewing" || state.phase === "rebinding";
    return renewing && ia.status.code === STATUS_NO_BINDING ? { type: "unbound", serverId } : refused(ia.status, state.phase);
  }
  const row = chosen(ia.addresses, [state.lease?.address, state.wanted]);
  if (row === undefined) return judgeEmpty(state, ia);
  const offer: Dhcp6Offer = { address: row.address, server: from, serverId };
  return type === ADVERTISE ? { type: "offer", offer: { ...offer, preference: options.preference ?? 0 } } : { type: "granted", offer, ia, row };
}

/** No address that could be used: taken back where the server says so of the one that is held (RFC 8415 18.2.10.1: a valid lifetime of 0). */
function judgeEmpty(state: Dhcp6State, { addresses }: IaNa): Dhcp6Answer {
  const held = addresses.find(({ address }) => address === state.lease?.address);
  if (held !== undefined && (held.validSeconds === 0 || isBad(held.status))) return { type: "refused", text: textOf(held.status), final: true };
  return state.phase === "requesting" ? refused(addresses[0]?.status, state.phase) : dropped("noAddress");
}

/** The lease that a Reply gives. */
export function dhcp6Lease({ offer, ia, row, startedAt, random }: Dhcp6Grant): Dhcp6Lease {
  const { address, server, serverId } = offer;
  const valid = milliseconds(row.validSeconds);
  const preferred = Math.min(row.preferredSeconds === 0 ? valid : milliseconds(row.preferredSeconds), valid);
  // Times that are not before the end are none.
  const t2 = ia.t2Seconds > 0 && milliseconds(ia.t2Seconds) < valid ? milliseconds(ia.t2Seconds) : preferred * REBINDING_PART;
  const half = Math.min(preferred * RENEWAL_PART, t2);
  const t1 = ia.t1Seconds > 0 && milliseconds(ia.t1Seconds) <= t2 ? milliseconds(ia.t1Seconds) : half;
  return { address, server, serverId, renewAt: startedAt + t1 * (1 - FUZZ * random), rebindAt: startedAt + t2, expiresAt: startedAt + valid };
}

function milliseconds(seconds: number): number {
  return seconds === INFINITE_LIFETIME ? Infinity : seconds * 1000;
}

/** The one that is held, the one that is liked, or the first that can be used. */
function chosen(addresses: readonly IaAddress[], liked: readonly (IpAddress | undefined)[]): IaAddress | undefined {
  // RFC 8415 21.6: one that would be preferred for longer than it is valid must be ignored.
  const usable = addresses.filter(
    ({ address, preferredSeconds, validSeconds, status }) => validSeconds > 0 && preferredSeconds <= validSeconds && !isBad(status) && familyOf(address) === 6 && unusableAsVip(address) === undefined,
  );
  for (const address of liked) {
    const row = usable.find((one) => one.address === address);
    if (row !== undefined) return row;
  }
  return usable[0];
}

function isExpected({ phase, wanted }: Dhcp6State, { type, options }: Dhcp6Message): boolean {
  // RFC 8415 18.2.1: a Reply to a Solicit counts with rapid commit only, which was asked for.
  if (phase === "selecting") return type === ADVERTISE || (options.rapidCommit === true && wanted === undefined);
  return type === REPLY && (phase === "requesting" || phase === "renewing" || phase === "rebinding" || phase === "declining" || phase === "releasing");
}

/** Where one server was asked, only its answer counts. */
function askedServer({ phase, offer, lease, leaving }: Dhcp6State): Uint8Array | undefined {
  if (phase === "requesting") return offer?.serverId;
  if (phase === "renewing") return lease?.serverId;
  return phase === "declining" || phase === "releasing" ? leaving?.serverId : undefined;
}

/** RFC 8415 18.2.10: of all that may be wrong, these are no matter of time. */
function refused(status: Dhcp6Status | undefined, phase: Dhcp6State["phase"]): Dhcp6Answer {
  const { code } = status ?? {};
  const final = phase === "requesting" ? code === undefined || code === STATUS_NO_ADDRS_AVAIL || code === STATUS_NOT_ON_LINK || code === STATUS_NO_BINDING : code === STATUS_NOT_ON_LINK;
  return { type: "refused", text: textOf(status), final: final && phase !== "selecting" };
}

function isBad(status: Dhcp6Status | undefined): status is Dhcp6Status {
  return status !== undefined && status.code !== STATUS_SUCCESS;
}

function textOf(status: Dhcp6Status | undefined): string | undefined {
  if (status === undefined) return undefined;
  return status.message === "" ? `status ${status.code}` : status.message;
}

function sameOctets(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, at) => octet === other[at]);
}

function dropped(reason: Dhcp6DropReason): Dhcp6Answer {
  return { type: "dropped", reason };
}
