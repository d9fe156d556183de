import type { IpAddress } from "../lib/ip.js";
import {
  BOOTREQUEST,
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPRELEASE,
  DHCPREQUEST,
  OPT_CLASSLESS_STATIC_ROUTE,
  OPT_DOMAIN_NAME,
  OPT_DOMAIN_NAME_SERVER,
  OPT_IP_ADDRESS_LEASE_TIME,
  OPT_REBINDING_TIME,
  OPT_RENEWAL_TIME,
  OPT_ROUTER,
  OPT_SUBNET_MASK,
} from "../wire/dhcp/codes.js";
import type { DhcpMessage } from "../wire/dhcp/message.js";
import type { DhcpOptions } from "../wire/dhcp/options.js";
import { BROADCAST_IPV4, UNSPECIFIED_IPV4 } from "../wire/ipv4.js";
import type { DhcpAction, DhcpClientConfig, DhcpLease, DhcpState } from "./dhcp-client-state.js";

type Send = Extract<DhcpAction, { readonly type: "send" }>;

/** RFC 3442: the classless routes are asked for in front of the routers. */
const REQUESTED_OPTIONS = Uint8Array.of(
  OPT_SUBNET_MASK,
  OPT_CLASSLESS_STATIC_ROUTE,
  OPT_ROUTER,
  OPT_DOMAIN_NAME_SERVER,
  OPT_DOMAIN_NAME,
  OPT_IP_ADDRESS_LEASE_TIME,
  OPT_RENEWAL_TIME,
  OPT_REBINDING_TIME,
);
/** What fits in one Ethernet frame: 1500 octets without the headers of IPv4 and UDP. */
const MAX_MESSAGE_SIZE = 1472;

/** RFC 2131 4.4.1: to all servers; with the address that would be liked. */
export function discover(state: DhcpState, config: DhcpClientConfig): Send {
  const options = { ...asking(DHCPDISCOVER, config), ...(state.wanted !== undefined && { requestedAddress: state.wanted }) };
  return broadcast(message(state, config, options), UNSPECIFIED_IPV4);
}

/** RFC 2131 4.3.2, SELECTING: this server's offer is taken, which tells the others that theirs are not. */
export function requestOffer(state: DhcpState, config: DhcpClientConfig): Send {
  const { address, server } = state.offer ?? { address: UNSPECIFIED_IPV4, server: UNSPECIFIED_IPV4 };
  const options = { ...asking(DHCPREQUEST, config), requestedAddress: address, serverId: server };
  return broadcast(message(state, config, options), UNSPECIFIED_IPV4);
}

/** RFC 2131 4.3.2, INIT-REBOOT: is this address still ours? No server identifier, ciaddr is zero. */
export function requestKnown(state: DhcpState, config: DhcpClientConfig, address: IpAddress): Send {
  return broadcast(message(state, config, { ...asking(DHCPREQUEST, config), requestedAddress: address }), UNSPECIFIED_IPV4);
}

/** RFC 2131 4.3.2, RENEWING: to the lease's server only; neither requested address nor server identifier. */
export function requestRenewal(state: DhcpState, config: DhcpClientConfig, lease: DhcpLease): Send {
  return unicast(inUse(state, config, { lease, options: asking(DHCPREQUEST, config) }), lease);
}

/** RFC 2131 4.3.2, REBINDING: the same question, to whoever can answer it. */
export function requestRebinding(state: DhcpState, config: DhcpClientConfig, lease: DhcpLease): Send {
  return broadcast(inUse(state, config, { lease, options: asking(DHCPREQUEST, config) }), lease.address);
}

/** RFC 2131 table 5, DECLINE: by broadcast, for the address cannot be used; nothing but what says which lease it is. */
export function decline(state: DhcpState, config: DhcpClientConfig, lease: DhcpLease): Send {
  const options: DhcpOptions = { ...telling(DHCPDECLINE, config, lease), requestedAddress: lease.address };
  return broadcast({ ...message(state, config, options), secs: 0, broadcast: false }, UNSPECIFIED_IPV4);
}

/** RFC 2131 4.4.6: to the server only. One that was not used yet is on no link, so that only a frame to all can leave. */
export function release(state: DhcpState, config: DhcpClientConfig, lease: DhcpLease): Send {
  const told = { ...inUse(state, config, { lease, options: telling(DHCPRELEASE, config, lease) }), secs: 0 };
  return state.lease === lease ? unicast(told, lease) : broadcast(told, lease.address);
}

function asking(messageType: number, config: DhcpClientConfig): DhcpOptions {
  return {
    messageType,
    clientId: config.clientId,
    ...(config.hostname !== undefined && { hostname: config.hostname }),
    ...(config.vendorClass !== undefined && { vendorClass: config.vendorClass }),
    maxMessageSize: MAX_MESSAGE_SIZE,
    requestedOptions: REQUESTED_OPTIONS,
    other: new Map(),
  };
}

function telling(messageType: number, config: DhcpClientConfig, lease: DhcpLease): DhcpOptions {
  return { messageType, clientId: config.clientId, serverId: lease.server, other: new Map() };
}

function message(state: DhcpState, config: DhcpClientConfig, options: DhcpOptions): DhcpMessage {
  return {
    op: BOOTREQUEST,
    hops: 0,
    xid: state.xid,
    secs: state.secs,
    broadcast: config.broadcast,
    ciaddr: UNSPECIFIED_IPV4,
    yiaddr: UNSPECIFIED_IPV4,
    siaddr: UNSPECIFIED_IPV4,
    giaddr: UNSPECIFIED_IPV4,
    chaddr: config.mac,
    options,
  };
}

/** A message of someone who has the address, and so gets unicast. */
function inUse(state: DhcpState, config: DhcpClientConfig, about: { readonly lease: DhcpLease; readonly options: DhcpOptions }): DhcpMessage {
  return { ...message(state, config, about.options), ciaddr: about.lease.address, broadcast: false };
}

function broadcast(content: DhcpMessage, sourceIp: IpAddress): Send {
  return { type: "send", message: content, path: { via: "broadcast", sourceIp, destinationIp: BROADCAST_IPV4 } };
}

function unicast(content: DhcpMessage, { address, server, nextHop }: DhcpLease): Send {
  return { type: "send", message: content, path: { via: "unicast", sourceIp: address, destinationIp: server, nextHop } };
}
