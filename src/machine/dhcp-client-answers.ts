import { ipToBytes, unusableAsVip, type IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import { BOOTREPLY, DHCPACK, DHCPNAK, DHCPOFFER, INFINITE_SECONDS } from "../wire/dhcp/codes.js";
import type { DhcpMessage } from "../wire/dhcp/message.js";
import type { DhcpClientConfig, DhcpDropReason, DhcpLease, DhcpState } from "./dhcp-client-state.js";

/** What a message of a server means to us. */
export type DhcpAnswer =
  | { readonly type: "offer"; readonly address: IpAddress; readonly server: IpAddress }
  | { readonly type: "ack"; readonly server: IpAddress; readonly leaseSeconds: number }
  | { readonly type: "nak"; readonly server: IpAddress }
  | { readonly type: "dropped"; readonly reason: DhcpDropReason };

/** Where a lease comes from. `startedAt` is when the REQUEST went out, `random` spreads the renewals of many. */
export interface DhcpGrant {
  readonly message: DhcpMessage;
  readonly from: MacAddress | undefined;
  readonly server: IpAddress;
  readonly leaseSeconds: number;
  readonly startedAt: number;
  readonly random: number;
}

const NO_PREFIX = 32;
/** From /31 on there is neither a network nor a broadcast address (RFC 3021). */
const LAST_PREFIX_WITH_BROADCAST = 30;
/** RFC 2131 4.4.5: T1 and T2 where the server names none. */
const RENEWAL_PART = 0.5;
const REBINDING_PART = 0.875;
/** RFC 2131 4.4.5 asks for some fuzz: up to so much of T1 earlier, so that a hundred leases of one minute do not come back in one minute. */
const FUZZ = 0.05;

/** Sorts out what is not for us, not expected now, or no use. */
export function judgeAnswer(state: DhcpState, message: DhcpMessage, config: DhcpClientConfig): DhcpAnswer {
  const { options } = message;
  if (message.op !== BOOTREPLY) return dropped("notAReply");
  if (message.chaddr !== config.mac) return dropped("otherHardware");
  if (message.xid !== state.xid) return dropped("otherTransaction");
  // RFC 6842 3: a server that sends the option sends ours back.
  if (options.clientId !== undefined && !sameOctets(options.clientId, config.clientId)) return dropped("otherClient");
  if (!isExpected(state, options.messageType)) return dropped("unexpectedType");
  const { serverId } = options;
  if (serverId === undefined || unusableAsVip(serverId) !== undefined) return dropped("noServer");
  if (options.messageType === DHCPNAK) return judgeNak(state, serverId);
  if (!isUsable(message, serverId)) return dropped("unusableAddress");
  const { leaseSeconds } = options;
  if (leaseSeconds === undefined || leaseSeconds === 0) return dropped("noLeaseTime");
  if (options.messageType === DHCPOFFER) return { type: "offer", address: message.yiaddr, server: serverId };
  if (state.phase === "requesting" && serverId !== state.offer?.server) return dropped("otherServer");
  return { type: "ack", server: serverId, leaseSeconds };
}

/** The lease that an ACK gives. */
export function grantedLease({ message, from, server, leaseSeconds, startedAt, random }: DhcpGrant): DhcpLease {
  const { options } = message;
  const routes = options.classlessRoutes ?? [];
  return {
    address: message.yiaddr,
    prefix: options.prefix ?? NO_PREFIX,
    // RFC 3442: with classless routes the option of routers must be ignored.
    routers: routes.length > 0 ? [] : (options.routers ?? []),
    routes,
    dnsServers: options.dnsServers ?? [],
    domainName: options.domainName,
    hostname: options.hostname,
    server,
    nextHop: from,
    ...leaseTimes(message, { leaseSeconds, startedAt, random }),
  };
}

function leaseTimes({ options }: DhcpMessage, { leaseSeconds, startedAt, random }: Pick<DhcpGrant, "leaseSeconds" | "startedAt" | "random">): Pick<DhcpLease, "renewAt" | "rebindAt" | "expiresAt"> {
  if (leaseSeconds === INFINITE_SECONDS) return { renewAt: Infinity, rebindAt: Infinity, expiresAt: Infinity };
  const { renewalSeconds = 0, rebindingSeconds = 0 } = options;
  // RFC 2131 4.4.5: T1 must be earlier than T2, and T2 earlier than the end. Times that are not are none.
  const t2 = rebindingSeconds > 0 && rebindingSeconds < leaseSeconds ? rebindingSeconds : leaseSeconds * REBINDING_PART;
  const half = leaseSeconds * RENEWAL_PART;
  const t1 = renewalSeconds > 0 && renewalSeconds < t2 ? renewalSeconds : half < t2 ? half : t2 * RENEWAL_PART;
  return {
    renewAt: startedAt + t1 * 1000 * (1 - FUZZ * random),
    rebindAt: startedAt + t2 * 1000,
    expiresAt: startedAt + leaseSeconds * 1000,
  };
}

function isExpected({ phase }: DhcpState, messageType: number | undefined): boolean {
  if (phase === "selecting") return messageType === DHCPOFFER;
  const asked = phase === "requesting" || phase === "rebooting" || phase === "renewing" || phase === "rebinding";
  return asked && (messageType === DHCPACK || messageType === DHCPNAK);
}

/** A NAK to a question that went to one server counts only from that one. */
function judgeNak(state: DhcpState, server: IpAddress): DhcpAnswer {
  const asked = state.phase === "requesting" ? state.offer?.server : state.phase === "renewing" ? state.lease?.server : server;
  return asked === server ? { type: "nak", server } : dropped("otherServer");
}

function isUsable({ yiaddr, options }: DhcpMessage, server: IpAddress): boolean {
  if (unusableAsVip(yiaddr) !== undefined || yiaddr === server) return false;
  const { prefix = NO_PREFIX } = options;
  if (prefix > LAST_PREFIX_WITH_BROADCAST || prefix === 0) return true;
  const host = new DataView(ipToBytes(yiaddr).buffer).getUint32(0) % 2 ** (NO_PREFIX - prefix);
  return host !== 0 && host !== 2 ** (NO_PREFIX - prefix) - 1;
}

function sameOctets(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, at) => octet === other[at]);
}

function dropped(reason: DhcpDropReason): DhcpAnswer {
  return { type: "dropped", reason };
}
