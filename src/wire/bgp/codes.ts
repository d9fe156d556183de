// RFC 4271 4.1, RFC 2918.
export const MESSAGE_OPEN = 1;
export const MESSAGE_UPDATE = 2;
export const MESSAGE_NOTIFICATION = 3;
export const MESSAGE_KEEPALIVE = 4;
export const MESSAGE_ROUTE_REFRESH = 5;

// RFC 4271 4.5, RFC 7313 5, RFC 9687 4.
export const ERROR_HEADER = 1;
export const ERROR_OPEN = 2;
export const ERROR_UPDATE = 3;
export const ERROR_HOLD_TIMER = 4;
export const ERROR_FSM = 5;
export const ERROR_CEASE = 6;
export const ERROR_ROUTE_REFRESH = 7;
export const ERROR_SEND_HOLD_TIMER = 8;

// RFC 4271 6.1.
export const HEADER_NOT_SYNCHRONIZED = 1;
export const HEADER_BAD_LENGTH = 2;
export const HEADER_BAD_TYPE = 3;

// RFC 4271 6.2, RFC 5492 5.
export const OPEN_UNSPECIFIC = 0;
export const OPEN_VERSION = 1;
export const OPEN_PEER_AS = 2;
export const OPEN_IDENTIFIER = 3;
export const OPEN_OPTIONAL_PARAMETER = 4;
export const OPEN_HOLD_TIME = 6;
export const OPEN_CAPABILITY = 7;

// RFC 4271 6.3.
export const UPDATE_MALFORMED_LIST = 1;
export const UPDATE_UNRECOGNIZED_WELL_KNOWN = 2;
export const UPDATE_MISSING_WELL_KNOWN = 3;
export const UPDATE_FLAGS = 4;
export const UPDATE_LENGTH = 5;
export const UPDATE_ORIGIN = 6;
export const UPDATE_NEXT_HOP = 8;
export const UPDATE_OPTIONAL = 9;
export const UPDATE_NETWORK = 10;
export const UPDATE_AS_PATH = 11;

// RFC 6608 3.
export const FSM_OPEN_SENT = 1;
export const FSM_OPEN_CONFIRM = 2;
export const FSM_ESTABLISHED = 3;

// RFC 4486 4, RFC 8538 3.1, RFC 9384 3.
export const CEASE_ADMIN_SHUTDOWN = 2;
export const CEASE_DECONFIGURED = 3;
export const CEASE_ADMIN_RESET = 4;
export const CEASE_REJECTED = 5;
export const CEASE_CONFIG_CHANGE = 6;
export const CEASE_COLLISION = 7;
export const CEASE_HARD_RESET = 9;
export const CEASE_BFD_DOWN = 10;

// RFC 7313 5.
export const REFRESH_BAD_LENGTH = 1;

interface CodeName {
  readonly name: string;
  readonly subcodes: Readonly<Record<number, string>>;
}

/** The names of the IANA registry, so that an operator finds them in the router's log, too. */
const NAMES: Readonly<Record<number, CodeName>> = {
  [ERROR_HEADER]: { name: "Message Header Error", subcodes: { 1: "Connection Not Synchronized", 2: "Bad Message Length", 3: "Bad Message Type" } },
  [ERROR_OPEN]: {
    name: "OPEN Message Error",
    subcodes: {
      1: "Unsupported Version Number",
      2: "Bad Peer AS",
      3: "Bad BGP Identifier",
      4: "Unsupported Optional Parameter",
      5: "Authentication Failure",
      6: "Unacceptable Hold Time",
      7: "Unsupported Capability",
      11: "Role Mismatch",
    },
  },
  [ERROR_UPDATE]: {
    name: "UPDATE Message Error",
    subcodes: {
      1: "Malformed Attribute List",
      2: "Unrecognized Well-known Attribute",
      3: "Missing Well-known Attribute",
      4: "Attribute Flags Error",
      5: "Attribute Length Error",
      6: "Invalid ORIGIN Attribute",
      7: "AS Routing Loop",
      8: "Invalid NEXT_HOP Attribute",
      9: "Optional Attribute Error",
      10: "Invalid Network Field",
      11: "Malformed AS_PATH",
    },
  },
  [ERROR_HOLD_TIMER]: { name: "Hold Timer Expired", subcodes: {} },
  [ERROR_FSM]: {
    name: "Finite State Machine Error",
    subcodes: { 1: "Unexpected Message in OpenSent State", 2: "Unexpected Message in OpenConfirm State", 3: "Unexpected Message in Established State" },
  },
  [ERROR_CEASE]: {
    name: "Cease",
    subcodes: {
      1: "Maximum Number of Prefixes Reached",
      2: "Administrative Shutdown",
      3: "Peer De-configured",
      4: "Administrative Reset",
      5: "Connection Rejected",
      6: "Other Configuration Change",
      7: "Connection Collision Resolution",
      8: "Out of Resources",
      9: "Hard Reset",
      10: "BFD Down",
    },
  },
  [ERROR_ROUTE_REFRESH]: { name: "ROUTE-REFRESH Message Error", subcodes: { 1: "Invalid Message Length" } },
  [ERROR_SEND_HOLD_TIMER]: { name: "Send Hold Timer Expired", subcodes: {} },
};

/** `Cease/Administrative Shutdown`; a number stands for what has no name. Subcode 0 says nothing more and is left out. */
export function codeName(code: number, subcode: number): string {
  const entry = NAMES[code];
  const name = entry?.name ?? `code ${code}`;
  return subcode === 0 ? name : `${name}/${entry?.subcodes[subcode] ?? subcode}`;
}
