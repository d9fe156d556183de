import type { Family } from "../../lib/ip.js";
import type { Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { attributeOctets, readAttributes } from "./attributes.js";
import {
  ATTR_AS_PATH,
  ATTR_LOCAL_PREF,
  ATTR_MP_REACH,
  ATTR_NEXT_HOP,
  ATTR_ORIGIN,
  type PathAttributes,
  type UpdateContext,
  type UpdateFault,
} from "./attribute.js";
import { ERROR_UPDATE, UPDATE_MALFORMED_LIST, UPDATE_MISSING_WELL_KNOWN, UPDATE_NETWORK } from "./codes.js";
import { BgpError, notificationOf, withNotification } from "./error.js";
import { prefixOctets, readPrefixes, writePrefix, type Prefix } from "./prefix.js";

/** An UPDATE (RFC 4271 4.3). The two lists of its own are IPv4; all else is in `attributes.reach` and `attributes.unreach`. */
export interface Update {
  readonly withdrawn: readonly Prefix[];
  readonly attributes: PathAttributes;
  readonly nlri: readonly Prefix[];
}

/** An UPDATE as it came, with what is wrong with it (RFC 7606). */
export interface ReceivedUpdate extends Update {
  readonly faults: readonly UpdateFault[];
}

/** What an UPDATE means for one family. */
export interface RouteChanges {
  readonly family: Family;
  readonly announced: readonly Prefix[];
  readonly withdrawn: readonly Prefix[];
}

//   0                  2
//  ┌──────────────────┬───────────────────┬───────────────────┬──────────────┬──────────┐
//  │ withdrawn length │ withdrawn routes… │ attributes length │ attributes … │ NLRI …   │
//  └──────────────────┴───────────────────┴───────────────────┴──────────────┴──────────┘

/** The body, without the message header. That it fits into a message is the caller's business (see pack.ts). */
export function encodeUpdate({ withdrawn, attributes, nlri }: Update, context: UpdateContext): Uint8Array {
  const withdrawnOctets = octetsOf(withdrawn);
  const attributeBytes = attributeOctets(attributes, context);
  const writer = new Writer(4 + withdrawnOctets + attributeBytes.length + octetsOf(nlri)).u16(withdrawnOctets);
  for (const prefix of withdrawn) writePrefix(writer, prefix);
  writer.u16(attributeBytes.length).bytes(attributeBytes);
  for (const prefix of nlri) writePrefix(writer, prefix);
  return writer.finish();
}

/** Reads the body up to its end. Throws BgpError only where RFC 7606 asks for a session reset; milder errors are in `faults`. */
export function decodeUpdate(reader: Reader, context: UpdateContext): ReceivedUpdate {
  const addPath = context.addPath.includes(4);
  // RFC 7606 5.3, RFC 4271 6.3: lengths that do not fit leave nothing to rely on.
  const [withdrawnPart, attributePart] = withNotification(notificationOf(ERROR_UPDATE, UPDATE_MALFORMED_LIST), () => [reader.part(reader.u16()), reader.part(reader.u16())] as const);
  const { withdrawn, nlri } = withNotification(notificationOf(ERROR_UPDATE, UPDATE_NETWORK), () => ({
    withdrawn: readPrefixes(withdrawnPart, 4, addPath),
    nlri: readPrefixes(reader, 4, addPath),
  }));
  const at = attributePart.offset;
  const { attributes, faults } = readAttributes(attributePart, context);
  const all = [...faults, ...missing({ withdrawn, attributes, nlri }, context, faults)];
  requireNlri({ withdrawn, attributes, nlri }, all, at);
  return { withdrawn, attributes, nlri, faults: all };
}

/** The families of which an UPDATE says that the initial routes are complete: an empty one for IPv4 (RFC 4724 2). */
export function endOfRib({ withdrawn, attributes, nlri, faults }: ReceivedUpdate): Family | undefined {
  if (withdrawn.length > 0 || nlri.length > 0 || faults.length > 0) return undefined;
  const names = Object.keys(attributes);
  if (names.length === 0) return 4;
  return names.length === 1 && attributes.unreach?.prefixes.length === 0 ? attributes.unreach.family : undefined;
}

/** What an UPDATE means when its faults are heeded: routes of a faulty one count as withdrawn, disabled families say nothing. */
export function routeChanges({ withdrawn, attributes, nlri, faults }: ReceivedUpdate): readonly RouteChanges[] {
  const disabled = new Set(faults.map(({ family }) => family));
  const treatAsWithdraw = faults.some(({ approach }) => approach === "withdraw");
  return ([4, 6] as const).flatMap((family) => {
    const reached = [...(family === 4 ? nlri : []), ...(attributes.reach?.family === family ? attributes.reach.prefixes : [])];
    const gone = [...(family === 4 ? withdrawn : []), ...(attributes.unreach?.family === family ? attributes.unreach.prefixes : [])];
    if (disabled.has(family) || reached.length + gone.length === 0) return [];
    return [treatAsWithdraw ? { family, announced: [], withdrawn: [...gone, ...reached] } : { family, announced: reached, withdrawn: gone }];
  });
}

/** RFC 7606 3 (d): routes without an attribute that they need count as withdrawn. */
function missing({ attributes, nlri }: Update, { internal }: UpdateContext, faults: readonly UpdateFault[]): readonly UpdateFault[] {
  if (nlri.length === 0 && attributes.reach === undefined) return [];
  const needed: readonly (readonly [code: number, present: boolean])[] = [
    [ATTR_ORIGIN, attributes.origin !== undefined],
    [ATTR_AS_PATH, attributes.asPath !== undefined],
    [ATTR_NEXT_HOP, attributes.nextHop !== undefined || nlri.length === 0],
    [ATTR_LOCAL_PREF, attributes.localPref !== undefined || !internal],
  ];
  // One that was malformed has been told about.
  const absent = needed.filter(([code, present]) => !present && !faults.some(({ attribute }) => attribute === code));
  return absent.map(([code]) => ({
    approach: "withdraw",
    attribute: code,
    what: `attribute ${code} is missing`,
    notification: notificationOf(ERROR_UPDATE, UPDATE_MISSING_WELL_KNOWN, Uint8Array.of(code)),
  }));
}

/** RFC 7606 5.2: with attributes but no routes, one cannot be sure to have found the routes that would have to be withdrawn. */
function requireNlri({ attributes, nlri }: Update, faults: readonly UpdateFault[], offset: number): void {
  const worst = faults.find(({ approach }) => approach === "withdraw");
  const reaches = nlri.length > 0 || attributes.reach !== undefined || attributes.unknown?.some(({ code }) => code === ATTR_MP_REACH) === true;
  if (worst !== undefined && !reaches) throw new BgpError(worst.notification, { code: "value", offset }, `${worst.what}, and no routes`);
}

function octetsOf(prefixes: readonly Prefix[]): number {
  return prefixes.reduce((sum, prefix) => sum + prefixOctets(prefix), 0);
}
