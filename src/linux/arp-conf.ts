import { readFileSync } from "node:fs";
import type { ArpConf } from "../ports/kernel.js";
import { encodeIpv4Conf } from "../wire/netlink/link-change.js";
import { RTM_NEWLINK } from "../wire/netlink/message.js";
import type { NetlinkRequests } from "./netlink-requests.js";

/**
 * Sysctls of IPv4 of one link (or `all`), from /proc/sys, which may be read in a container. Read at once, which takes microseconds and no lock of the
 * kernel: on threads of the pool each would wait behind netlink writes and closed sockets. Throws where the link is not there.
 */
export function readArpConf(name: string): ArpConf {
  const value = (key: string): number => Number(readFileSync(`/proc/sys/net/ipv4/conf/${name}/${key}`, "utf8"));
  return { arpIgnore: value("arp_ignore"), arpAnnounce: value("arp_announce") };
}

/** Sets them by netlink, for /proc/sys may not be written in a container. Throws KernelError. */
export async function setArpConf(requests: NetlinkRequests, linkIndex: number, conf: ArpConf, signal: AbortSignal): Promise<void> {
  await requests.request({ type: RTM_NEWLINK, flags: 0, payload: () => encodeIpv4Conf(linkIndex, conf), tried: `set arp_ignore and arp_announce of link ${linkIndex}` }, signal);
}
