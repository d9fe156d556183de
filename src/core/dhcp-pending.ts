import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import type { LeaseSeen, LeaseTrouble } from "./model.js";
import type { SkipReason } from "./plan-service.js";

/** What the servers of each family are called. */
export const DHCP_NAME = { 4: "DHCP", 6: "DHCPv6" } as const;

/** So many requests without an answer, by default, and a person is told. */
export const DHCP_ATTEMPTS = 3;

/** Why there is no address yet. */
export function leasePending(seen: LeaseSeen | undefined, family: Family, attempts = DHCP_ATTEMPTS): SkipReason {
  const name = DHCP_NAME[family];
  if (seen === undefined) return { code: "dhcpPending", message: `an address is asked for from a ${name} server once this node holds the Service and its link is there` };
  if (seen.trouble !== undefined) return { code: "dhcpFailed", message: `${troubleText(seen.trouble)}; asked again for ever` };
  // The last one may still be answered.
  const silent = attempts > 0 && seen.phase === "selecting" && seen.sends > attempts;
  if (silent) return { code: "dhcpFailed", message: `no ${name} server has answered ${seen.mac}: expected one on the network of its link; asked again for ever` };
  return { code: "dhcpPending", message: `an address is asked for by ${name} (${seen.phase}, MAC ${seen.mac})` };
}

/** What went wrong last; the same text for as long as it is the same, for it makes an Event. */
export function troubleText(trouble: LeaseTrouble): string {
  switch (trouble.type) {
    case "refused":
      return `${nameOf(trouble.server)} server ${trouble.server} refuses the address${trouble.text === undefined ? "" : ` ("${trouble.text}")`}`;
    case "declined":
      return `${trouble.address}, given by ${nameOf(trouble.server)} server ${trouble.server}, is in use${trouble.by === undefined ? "" : ` by ${trouble.by}`}: declined`;
    case "lost":
      return trouble.reason === "expired" ? `the lease of ${trouble.address} has ended and no ${nameOf(trouble.address)} server has renewed it` : `the lease of ${trouble.address} is lost (${trouble.reason})`;
  }
}

function nameOf(address: IpAddress): string {
  return DHCP_NAME[familyOf(address)];
}
