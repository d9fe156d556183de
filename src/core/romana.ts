import { parseIp, unusableAsVip, type IpAddress } from "../lib/ip.js";

/** Romana read the first key until v2.0.1 and the second from v2.0.2 on. */
export const ROMANA_KEYS = ["romanaip", "romanavip"] as const;

export type RomanaVip =
  | { readonly type: "none" }
  | { readonly type: "address"; readonly address: IpAddress; readonly from: string }
  | { readonly type: "auto"; readonly from: string }
  | { readonly type: "invalid"; readonly message: string };

const EXPECTED = `expected {"auto": false, "ip": "192.0.2.10"} or {"auto": true}`;

/**
 * The VIP that a Service asks for in Romana's way: `romanaip: '{"auto": false, "ip": "192.168.99.101"}'`. Read as Go's encoding/json does: keys match
 * without regard to case, unknown ones are ignored, a value of the wrong type is an error.
 */
export function romanaOf(annotations: Readonly<Record<string, string>>): RomanaVip {
  const found = ROMANA_KEYS.flatMap((key) => {
    const text = annotations[key];
    return text === undefined ? [] : [parse(key, text)];
  });
  const [first = { type: "none" }, second] = found;
  if (second === undefined || first.type === "invalid" || second.type === "invalid") return first.type === "invalid" ? first : (second ?? first);
  const differ = first.type !== second.type || (first.type === "address" && second.type === "address" && first.address !== second.address);
  if (!differ) return first;
  return { type: "invalid", message: `${ROMANA_KEYS.join(" and ")} ask for different things: expected one of them, or both the same` };
}

function parse(key: string, text: string): RomanaVip {
  const fields = objectOf(text);
  if (fields === undefined) return invalid(key, `"${text}", which is no JSON object`);
  const auto = fields.get("auto") ?? false;
  const ip = fields.get("ip") ?? "";
  if (typeof auto !== "boolean") return invalid(key, `auto ${JSON.stringify(auto)}, which is neither true nor false`);
  if (typeof ip !== "string") return invalid(key, `ip ${JSON.stringify(ip)}, which is no text`);
  if (auto) return { type: "auto", from: key };
  const address = parseIp(ip.trim());
  if (address === undefined) return invalid(key, ip === "" ? "no ip" : `ip "${ip}", which is no IP address`);
  const why = unusableAsVip(address);
  return why === undefined ? { type: "address", address, from: key } : invalid(key, `ip ${address}, ${why}`);
}

function objectOf(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value).map(([key, part]): [string, unknown] => [key.toLowerCase(), part]));
  } catch {
    // The text is shown to whoever wrote it.
    return undefined;
  }
}

function invalid(key: string, what: string): RomanaVip {
  return { type: "invalid", message: `${key} has ${what}: ${EXPECTED}` };
}
