import { DecodeError } from "./reader.js";

export const SSDP_PORT = 1900;
/** Also the group of SSDP for IPv4. */
export const SSDP_GROUP = "239.255.255.250";
/** For IPv6, on one link (UPnP Device Architecture 2.0, annex A). */
export const SSDP_GROUP_LINK_LOCAL = "ff02::c";

/** What is looked for, newest first: a router that speaks version 2 answers for version 1, too, and some answer for a service only. */
export const IGD_SEARCH_TARGETS = [
  "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
  "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
  "urn:schemas-upnp-org:service:WANIPConnection:2",
  "urn:schemas-upnp-org:service:WANIPConnection:1",
  "urn:schemas-upnp-org:service:WANPPPConnection:1",
] as const;

/** A search (UPnP Device Architecture 2.0, 1.3.2). */
export interface SsdpSearch {
  readonly target: string;
  /** Group, with brackets where it is IPv6. */
  readonly host: string;
  /** Answers come spread over so many seconds, 1 to 5. */
  readonly maxWaitSeconds: number;
}

/** An answer to a search, or an announcement. Headers that are absent are undefined. */
export interface SsdpMessage {
  /** `answer`: to a search; `alive`, `byebye`, `update`: announcements. */
  readonly kind: "answer" | "alive" | "byebye" | "update";
  /** ST of an answer, NT of an announcement. */
  readonly target: string | undefined;
  readonly usn: string | undefined;
  /** Address of the description. */
  readonly location: string | undefined;
  readonly server: string | undefined;
  /** How long this holds; undefined where the sender does not say, 1800 s is then usual. */
  readonly maxAgeSeconds: number | undefined;
  /** Grows with each start of the device; one that changed says that it was restarted (2.0, 1.2.2). */
  readonly bootId: number | undefined;
}

/** Nobody sends more in one datagram that is not to be cut into fragments. */
export const MAX_SSDP_LENGTH = 4096;
const MAX_HEADERS = 64;
const MAX_VALUE_LENGTH = 1024;
const NOTIFY_KINDS: Readonly<Record<string, SsdpMessage["kind"]>> = { "ssdp:alive": "alive", "ssdp:byebye": "byebye", "ssdp:update": "update" };
/** 31 bits, as in UPnP. */
const MAX_NUMBER = 0x7fff_ffff;

/** The datagram of a search. */
export function encodeSearch({ target, host, maxWaitSeconds }: SsdpSearch): Uint8Array {
  const lines = ["M-SEARCH * HTTP/1.1", `HOST: ${host}:${SSDP_PORT}`, 'MAN: "ssdp:discover"', `MX: ${maxWaitSeconds}`, `ST: ${target}`, "", ""];
  return Uint8Array.from(lines.join("\r\n"), (character) => character.charCodeAt(0));
}

/** Reads an answer or an announcement. Throws DecodeError, also for the searches of others. */
export function decodeSsdp(bytes: Uint8Array): SsdpMessage {
  if (bytes.length > MAX_SSDP_LENGTH) throw new DecodeError("length", MAX_SSDP_LENGTH, `a datagram of ${bytes.length} octets`);
  // Latin-1: each octet is a character, so that no octets are an error; what matters is ASCII.
  const [first = "", ...rest] = String.fromCharCode(...bytes).split(/\r?\n/);
  const headers = headersOf(rest);
  return {
    kind: kindOf(first, headers),
    target: headers.get("st") ?? headers.get("nt"),
    usn: headers.get("usn"),
    location: headers.get("location"),
    server: headers.get("server"),
    maxAgeSeconds: numberOf(/(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})/i.exec(headers.get("cache-control") ?? "")?.[1]),
    bootId: numberOf(/^\d{1,10}$/.exec(headers.get("bootid.upnp.org") ?? "")?.[0]),
  };
}

function kindOf(first: string, headers: ReadonlyMap<string, string>): SsdpMessage["kind"] {
  if (/^HTTP\/1\.[01] 200(?: |$)/i.test(first)) return "answer";
  const kind = /^NOTIFY \* HTTP\/1\.[01]\s*$/i.test(first) ? NOTIFY_KINDS[headers.get("nts")?.toLowerCase() ?? ""] : undefined;
  if (kind === undefined) throw new DecodeError("value", 0, "neither an answer nor an announcement");
  return kind;
}

/** Up to the empty line; names in lower case, of two the first counts. A line that is no header is skipped: some devices fold theirs. */
function headersOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines.slice(0, MAX_HEADERS)) {
    if (line === "") break;
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (value.length > MAX_VALUE_LENGTH) throw new DecodeError("length", 0, `header ${name.slice(0, 32)} of ${value.length} octets`);
    if (value !== "" && !headers.has(name)) headers.set(name, value);
  }
  return headers;
}

function numberOf(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Math.min(Number(digits), MAX_NUMBER);
}
