declare const macBrand: unique symbol;
/** A 48-bit MAC address as lower-case text, `02:00:00:00:00:01`. */
export type MacAddress = string & { readonly [macBrand]: true };

export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff" as MacAddress;

/** Canonical form of `text`, or undefined where it is not six hex octets joined by colons. */
export function parseMac(text: string): MacAddress | undefined {
  return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text) ? (text.toLowerCase() as MacAddress) : undefined;
}

/** Six octets. */
export function macToBytes(mac: MacAddress): Uint8Array {
  const bytes = new Uint8Array(6);
  for (let at = 0; at < 6; at += 1) bytes[at] = Number.parseInt(mac.slice(3 * at, 3 * at + 2), 16);
  return bytes;
}

/** Address from six octets; any other length is a RangeError. */
export function macFromBytes(bytes: Uint8Array): MacAddress {
  if (bytes.length !== 6) throw new RangeError(`a MAC address has 6 octets, not ${bytes.length}`);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":") as MacAddress;
}
