import type { Family } from "../../lib/ip.js";

export const AFI_IPV4 = 1;
export const AFI_IPV6 = 2;
export const SAFI_UNICAST = 1;

/** Address family and subsequent address family, as in RFC 4760. */
export interface AfiSafi {
  readonly afi: number;
  readonly safi: number;
}

/** 4 or 6 for unicast; undefined for all else. */
export function unicastFamily({ afi, safi }: AfiSafi): Family | undefined {
  if (safi !== SAFI_UNICAST) return undefined;
  return afi === AFI_IPV4 ? 4 : afi === AFI_IPV6 ? 6 : undefined;
}

/** Unicast of that family. */
export function afiSafi(family: Family): AfiSafi {
  return { afi: family === 4 ? AFI_IPV4 : AFI_IPV6, safi: SAFI_UNICAST };
}
