import { addressesAmong } from "./setting-types.js";
import type { Settings } from "./settings.js";

/** How late the kernel may remove an address whose lifetime is over: its worker runs once a second, and 1.4 s were seen on a busy machine. */
export const KERNEL_LATENESS_MS = 1600;
/** How far the rates of two clocks may differ. */
export const CLOCK_DRIFT = 0.01;

/** Settings that parse but cannot work together, a line for each; those about timings name the inequality with its values. */
export function contradictions(s: Settings): readonly string[] {
  const wrong = [...timingsThatCannotWork(s)];
  if (s.arp && s.bgp) wrong.push(`vip_arp="true", bgp_enable="true": expected one of them, since a process has one mode`);
  if (!s.arp && !s.bgp) wrong.push(`vip_arp="false", bgp_enable="false": expected one of them to be true (--arp or --bgp), the mode`);
  if (s.bgp && s.bootstrap) wrong.push(`cp_bootstrap="true": expected false with bgp_enable, for every node whose API server is well announces the control-plane VIP`);
  if (!s.services && !s.controlPlane) wrong.push(`svc_enable="false", cp_enable="false": expected one of them to be true (--services, --controlplane), or there is nothing to do`);
  if (s.controlPlane && s.address.length === 0) wrong.push(`address="": expected the address of the control-plane VIP (--address), for cp_enable is true`);
  return [...wrong, ...namesThatCannotWork(s)];
}

/** Only a DHCP server makes an address of a name. */
function namesThatCannotWork({ address, arp, bootstrap, controlPlane, ddns }: Settings): readonly string[] {
  if (!controlPlane || address.length === 0) return [];
  const name = address.find((host) => addressesAmong([host]).length === 0);
  if (!ddns) return name === undefined ? [] : [`address="${address.join(",")}": expected IP addresses; a name such as ${name} needs vip_ddns`];
  const wrong: string[] = [];
  if (name === undefined || address.length > 1) wrong.push(`vip_ddns="true", address="${address.join(",")}": expected one DNS name, whose first label the DHCP server is told`);
  if (!arp) wrong.push(`vip_ddns="true", vip_arp="false": expected ARP mode, in which one node has the lease`);
  if (bootstrap) wrong.push(`vip_ddns="true", cp_bootstrap="true": expected one of them, for without the API nobody knows who has the lease`);
  return wrong;
}

function timingsThatCannotWork({ leaseSeconds: lease, renewDeadlineSeconds: renew, retrySeconds: retry }: Settings): readonly string[] {
  const wrong: string[] = [];
  const lateness = KERNEL_LATENESS_MS / 1000;
  const timings = `(vip_leaseduration=${lease}, vip_renewdeadline=${renew}, vip_retryperiod=${retry})`;
  if (lease - lateness < 2 * retry) wrong.push(`vip_leaseduration - ${lateness} must be at least 2 x vip_retryperiod ${timings}`);
  const share = 1 - 2 * CLOCK_DRIFT;
  if (lease * share - lateness < renew) wrong.push(`vip_leaseduration x ${share} - ${lateness} must be at least vip_renewdeadline ${timings}`);
  if (renew <= 2 * retry) wrong.push(`vip_renewdeadline must be more than 2 x vip_retryperiod ${timings}`);
  return wrong;
}
