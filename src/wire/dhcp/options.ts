import type { IpAddress } from "../../lib/ip.js";
import { DecodeError } from "../reader.js";
import type { RawOptions } from "./areas.js";
import { decodeClasslessRoutes, encodeClasslessRoutes, type ClasslessRoute } from "./classless-routes.js";
import * as code from "./codes.js";
import { ADDRESS, ADDRESSES, MASK, OCTETS, TEXT, U16, U32, U8, type OptionKind } from "./option-kinds.js";

/** The options that a client knows. Times are seconds; `INFINITE_SECONDS` never ends. */
export interface DhcpOptions {
  /** DHCPDISCOVER to DHCPRELEASE, or another number as it came. Absent in BOOTP. */
  readonly messageType?: number;
  readonly clientId?: Uint8Array;
  readonly serverId?: IpAddress;
  readonly requestedAddress?: IpAddress;
  readonly leaseSeconds?: number;
  readonly renewalSeconds?: number;
  readonly rebindingSeconds?: number;
  /** Option 1 as a prefix length. */
  readonly prefix?: number;
  readonly routers?: readonly IpAddress[];
  /** Option 121. Where it is there, `routers` are to be ignored (RFC 3442). */
  readonly classlessRoutes?: readonly ClasslessRoute[];
  readonly dnsServers?: readonly IpAddress[];
  readonly domainName?: string;
  readonly hostname?: string;
  /** Why a server refused. */
  readonly message?: string;
  readonly maxMessageSize?: number;
  readonly vendorClass?: string;
  /** Codes of the options that a client asks for, most wanted first. */
  readonly requestedOptions?: Uint8Array;
  /** All others as they came, and those of no weight that could not be read. */
  readonly other: RawOptions;
}

interface OptionRow<T> {
  readonly code: number;
  readonly kind: OptionKind<T>;
  /** A malformed one makes the whole message worthless. */
  readonly vital: boolean;
}

type Known = Required<Omit<DhcpOptions, "other">>;

const CLASSLESS_ROUTES: OptionKind<readonly ClasslessRoute[]> = { encode: encodeClasslessRoutes, decode: decodeClasslessRoutes };

/** In the order in which they are sent: the message type first, for some servers look for it there. */
const ROWS: { readonly [K in keyof Known]: OptionRow<Known[K]> } = {
  messageType: { code: code.OPT_MESSAGE_TYPE, kind: U8, vital: true },
  clientId: { code: code.OPT_CLIENT_IDENTIFIER, kind: OCTETS, vital: true },
  serverId: { code: code.OPT_SERVER_IDENTIFIER, kind: ADDRESS, vital: true },
  requestedAddress: { code: code.OPT_REQUESTED_IP_ADDRESS, kind: ADDRESS, vital: true },
  leaseSeconds: { code: code.OPT_IP_ADDRESS_LEASE_TIME, kind: U32, vital: true },
  renewalSeconds: { code: code.OPT_RENEWAL_TIME, kind: U32, vital: true },
  rebindingSeconds: { code: code.OPT_REBINDING_TIME, kind: U32, vital: true },
  prefix: { code: code.OPT_SUBNET_MASK, kind: MASK, vital: true },
  classlessRoutes: { code: code.OPT_CLASSLESS_STATIC_ROUTE, kind: CLASSLESS_ROUTES, vital: false },
  routers: { code: code.OPT_ROUTER, kind: ADDRESSES, vital: false },
  dnsServers: { code: code.OPT_DOMAIN_NAME_SERVER, kind: ADDRESSES, vital: false },
  domainName: { code: code.OPT_DOMAIN_NAME, kind: TEXT, vital: false },
  hostname: { code: code.OPT_HOST_NAME, kind: TEXT, vital: false },
  message: { code: code.OPT_MESSAGE, kind: TEXT, vital: false },
  maxMessageSize: { code: code.OPT_MAXIMUM_MESSAGE_SIZE, kind: U16, vital: false },
  vendorClass: { code: code.OPT_VENDOR_CLASS_IDENTIFIER, kind: TEXT, vital: false },
  requestedOptions: { code: code.OPT_PARAMETER_REQUEST_LIST, kind: OCTETS, vital: false },
};

// What the keys and kinds have to do with each other is checked by the type of ROWS, and is lost when they are walked through.
const WALKED = Object.entries(ROWS) as readonly (readonly [keyof Known, OptionRow<unknown>])[];

/** The options as raw values, ready to be written. A text with a character above U+00FF is a caller's mistake. */
export function encodeOptions(options: DhcpOptions): RawOptions {
  const raw = new Map<number, Uint8Array>();
  for (const [key, row] of WALKED) {
    const value = options[key];
    if (value !== undefined) raw.set(row.code, row.kind.encode(value));
  }
  for (const [other, value] of options.other) if (!raw.has(other)) raw.set(other, value);
  return raw;
}

/** Throws DecodeError where a vital option is malformed; `base` is where the options begin. */
export function decodeOptions(raw: RawOptions, base: number): DhcpOptions {
  const known: Partial<Record<keyof Known, unknown>> = {};
  const other = new Map(raw);
  for (const [key, { code: number, kind, vital }] of WALKED) {
    const value = raw.get(number);
    if (value === undefined) continue;
    try {
      known[key] = kind.decode(value, base);
      other.delete(number);
    } catch (error) {
      if (vital || !(error instanceof DecodeError)) throw error;
      // A router that writes a domain name badly still gives addresses: the option stays in `other`.
    }
  }
  return { ...(known as Omit<DhcpOptions, "other">), other };
}
