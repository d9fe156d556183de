/** What the program `hostile` does on one of its addresses. */
export interface HostileScript {
  /** Octets in hex: the first part goes out when the first message has come, the second with the second one, and so on. */
  readonly sends: readonly string[];
  /** After the last part: a KEEPALIVE each second. Default false. */
  readonly keepalives?: boolean;
  /** After the last part: this message (hex) every 2 ms, and nothing is read any more. */
  readonly flood?: string;
}

/** Scripts by address. */
export type HostileTask = Readonly<Record<string, HostileScript>>;

/** What the program tells. */
export type HostileLine =
  | { readonly address: string; readonly connection: number; readonly type: number; readonly body: string }
  | { readonly address: string; readonly connection: number; readonly closed: true }
  /** So many messages of a flood have been sent. */
  | { readonly address: string; readonly connection: number; readonly flooded: number };

/** An attack, and what follows: a NOTIFICATION in hex (code, subcode, data), or a session that goes on as if nothing had been. */
export interface Attack {
  readonly name: string;
  readonly script: HostileScript;
  readonly follows: string;
}

export const STAYS = "stays";

const OPEN = 1;
const UPDATE = 2;
const NOTIFICATION = 3;
const KEEPALIVE = 4;
const REFRESH = 5;

/** Of the attacker; the node is 64500. */
export const HOSTILE_AS = 64_501;

function u8(value: number): string {
  return value.toString(16).padStart(2, "0");
}

function u16(value: number): string {
  return value.toString(16).padStart(4, "0");
}

/** A message (RFC 4271 4.1); `length` where it is to lie. */
function message(type: number, body = "", length = 19 + body.length / 2): string {
  return `${"ff".repeat(16)}${u16(length)}${u8(type)}${body}`;
}

interface OpenFields {
  readonly version?: number;
  readonly as?: number;
  readonly hold?: number;
  readonly id?: string;
  /** Optional parameters with their length. */
  readonly parameters?: string;
}

/** RFC 4271 4.2. */
function open({ version = 4, as = HOSTILE_AS, hold = 90, id = "0a5e0001", parameters = parameter(2, CAPABILITIES) }: OpenFields = {}): string {
  return message(OPEN, `${u8(version)}${u16(as)}${u16(hold)}${id}${parameters}`);
}

function capability(code: number, value = ""): string {
  return `${u8(code)}${u8(value.length / 2)}${value}`;
}

/** One optional parameter, with the length of all. */
function parameter(type: number, value: string): string {
  const octets = value.length / 2;
  return `${u8(octets + 2)}${u8(type)}${u8(octets)}${value}`;
}

/** IPv4 unicast, route refresh, enhanced route refresh, four-octet AS numbers. */
const CAPABILITIES = [capability(1, "00010001"), capability(2), capability(70), capability(65, `0000${u16(HOSTILE_AS)}`)].join("");

function attribute(flags: number, code: number, value: string): string {
  return `${u8(flags)}${u8(code)}${u8(value.length / 2)}${value}`;
}

const ORIGIN = attribute(0x40, 1, "00");
const AS_PATH = attribute(0x40, 2, `02010000${u16(HOSTILE_AS)}`);
const NEXT_HOP = attribute(0x40, 3, "0a4d0001");
/** 198.51.100.0/24. */
const NLRI = "18c63364";
/** 2001:db8::/32 by 2001:db8::1. */
const REACH_IPV6 = `00020110${"20010db8".padEnd(31, "0")}1002020010db8`;

/** RFC 4271 4.3; the lengths of its parts where they are to lie. */
function update(attributes: string, nlri = NLRI, lengths: { readonly withdrawn?: number; readonly attributes?: number } = {}): string {
  return message(UPDATE, `${u16(lengths.withdrawn ?? 0)}${u16(lengths.attributes ?? attributes.length / 2)}${attributes}${nlri}`);
}

const GOOD = [ORIGIN, AS_PATH, NEXT_HOP].join("");
const ALIVE = message(KEEPALIVE);
/** Of IPv4 unicast. Who answers it between two marks has a session. */
export const ASK_AGAIN = message(REFRESH, "00010001");

function attack(name: string, sends: readonly string[], follows: string): Attack {
  return { name, script: { sends }, follows };
}

/** In the place of the OPEN. */
function opening(name: string, octets: string, follows: string): Attack {
  return attack(name, [octets], follows);
}

/** With the session up. */
function later(name: string, octets: string, follows: string): Attack {
  return attack(name, [open(), `${ALIVE}${octets}`], follows);
}

/** An UPDATE that RFC 7606 wants to be survived: the question behind it is answered. */
function survived(name: string, attributes: string, nlri = NLRI): Attack {
  return { name, script: { sends: [open(), `${ALIVE}${update(attributes, nlri)}${ASK_AGAIN}`], keepalives: true }, follows: STAYS };
}

/** RFC 4271 6.1: the header. */
const HEADERS: readonly Attack[] = [
  opening("a marker with a zero", `00${open().slice(2)}`, "0101"),
  opening("a message of 18 octets", message(OPEN, "", 18), "01020012"),
  opening("an OPEN of 28 octets", message(OPEN, "04fbf5005a0a5e0001", 28), "0102001c"),
  opening("an OPEN of 4097 octets", message(OPEN, "04", 4097), "01021001"),
  opening("a message of type 0", message(0), "010300"),
  opening("a message of type 6", message(6), "010306"),
  attack("a KEEPALIVE of 20 octets", [open(), message(KEEPALIVE, "00")], "01020014"),
  later("an UPDATE of 22 octets", message(UPDATE, "000000"), "01020016"),
  later("an UPDATE of 65535 octets without extended messages", message(UPDATE, "", 65_535), "0102ffff"),
  later("a NOTIFICATION of 20 octets", message(NOTIFICATION, "06"), "01020014"),
];

/** RFC 4271 6.2, RFC 5492, RFC 6286, RFC 6793, RFC 7607: the OPEN. */
const OPENS: readonly Attack[] = [
  opening("BGP version 3", open({ version: 3 }), "02010004"),
  opening("another AS number", open({ as: 64_666, parameters: "00" }), "0202"),
  opening("AS number 0", open({ as: 0, parameters: "00" }), "0202"),
  opening("another AS number in the capability", open({ parameters: parameter(2, capability(65, "0000fc9a")) }), "0202"),
  opening("router ID 0.0.0.0", open({ id: "00000000" }), "0203"),
  opening("a hold time of 1 s", open({ hold: 1 }), "0206"),
  opening("a hold time of 2 s", open({ hold: 2 }), "0206"),
  opening("an optional parameter that is no capability", open({ parameters: parameter(1, "00") }), "0204"),
  opening("an optional parameter that is cut off", open({ parameters: "040208" + "0104" }), "0200"),
  opening("a capability that is cut off", open({ parameters: parameter(2, "4104") }), "0200"),
  opening("no family of ours", open({ parameters: parameter(2, capability(1, "00020001")) }), `0207${capability(1, "00010001")}`),
];

/** RFC 6608, and silence: messages in states in which they must not come. */
const STATES: readonly Attack[] = [
  opening("an UPDATE before the OPEN", update(GOOD), "050102"),
  opening("a KEEPALIVE before the OPEN", ALIVE, "050104"),
  attack("an UPDATE in place of the first KEEPALIVE", [open(), update(GOOD)], "050202"),
  attack("two OPENs", [`${open()}${open()}`], "050201"),
  later("an OPEN in the session", open(), "050301"),
  attack("silence before the first KEEPALIVE", [open({ hold: 3 })], "0400"),
  attack("silence in the session", [open({ hold: 3 }), ALIVE], "0400"),
];

/** RFC 4271 6.3 and RFC 7606: what ends a session, for it cannot be known which routes are meant. */
const RESETS: readonly Attack[] = [
  later("withdrawn routes that go beyond the message", update(GOOD, NLRI, { withdrawn: 200 }), "0301"),
  later("attributes that go beyond the message", update(GOOD, NLRI, { attributes: 200 }), "0301"),
  later("a well-known attribute that nobody knows", update(`${GOOD}${attribute(0x40, 99, "00")}`), `0302${attribute(0x40, 99, "00")}`),
  later("MP_REACH_NLRI twice", update(`${GOOD}${attribute(0x80, 14, REACH_IPV6)}${attribute(0x80, 14, REACH_IPV6)}`), "0301"),
  later("MP_REACH_NLRI of 2 octets", update(`${GOOD}${attribute(0x80, 14, "0002")}`), `0309${attribute(0x80, 14, "0002")}`),
  later("a prefix of 33 bits", update(GOOD, "21c6336400ff"), "030a"),
  later("a mark of a route refresh with more behind it", message(REFRESH, "0001010100"), `0701${message(REFRESH, "0001010100")}`),
];

/** RFC 7606 7: no reset. */
const SURVIVED: readonly Attack[] = [
  survived("a good route, which is left alone", GOOD),
  survived("ORIGIN 3", [attribute(0x40, 1, "03"), AS_PATH, NEXT_HOP].join("")),
  survived("ORIGIN of 2 octets", [attribute(0x40, 1, "0000"), AS_PATH, NEXT_HOP].join("")),
  survived("ORIGIN with wrong flags", [attribute(0xc0, 1, "00"), AS_PATH, NEXT_HOP].join("")),
  survived("ORIGIN twice", [ORIGIN, GOOD].join("")),
  survived("no ORIGIN", [AS_PATH, NEXT_HOP].join("")),
  survived("an AS_PATH that is longer than it says", [ORIGIN, attribute(0x40, 2, `02090000${u16(HOSTILE_AS)}`), NEXT_HOP].join("")),
  survived("an AS_PATH of an unknown kind", [ORIGIN, attribute(0x40, 2, `09010000${u16(HOSTILE_AS)}`), NEXT_HOP].join("")),
  survived("a NEXT_HOP of 127.0.0.1", [ORIGIN, AS_PATH, attribute(0x40, 3, "7f000001")].join("")),
  survived("a NEXT_HOP of 3 octets", [ORIGIN, AS_PATH, attribute(0x40, 3, "0a4d00")].join("")),
  survived("a MULTI_EXIT_DISC of 3 octets", `${GOOD}${attribute(0x80, 4, "000001")}`),
  survived("LOCAL_PREF from outside", `${GOOD}${attribute(0x40, 5, "00000064")}`),
  survived("an ATOMIC_AGGREGATE with a value", `${GOOD}${attribute(0x40, 6, "00")}`),
  survived("an AGGREGATOR of 5 octets", `${GOOD}${attribute(0xc0, 7, "0000000000")}`),
  survived("COMMUNITIES of 5 octets", `${GOOD}${attribute(0xc0, 8, "fbf4000700")}`),
  survived("EXTENDED_COMMUNITIES of 7 octets", `${GOOD}${attribute(0xc0, 16, "00020000000000")}`),
  survived("a LARGE_COMMUNITY of 11 octets", `${GOOD}${attribute(0xc0, 32, "0000fbf40000000100000000".slice(2))}`),
  survived("an attribute that goes beyond the attributes", `${GOOD}c008ff00`),
  survived("an optional attribute that nobody knows", `${GOOD}${attribute(0x80, 200, "00")}`),
  survived("MP_REACH_NLRI of another family", `${GOOD}${attribute(0x80, 14, REACH_IPV6)}`),
  survived("MP_REACH_NLRI with a next hop of 3 octets", `${GOOD}${attribute(0x80, 14, "000101030a4d000018c63364")}`),
];

/** All attacks on one session. */
export const ATTACKS: readonly Attack[] = [...HEADERS, ...OPENS, ...STATES, ...RESETS, ...SURVIVED];

/** A session in which the same is asked for thousands of times, and no answer is read. */
export const SLOW_READER: HostileScript = { sends: [open(), ALIVE], keepalives: true, flood: ASK_AGAIN };

/** How many questions of `SLOW_READER` have been sent. */
export function flooded(lines: readonly HostileLine[]): number {
  return lines.findLast((line) => "flooded" in line)?.flooded ?? 0;
}

/** What came of an attack: NOTIFICATIONs as in `Attack`, and whether a refresh was answered between its marks. */
export function followed(lines: readonly HostileLine[]): { readonly notifications: readonly string[]; readonly refreshed: boolean; readonly closed: number } {
  const messages = lines.filter((line) => "type" in line);
  return {
    notifications: messages.flatMap(({ type, body }) => (type === NOTIFICATION ? [body] : [])),
    // RFC 7313 3.2: the mark at the end of IPv4 unicast.
    refreshed: messages.some(({ type, body }) => type === REFRESH && body === "00010201"),
    closed: lines.filter((line) => "closed" in line).length,
  };
}
