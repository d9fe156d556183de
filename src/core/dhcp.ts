import { isDnsName } from "../lib/dns-name.js";
import { familyOf, parseIp, unusableAsVip, type Family, type IpAddress } from "../lib/ip.js";
import { macFromBytes, macToBytes, parseMac, type MacAddress } from "../lib/mac.js";
import { hashText } from "../machine/placement.js";
import type { Service } from "../ports/kube.js";
import { CONTROL_PLANE_LINK, type LeaseKey, type LinkKey, type RpFilter } from "./model.js";

export const LOAD_BALANCER_HOSTNAME = "kube-vip.io/loadbalancerHostname";
export const MACVLAN_NAME = "kube-vip.io/macvlanName";
export const DHCP_BROADCAST = "kube-vip.io/dhcp-broadcast";
export const RP_FILTER = "kube-vip.io/rp_filter";
/** True as Go has it (`true`, `1`, `t`), as kube-vip reads it: a DNS name is the name under which an address is asked for by DHCP. */
export const DDNS = "kube-vip.io/ddns";
/** Read and written: the MAC of the link, by which a DHCP server knows the lease again. */
export const HWADDR = "kube-vip.io/hwaddr";
/** Read and written: the last address, IPv4 and IPv6 with a comma between them, which is asked for again. */
export const REQUESTED_IP = "kube-vip.io/requestedIP";

/** An address that a Service asks for from a DHCP server. */
export interface DhcpAsked {
  readonly key: LeaseKey;
  readonly family: Family;
  /** The macvlan that is made for it. */
  readonly link: LinkKey;
  /** Other Services may name the same link: the oldest one's annotations count. */
  readonly shared: boolean;
  readonly mac: MacAddress;
  /** 16 octets, by which a DHCPv6 server knows the lease again. */
  readonly uuid: Uint8Array;
  readonly hostname: string | undefined;
  readonly requestedAddress: IpAddress | undefined;
  readonly broadcast: boolean;
  readonly rpFilter: RpFilter;
}

/** Locally administered, unicast (IEEE 802: bits 1 and 0 of the first octet). */
const LOCAL_UNICAST = 0x02;
/** So many digits of the UID in a name of 15 characters. */
const UID_DIGITS = 11;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const UUID_LENGTH = 16;
/**
 * Packets to the VIP come by the macvlan, and answers go by the link below, where the routes are: the strict filter would drop them all. The kernel takes
 * the larger of this and that of all links, so that 0 would not do where that is 1.
 */
const LOOSE: RpFilter = 2;

/** What a Service says of its lease of one family, by its annotations and its UID alone; or what is wrong with it. Leases of both families share a link. */
export function dhcpAsked(service: Pick<Service, "uid" | "annotations">, family: Family): DhcpAsked | { readonly problem: string } {
  const { annotations, uid } = service;
  const name = annotations[MACVLAN_NAME] ?? "";
  const hwaddr = annotations[HWADDR] ?? "";
  const hostname = annotations[LOAD_BALANCER_HOSTNAME] ?? "";
  const rpFilter = annotations[RP_FILTER] ?? String(LOOSE);
  const mac = hwaddr === "" ? macOf(uid) : parseMac(hwaddr);
  if (name !== "" && !isLinkName(name)) return { problem: `${MACVLAN_NAME} is "${name}": expected a name of 1 to 15 characters without spaces, slashes and colons` };
  if (name === CONTROL_PLANE_LINK) return { problem: `${MACVLAN_NAME} is "${name}": expected another name, for this is the control plane's` };
  if (mac === undefined || !isUnicast(mac)) return { problem: `${HWADDR} is "${hwaddr}": expected a unicast MAC address such as 02:00:00:00:00:01` };
  if (hostname !== "" && !isDnsName(hostname)) return { problem: `${LOAD_BALANCER_HOSTNAME} is "${hostname}": expected a DNS name such as web.example.org` };
  if (!isRpFilter(rpFilter)) return { problem: `${RP_FILTER} is "${rpFilter}": expected 0, 1 or 2` };
  const requested = requestedAddress(annotations[REQUESTED_IP] ?? "", family);
  if (typeof requested === "object") return requested;
  return {
    key: (name === "" ? `dhcp${family}/${uid}` : `dhcp${family}/link/${name}`) as LeaseKey,
    family,
    link: (name === "" ? `vip-${uid.replaceAll("-", "").slice(0, UID_DIGITS)}` : name) as LinkKey,
    shared: name !== "",
    mac,
    uuid: uuidOf(name === "" ? uid : `link/${name}`),
    hostname: hostname === "" ? undefined : hostname,
    requestedAddress: requested,
    broadcast: annotations[DHCP_BROADCAST] === "true",
    rpFilter: Number(rpFilter) as RpFilter,
  };
}

/** What is asked for the control plane under a DNS name, one for each family; the same on every node. The server is told the first label, as with kube-vip. */
export function controlPlaneDhcp(name: string, families: readonly Family[]): readonly DhcpAsked[] {
  const identity = `control-plane/${name}`;
  return families.map((family) => ({
    key: `dhcp${family}/control-plane` as LeaseKey,
    family,
    link: CONTROL_PLANE_LINK,
    shared: false,
    mac: macOf(identity),
    uuid: uuidOf(identity),
    hostname: firstLabel(name),
    requestedAddress: undefined,
    broadcast: false,
    rpFilter: LOOSE,
  }));
}

/** `web` of `web.example.org`. */
export function firstLabel(name: string): string {
  return name.split(".")[0] ?? name;
}

/** The same on every node, so that a server takes all of them for one client. */
export function macOf(uid: string): MacAddress {
  const hash = hashText(uid);
  return macFromBytes(Uint8Array.of(LOCAL_UNICAST, hashText(`${uid}/mac`), hash >>> 24, hash >>> 16, hash >>> 8, hash));
}

/** The UID as it is, which is a UUID in every cluster; of another text 16 octets that follow from it. */
export function uuidOf(text: string): Uint8Array {
  const digits = UUID.test(text) ? text.replaceAll("-", "") : [0, 1, 2, 3].map((part) => hashText(`${text}/uuid/${part}`).toString(16).padStart(8, "0")).join("");
  return Uint8Array.from({ length: UUID_LENGTH }, (_, at) => Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16));
}

function requestedAddress(text: string, family: Family): IpAddress | undefined | { readonly problem: string } {
  for (const part of text.split(",").map((one) => one.trim())) {
    if (part === "") continue;
    const address = parseIp(part);
    if (address === undefined || unusableAsVip(address) !== undefined) {
      return { problem: `${REQUESTED_IP} has "${part}": expected addresses that were given before, such as 192.0.2.10` };
    }
    if (familyOf(address) === family) return address;
  }
  return undefined;
}

function isUnicast(mac: MacAddress): boolean {
  const octets = macToBytes(mac);
  return ((octets[0] ?? 1) & 1) === 0 && octets.some((octet) => octet !== 0);
}

/** As dev_valid_name of the kernel. */
function isLinkName(name: string): boolean {
  return /^[^\s/:]{1,15}$/.test(name) && name !== "." && name !== "..";
}

function isRpFilter(text: string): boolean {
  return text === "0" || text === "1" || text === "2";
}
