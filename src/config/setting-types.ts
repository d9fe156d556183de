import { isDnsName } from "../lib/dns-name.js";
import { parseIp } from "../lib/ip.js";
import type { IpAddress } from "../lib/ip.js";

/** A text that is no value of its type: what was expected instead. */
export interface Refused {
  readonly expected: string;
}

export interface SettingType<T> {
  /** How the type is called where settings are explained. */
  readonly name: string;
  /** A flag of this type may stand without a value, for `true`. */
  readonly isSwitch?: true;
  parse(text: string): { readonly value: T } | Refused;
}

/** Keys of the settings that turn a part of the program on. */
export type SwitchName = "arp" | "bgp" | "services" | "controlPlane" | "upnp" | "election" | "electionOnDemand";

export interface Setting<T> {
  /** Environment variables, the first one found counts; names as in kube-vip. */
  readonly env: readonly string[];
  /** Long option without dashes, as in kube-vip; undefined where there is none. */
  readonly flag: string | undefined;
  readonly type: SettingType<T>;
  /** The default as text, parsed like any other value; an empty text stands for `unset`. */
  readonly fallback: string;
  readonly unit?: string;
  readonly doc: string;
  /** Other spellings of the flag. */
  readonly flagAliases?: readonly string[];
  /** One letter for the flag. */
  readonly short?: string;
  /** An empty variable is a value of its own, as in kube-vip; others count as unset. */
  readonly emptyCounts?: true;
  /** How a value is shown that has a secret in it. */
  readonly secret?: (text: string) => string;
  /** It has an effect only where one of these is true. */
  readonly needs?: readonly SwitchName[];
  /** kube-vip's default, where ours is another one. */
  readonly kubeVip?: string;
}

/** The rows, each with these `needs`. */
export function needing<const R extends Readonly<Record<string, Setting<unknown>>>>(needs: readonly SwitchName[], rows: R): { readonly [K in keyof R]: R[K] & Pick<Setting<unknown>, "needs"> } {
  return Object.fromEntries(Object.entries(rows).map(([key, row]) => [key, { ...row, needs }])) as { [K in keyof R]: R[K] & Pick<Setting<unknown>, "needs"> };
}

// Go's strconv.ParseBool, so that every manifest that works with kube-vip reads the same.
export const TRUE: readonly string[] = ["1", "t", "T", "true", "TRUE", "True"];
export const FALSE: readonly string[] = ["0", "f", "F", "false", "FALSE", "False"];

export const bool: SettingType<boolean> = {
  name: "true or false",
  isSwitch: true,
  parse(text) {
    if (TRUE.includes(text)) return { value: true };
    return FALSE.includes(text) ? { value: false } : { expected: "true or false" };
  },
};

export const onOff: SettingType<boolean> = {
  name: "on or off",
  parse: (value) => (value === "on" || value === "off" ? { value: value === "on" } : { expected: "on or off" }),
};

export const text: SettingType<string | undefined> = {
  name: "text",
  parse: (value) => ({ value: value === "" ? undefined : value }),
};

/** IP addresses, and DNS names in lower case. */
export const hosts: SettingType<readonly (IpAddress | HostName)[]> = {
  name: "IP addresses, comma separated, or a DNS name",
  parse(value) {
    const parsed: (IpAddress | HostName)[] = [];
    for (const part of value.split(",").map((p) => p.trim()).filter((p) => p !== "")) {
      const host = parseIp(part) ?? (isDnsName(part) ? (part.toLowerCase() as HostName) : undefined);
      if (host === undefined) return { expected: "IP addresses such as 192.0.2.10, comma separated, or a DNS name" };
      parsed.push(host);
    }
    return { value: parsed };
  },
};

declare const hostNameBrand: unique symbol;
/** A DNS name that stands in an address's place. */
export type HostName = string & { readonly [hostNameBrand]: true };

/** The addresses among hosts. */
export function addressesAmong(all: readonly (IpAddress | HostName)[]): readonly IpAddress[] {
  return all.flatMap((host) => parseIp(host) ?? []);
}

/** What turns a thing off whose empty text means something else. */
export const OFF = "off";

export const healthAddress: SettingType<string | undefined> = {
  name: "an http or https URL, or `off`",
  parse(value) {
    if (value === "" || value === OFF) return { value: value === "" ? undefined : OFF };
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) return { expected: "a URL such as https://127.0.0.1:6443/livez, or `off`" };
    return { value };
  },
};

/** Prefix lengths of VIPs by family; `auto`: of the subnet that holds the address. */
export const prefixes: SettingType<{ readonly 4: number | "auto"; readonly 6: number | "auto" }> = {
  name: "prefix lengths such as 32 or 32,128, or `auto`",
  parse(value) {
    const [first = "32", second = first === "auto" ? "auto" : "128", ...more] = value.split(",").map((part) => part.trim().replace(/^\//, ""));
    const one = (part: string, most: number): number | "auto" | undefined => (part === "auto" ? "auto" : /^\d{1,3}$/.test(part) && Number(part) >= 1 && Number(part) <= most ? Number(part) : undefined);
    const [v4, v6] = [one(first, 32), one(second, 128)];
    if (v4 === undefined || v6 === undefined || more.length > 0) return { expected: "`auto`, or a prefix length for IPv4 (1 to 32) and, after a comma, one for IPv6 (1 to 128)" };
    return { value: { 4: v4, 6: v6 } };
  },
};

/** One of these words. */
export function oneOf<const T extends string>(...values: readonly T[]): SettingType<T> {
  const name = values.join(", ").replace(/, ([^,]*)$/, " or $1");
  return {
    name,
    parse(value) {
      const found = values.find((candidate) => candidate === value);
      return found === undefined ? { expected: name } : { value: found };
    },
  };
}

/** A whole number, both bounds included. */
export function int(least: number, most: number): SettingType<number> {
  const name = `a whole number from ${least} to ${most}`;
  return {
    name,
    parse(value) {
      const number = Number(value);
      return /^-?\d+$/.test(value) && number >= least && number <= most ? { value: number } : { expected: name };
    },
  };
}

/** `undefined`: off. */
export const listenAddress: SettingType<string | undefined> = {
  name: "address:port or :port, or `off`",
  parse(value) {
    if (value === "" || value === OFF) return { value: undefined };
    const [, host = "", port = ""] = /^(.*):(\d{1,5})$/.exec(value) ?? [];
    const bare = host.replace(/^\[(.*)\]$/, "$1");
    const isAddress = bare === "" || parseIp(bare) !== undefined || /^[A-Za-z0-9.-]+$/.test(bare);
    if (!isAddress || Number(port) < 1 || Number(port) > 65535) return { expected: "an address and a port such as 127.0.0.1:2112, `:2112`, or `off`" };
    return { value };
  },
};

/** As in kube-vip: below 1024 a pod without more rights cannot listen. */
export const healthPort: SettingType<number> = {
  name: "0, or a port from 1024 to 65535",
  parse(value) {
    const port = Number(value);
    return /^\d{1,5}$/.test(value) && (port === 0 || (port >= 1024 && port <= 65535)) ? { value: port } : { expected: "0, or a port from 1024 to 65535" };
  },
};
