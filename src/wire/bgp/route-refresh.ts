import type { Reader } from "../reader.js";
import { Writer } from "../writer.js";
import type { AfiSafi } from "./family.js";

/** Please send everything again (RFC 2918). */
export const REFRESH_REQUEST = 0;
/** Everything comes again, from here (BoRR) to there (EoRR); what did not come in between is gone (RFC 7313). */
export const REFRESH_BEGIN = 1;
export const REFRESH_END = 2;

/** A ROUTE-REFRESH. */
export interface RouteRefresh extends AfiSafi {
  /** REFRESH_*; others are to be ignored (RFC 7313 5). */
  readonly subtype: number;
  /** Filters behind a request (RFC 5291), which we offer to nobody; else empty. */
  readonly filters: Uint8Array;
}

//   0       2         3      4
//  ┌───────┬─────────┬──────┬───────────┐
//  │  AFI  │ subtype │ SAFI │ filters … │
//  └───────┴─────────┴──────┴───────────┘

/** The body, without the message header. */
export function encodeRouteRefresh({ afi, safi, subtype, filters }: RouteRefresh): Uint8Array {
  return new Writer(4 + filters.length).u16(afi).u8(subtype).u8(safi).bytes(filters).finish();
}

/** Reads the body up to its end. */
export function decodeRouteRefresh(reader: Reader): RouteRefresh {
  const afi = reader.u16();
  const subtype = reader.u8();
  return { afi, subtype, safi: reader.u8(), filters: reader.bytes(reader.remaining) };
}
