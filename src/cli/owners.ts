import type { Settings } from "../config/settings.js";
import { Claims } from "../core/claims.js";
import { Owners } from "../core/owners.js";
import { Ownership, type OwnershipDeps } from "../core/ownership.js";
import type { Random } from "../ports/random.js";
import { claimsConfig, electionConfig } from "./plan-config.js";

/** All that this process may own. Of two processes on a node only the one for Services takes part in what is shared out: there is one member for a node. */
export function createOwners(settings: Settings, node: string, deps: OwnershipDeps & { readonly random: Random }): Owners {
  const single = new Ownership(electionConfig(settings, node), deps);
  const claims = settings.services ? new Claims(claimsConfig(settings, { node, process: processId(deps.random) }), deps) : undefined;
  return new Owners(single, claims);
}

/** 64 random bits, as hexadecimal digits. */
function processId(random: Random): string {
  const half = (): string => Math.floor(random.float() * 2 ** 32).toString(16).padStart(8, "0");
  return `${half()}${half()}`;
}
