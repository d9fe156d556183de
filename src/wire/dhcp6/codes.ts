/*
 * Numbers of DHCPv6 as in RFC 8415 7.3, 21 and 24.
 */

export const DHCP6_CLIENT_PORT = 546;
export const DHCP6_SERVER_PORT = 547;

export const SOLICIT = 1;
export const ADVERTISE = 2;
export const REQUEST = 3;
export const RENEW = 5;
export const REBIND = 6;
export const REPLY = 7;
export const RELEASE = 8;
export const DECLINE = 9;
/** Relays to servers and back: another header. */
export const RELAY_FORW = 12;
export const RELAY_REPL = 13;

export const OPTION_CLIENTID = 1;
export const OPTION_SERVERID = 2;
export const OPTION_IA_NA = 3;
export const OPTION_IAADDR = 5;
export const OPTION_ORO = 6;
export const OPTION_PREFERENCE = 7;
export const OPTION_ELAPSED_TIME = 8;
export const OPTION_STATUS_CODE = 13;
export const OPTION_RAPID_COMMIT = 14;
/** RFC 4704. */
export const OPTION_CLIENT_FQDN = 39;
export const OPTION_SOL_MAX_RT = 82;

/** Status codes, RFC 8415 21.13. */
export const STATUS_SUCCESS = 0;
export const STATUS_UNSPEC_FAIL = 1;
export const STATUS_NO_ADDRS_AVAIL = 2;
export const STATUS_NO_BINDING = 3;
export const STATUS_NOT_ON_LINK = 4;
export const STATUS_USE_MULTICAST = 5;

/** RFC 8415 7.7: a lifetime that never ends. */
export const INFINITE_LIFETIME = 0xffff_ffff;
