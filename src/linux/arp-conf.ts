import { readFile } from "node:fs/promises";
import type { ArpConf } from "../ports/kernel.js";
import { encodeIpv4Conf } from "../wire/netlink/link-change.js";
import { RTM_NEWLINK } from "../wire/netlink/message.js";
import type { NetlinkRequests } from "./netlink-requests.js";

/** Sysctls of IPv4 of one link (or `all`), from /proc/sys, which may be read in a container. Rejects where the link is not there. */
export async function readArpConf(name: string): Promise<ArpConf> {
  const [arpIgnore, arpAnnounce] = await Promise.all(["arp_ignore", "arp_announce"].map(async (key) => Number(await readFile(`/proc/sys/net/ipv4/conf/${name}/${key}`, "utf8"))));
  return { arpIgnore: arpIgnore ?? 0, arpAnnounce: arpAnnounce ?? 0 };
}

/** Sets them by netlink, for /proc/sys may not be written in a container. Throws KernelError. */
export async function setArpConf(requests: NetlinkRequests, linkIndex: number, conf: ArpConf, signal: AbortSignal): Promise<void> {
  await requests.request({ type: RTM_NEWLINK, flags: 0, payload: () => encodeIpv4Conf(linkIndex, conf), tried: `set arp_ignore and arp_announce of link ${linkIndex}` }, signal);
}
