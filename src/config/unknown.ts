import { isLikely, nearest } from "../lib/near.js";
import { SETTING_ROWS } from "./settings.js";
import { UNSUPPORTED } from "./unsupported.js";

/** What the names of our variables begin with. */
const PREFIXES = ["vip_", "svc_", "cp_", "lb_", "bgp_", "mpbgp_", "egress_", "control_plane_", "zebra_", "dhcp_", "dns_", "upnp_", "mirror_", "health_check_", "prometheus_", "backend_health_", "duplicate_", "dataplane_", "romana_", "KUBEVIP_"];

/**
 * What Kubernetes gives to every container for a Service that is called `vip` or `lb`: VIP_SERVICE_HOST, VIP_PORT_443_TCP_ADDR and so on. kube-vip's
 * names are in lower case; the few in upper case look otherwise.
 */
const OF_KUBERNETES = /^[A-Z][A-Z0-9_]*_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

const KNOWN: readonly string[] = [...SETTING_ROWS.flatMap(([, { env }]) => env), ...UNSUPPORTED.flatMap(({ env }) => env)];

/** Variables that look like settings and are none: a line for each, with the name that may have been meant. Empty ones count as unset. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const given = Object.entries(env).flatMap(([name, value]) => (value === undefined || value === "" || KNOWN.includes(name) || OF_KUBERNETES.test(name) ? [] : [name]));
  return given.flatMap((name) => {
    const near = nearest(name, KNOWN);
    const likely = near !== undefined && isLikely(name, near) ? near.name : undefined;
    if (!looksLikeOurs(name, near?.distance ?? Infinity)) return [];
    return [`${name} is not known and has no effect${likely === undefined ? "" : `; did you mean ${likely}?`}`];
  });
}

/** A name of ours begins with one of our prefixes; or all but a letter of it is known, in whatever case. */
function looksLikeOurs(name: string, distance: number): boolean {
  if (PREFIXES.some((prefix) => name.startsWith(prefix))) return true;
  if (/^[A-Z0-9_]+$/.test(name)) return distance <= 1 && PREFIXES.some((prefix) => name.toLowerCase().startsWith(prefix));
  return name.length > 4 && distance <= 1;
}
