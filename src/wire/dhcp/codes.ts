/*
 * Numbers of DHCP as in RFC 2131 and RFC 2132.
 */

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

export const BOOTREQUEST = 1;
export const BOOTREPLY = 2;

/** RFC 2132 9.6. */
export const DHCPDISCOVER = 1;
export const DHCPOFFER = 2;
export const DHCPREQUEST = 3;
export const DHCPDECLINE = 4;
export const DHCPACK = 5;
export const DHCPNAK = 6;
export const DHCPRELEASE = 7;

export const OPT_PAD = 0;
export const OPT_SUBNET_MASK = 1;
export const OPT_ROUTER = 3;
export const OPT_DOMAIN_NAME_SERVER = 6;
export const OPT_HOST_NAME = 12;
export const OPT_DOMAIN_NAME = 15;
export const OPT_REQUESTED_IP_ADDRESS = 50;
export const OPT_IP_ADDRESS_LEASE_TIME = 51;
export const OPT_OVERLOAD = 52;
export const OPT_MESSAGE_TYPE = 53;
export const OPT_SERVER_IDENTIFIER = 54;
export const OPT_PARAMETER_REQUEST_LIST = 55;
export const OPT_MESSAGE = 56;
export const OPT_MAXIMUM_MESSAGE_SIZE = 57;
export const OPT_RENEWAL_TIME = 58;
export const OPT_REBINDING_TIME = 59;
export const OPT_VENDOR_CLASS_IDENTIFIER = 60;
export const OPT_CLIENT_IDENTIFIER = 61;
/** RFC 3442. */
export const OPT_CLASSLESS_STATIC_ROUTE = 121;
export const OPT_END = 255;

/** RFC 2131 3.3: a lease that never ends. */
export const INFINITE_SECONDS = 0xffff_ffff;
