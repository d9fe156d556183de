import { BlockList } from "node:net";
import { familyOf } from "./address.js";
import { asList, asText, at } from "./object.js";
import type { KubeObject } from "./object.js";
import { badValue, forbidden } from "./status.js";
import type { Cause, StatusError } from "./status.js";

type Range = readonly [string, number, "ipv4" | "ipv6"];

/** Addresses that no Service may have, with the words of the server. */
const SPECIAL: readonly (readonly [string, readonly Range[]])[] = [
  ["may not be in the loopback range (127.0.0.0/8, ::1/128)", [["127.0.0.0", 8, "ipv4"], ["::1", 128, "ipv6"]]],
  ["may not be in the link-local range (169.254.0.0/16, fe80::/10)", [["169.254.0.0", 16, "ipv4"], ["fe80::", 10, "ipv6"]]],
  ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)", [["224.0.0.0", 24, "ipv4"], ["ff02::", 16, "ipv6"]]],
];

function listOf(ranges: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) list.addSubnet(...range);
  return list;
}

const LISTS = SPECIAL.map(([why, ranges]) => ({ why, list: listOf(ranges) }));

function wrong(text: string): string | undefined {
  const family = familyOf(text);
  if (family === undefined) return "must be a valid IP address";
  if (/^[0.:]+$/u.test(text)) return `may not be unspecified (${text})`;
  return LISTS.find(({ list }) => list.check(text, family === "IPv4" ? "ipv4" : "ipv6"))?.why;
}

const addresses = (object: KubeObject | undefined): readonly string[] => asList(at(object, "spec", "externalIPs")).map(asText);

/** What is wrong with spec.externalIPs. */
export function externalIpCauses(object: KubeObject): readonly Cause[] {
  return addresses(object).flatMap((address, index) => {
    const why = wrong(address);
    return why === undefined ? [] : [badValue(`spec.externalIPs[${index}]`, address, why)];
  });
}

/** The refusal of the admission plugin DenyServiceExternalIPs: no address that was not there before. */
export function deniedExternalIps(next: KubeObject, old: KubeObject | undefined): StatusError | undefined {
  const before = new Set(addresses(old));
  if (addresses(next).every((address) => before.has(address))) return undefined;
  const { name } = next.metadata;
  return forbidden(`services ${JSON.stringify(name)} is forbidden: Use of external IPs is denied by admission control`, { name, kind: "services" });
}
