import { ipFromBytes, ipToBytes, type IpAddress } from "../../lib/ip.js";
import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";

/** A route of option 121. */
export interface ClasslessRoute {
  /** Network address, host bits zero. */
  readonly destination: IpAddress;
  readonly prefix: number;
  /** 0.0.0.0: the destination is on the link itself (RFC 3442, local subnet routes). */
  readonly router: IpAddress;
}

const MAX_ROUTE_LENGTH = 9;

//   0        1                                5
//  ┌────────┬────────────────────────────────┬───────────┐
//  │ prefix │ destination, its first octets  │  router   │   as many octets as the prefix has: /0: none, /1../8: 1, ... /25../32: 4
//  └────────┴────────────────────────────────┴───────────┘

/** Value of option 121 (RFC 3442). */
export function encodeClasslessRoutes(routes: readonly ClasslessRoute[]): Uint8Array {
  const writer = new Writer(routes.length * MAX_ROUTE_LENGTH);
  for (const { destination, prefix, router } of routes) {
    writer.u8(prefix).bytes(ipToBytes(destination).subarray(0, Math.ceil(prefix / 8))).bytes(ipToBytes(router));
  }
  return writer.finish();
}

/** Throws DecodeError; `base` is the offset of the value. */
export function decodeClasslessRoutes(value: Uint8Array, base = 0): readonly ClasslessRoute[] {
  const reader = new Reader(value, base);
  const routes: ClasslessRoute[] = [];
  // RFC 3442: the minimum length of the option is 5 octets.
  do {
    const at = reader.offset;
    const prefix = reader.u8();
    if (prefix > 32) throw new DecodeError("value", at, `route prefix /${prefix}`);
    const octets = new Uint8Array(4);
    octets.set(reader.bytes(Math.ceil(prefix / 8)));
    routes.push({ destination: ipFromBytes(withoutHostBits(octets, prefix)), prefix, router: ipFromBytes(reader.bytes(4)) });
  } while (reader.remaining > 0);
  return routes;
}

/** RFC 3442: bits behind the mask are to be taken as 0 whatever the server sent. */
function withoutHostBits(octets: Uint8Array, prefix: number): Uint8Array {
  return octets.map((octet, index) => octet & (0xff00 >> Math.min(8, Math.max(0, prefix - index * 8))));
}
