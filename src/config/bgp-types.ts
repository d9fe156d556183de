import { parseAs } from "../lib/as-number.js";
import { EXPECTED_COMMUNITIES, parseCommunities, type LargeCommunity } from "../lib/bgp-community.js";
import type { BfdTiming } from "../lib/bgp-peer.js";
import { familyOf, parseIp, type Family, type IpAddress } from "../lib/ip.js";
import { BFD_DEFAULT } from "./bgp-peer-draft.js";
import { bfdProblem, parsePeerTexts, type PeerTexts } from "./bgp-peer-text.js";
import { oneOf, type SettingType } from "./setting-types.js";

export const asNumber: SettingType<number> = {
  name: "an AS number",
  parse(value) {
    const number = parseAs(value);
    return number === undefined ? { expected: "an AS number from 1 to 4294967294 (23456 stands for none), or such as 1.10" } : { value: number };
  },
};

/** One address of this family, or of either one. */
export function ipAddress(family?: Family): SettingType<IpAddress | undefined> {
  const name = family === undefined ? "an IP address" : `an IPv${family} address`;
  return {
    name,
    parse(value) {
      if (value === "") return { value: undefined };
      const address = parseIp(value);
      const fits = address !== undefined && (family === undefined || familyOf(address) === family) && address !== "0.0.0.0" && address !== "::";
      return fits ? { value: address } : { expected: name };
    },
  };
}

/** kube-vip's list of peers; its errors name each peer without its password. */
export const peerList: SettingType<PeerTexts> = {
  name: "peers, comma separated",
  parse(value) {
    const read = parsePeerTexts(value);
    return read.problems.length === 0 ? { value: read } : { expected: `peers that can be read: ${read.problems.join("; ")}` };
  },
};

/** RFC 4271 4.2: an offer of 1 or 2 is to be refused. */
export const holdTime: SettingType<number> = {
  name: "0, or seconds from 3 to 65535",
  parse(value) {
    const seconds = Number(value);
    return /^\d{1,5}$/.test(value) && seconds <= 65_535 && (seconds === 0 || seconds >= 3) ? { value: seconds } : { expected: "0, or seconds from 3 to 65535 (RFC 4271)" };
  },
};

/** A whole number, both bounds included, or none. */
export function optionalInt(least: number, most: number): SettingType<number | undefined> {
  const name = `unset, or a whole number from ${least} to ${most}`;
  return {
    name,
    parse(value) {
      const number = Number(value);
      return value === "" || (/^\d+$/.test(value) && number >= least && number <= most) ? { value: value === "" ? undefined : number } : { expected: `a whole number from ${least} to ${most}` };
    },
  };
}

export const communityList: SettingType<{ readonly communities: readonly number[]; readonly largeCommunities: readonly LargeCommunity[] }> = {
  name: "communities, comma separated",
  parse(value) {
    const { bad, ...list } = parseCommunities(value.split(",").filter((part) => part.trim() !== ""));
    return bad.length === 0 ? { value: list } : { expected: EXPECTED_COMMUNITIES.replace("expected ", "") };
  },
};

/** `300x3`: an interval for both directions, and how many may be missing. */
export const bfdTiming: SettingType<BfdTiming | undefined> = {
  name: "on, off, or ms x count such as 300x3",
  parse(value) {
    if (value === "on" || value === "off") return { value: value === "on" ? BFD_DEFAULT : undefined };
    const [, interval, count] = /^(\d{1,5})x(\d{1,3})$/.exec(value) ?? [];
    const timing = { receiveMs: Number(interval), transmitMs: Number(interval), multiplier: Number(count) };
    const expected = interval === undefined ? "on, off, or an interval in ms and a count, such as 300x3" : bfdProblem(timing);
    return expected === undefined ? { value: timing } : { expected };
  },
};

const NEXT_HOP_MODE = oneOf("fixed", "auto_sourceip", "auto_sourceif");

export const nextHopMode: SettingType<"fixed" | "auto_sourceip" | "auto_sourceif" | undefined> = {
  name: `unset, ${NEXT_HOP_MODE.name}`,
  parse: (value) => (value === "" ? { value: undefined } : NEXT_HOP_MODE.parse(value)),
};
