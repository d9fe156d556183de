import type { IpAddress } from "../lib/ip.js";
import { DECLINE, OPTION_CLIENT_FQDN, OPTION_SOL_MAX_RT, REBIND, RELEASE, RENEW, REQUEST, SOLICIT } from "../wire/dhcp6/codes.js";
import { FQDN_SERVER_UPDATES } from "../wire/dhcp6/fqdn.js";
import type { IaNa } from "../wire/dhcp6/ia-na.js";
import type { Dhcp6Options } from "../wire/dhcp6/options.js";
import type { Dhcp6Action, Dhcp6ClientConfig, Dhcp6Offer, Dhcp6State } from "./dhcp6-client-state.js";

type Send = Extract<Dhcp6Action, { readonly type: "send" }>;

interface Content {
  readonly type: number;
  readonly address: IpAddress | undefined;
  readonly now: number;
  readonly more: Partial<Dhcp6Options>;
}

/** RFC 8415 18.2.1: to whoever gives addresses. Without an address that is liked the first server may give one at once (rapid commit). */
export function solicit(state: Dhcp6State, config: Dhcp6ClientConfig, now: number): Send {
  const more: Partial<Dhcp6Options> = { ...asking(config), ...(state.wanted === undefined && { rapidCommit: true }) };
  return message(state, config, { type: SOLICIT, address: state.wanted, now, more });
}

/** RFC 8415 18.2.2: what this server offers is taken. */
export function request(state: Dhcp6State, config: Dhcp6ClientConfig, now: number): Send {
  const { address, serverId } = state.offer ?? {};
  return message(state, config, { type: REQUEST, address, now, more: { ...asking(config), ...(serverId !== undefined && { serverId }) } });
}

/** RFC 8415 18.2.4: more time, of the server that gave it. */
export function renew(state: Dhcp6State, config: Dhcp6ClientConfig, now: number): Send {
  const { address, serverId } = state.lease ?? {};
  return message(state, config, { type: RENEW, address, now, more: { ...asking(config), ...(serverId !== undefined && { serverId }) } });
}

/** RFC 8415 18.2.5: the same, of whoever can give it. */
export function rebind(state: Dhcp6State, config: Dhcp6ClientConfig, now: number): Send {
  return message(state, config, { type: REBIND, address: state.lease?.address, now, more: asking(config) });
}

/** RFC 8415 18.2.7. */
export function release(state: Dhcp6State, config: Dhcp6ClientConfig, { now, about }: { readonly now: number; readonly about: Dhcp6Offer }): Send {
  return message(state, config, { type: RELEASE, address: about.address, now, more: { serverId: about.serverId } });
}

/** RFC 8415 18.2.8. */
export function decline(state: Dhcp6State, config: Dhcp6ClientConfig, { now, about }: { readonly now: number; readonly about: Dhcp6Offer }): Send {
  return message(state, config, { type: DECLINE, address: about.address, now, more: { serverId: about.serverId } });
}

/** RFC 8415 18.2.1: SOL_MAX_RT is asked for always. RFC 4704 5: the name, and what the server made of it. */
function asking({ hostname }: Dhcp6ClientConfig): Partial<Dhcp6Options> {
  if (hostname === undefined) return { requestedOptions: [OPTION_SOL_MAX_RT] };
  const name = hostname.includes(".") && !hostname.endsWith(".") ? `${hostname}.` : hostname;
  return { requestedOptions: [OPTION_CLIENT_FQDN, OPTION_SOL_MAX_RT], fqdn: { flags: FQDN_SERVER_UPDATES, name } };
}

function message(state: Dhcp6State, config: Dhcp6ClientConfig, { type, address, now, more }: Content): Send {
  const addresses = address === undefined ? [] : [{ address, preferredSeconds: 0, validSeconds: 0, other: [] }];
  const ia: IaNa = { iaid: config.iaid, t1Seconds: 0, t2Seconds: 0, addresses, other: [] };
  // RFC 8415 21.9: hundredths of a second since the first message of the exchange.
  const elapsed = Math.min(Math.floor((now - state.startedAt) / 10), 0xffff);
  return { type: "send", message: { type, transactionId: state.transactionId, options: { clientId: config.duid, iaNa: [ia], elapsed, other: [], ...more } } };
}
