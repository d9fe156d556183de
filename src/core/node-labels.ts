import { familyOf, ipToBytes, type IpAddress } from "../lib/ip.js";
import { hashText } from "../machine/placement.js";
import type { Part, ServiceKey } from "./model.js";

/** Label of a Node, as kube-vip's: the control-plane VIP that it holds. */
export const HAS_IP = "kube-vip.io/has-ip";
/** Prefix of labels of a Node, as kube-vip's: `<prefix><service>.<namespace>`, with the VIPs of that Service that it holds. */
export const PROVIDES = "service-provided.kube-vip.io/";

/** Longest name behind the prefix of a label, and longest value of one. */
const MAX_LABEL = 63;
/** Between addresses in a value: a comma is not allowed there. */
const SEPARATOR = "_";

/** An address that this node holds or announces. `owners`: its Services; none: it is that of the control plane. */
export interface HeldAddress {
  readonly address: IpAddress;
  readonly owners: readonly ServiceKey[];
}

/** Value by label, of the labels by which a Node says what it holds. All of them are legal, whatever the names are. */
export function labelsOf(held: Iterable<HeldAddress>): ReadonlyMap<string, string> {
  const addresses = new Map<string, Set<IpAddress>>();
  for (const { address, owners } of held) {
    for (const label of owners.length === 0 ? [HAS_IP] : owners.map(serviceLabel)) addresses.set(label, (addresses.get(label) ?? new Set()).add(address));
  }
  return new Map([...addresses].map(([label, found]) => [label, valueOf([...found])]));
}

/** Whether a label says what the process that serves these parts holds. */
export function isLabelOf(label: string, parts: readonly Part[]): boolean {
  return (label === HAS_IP && parts.includes("control-plane")) || (label.startsWith(PROVIDES) && parts.includes("services"));
}

function serviceLabel(service: ServiceKey): string {
  const [namespace = "", name = ""] = service.split("/");
  const text = `${name}.${namespace}`;
  if (text.length <= MAX_LABEL) return `${PROVIDES}${text}`;
  // Told apart by a hash of the whole; a name in front of it ends in a letter or digit.
  const hash = hashText(text).toString(16).padStart(8, "0");
  return `${PROVIDES}${text.slice(0, MAX_LABEL - 9).replace(/[^a-z0-9]+$/, "")}-${hash}`;
}

/** As many of the addresses as fit, IPv4 first. */
function valueOf(addresses: readonly IpAddress[]): string {
  const texts = addresses.toSorted((a, b) => familyOf(a) - familyOf(b)).map(labelText);
  let value = texts[0] ?? "";
  for (const text of texts.slice(1)) if (value.length + SEPARATOR.length + text.length <= MAX_LABEL) value += SEPARATOR + text;
  return value;
}

/** An IPv6 address has colons, which are not allowed: its 32 hexadecimal digits, as kube-vip writes it. */
function labelText(address: IpAddress): string {
  return familyOf(address) === 4 ? address : [...ipToBytes(address)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
