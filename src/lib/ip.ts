import { Address4, Address6 } from "ip-address";

declare const ipBrand: unique symbol;
/** An IP address in its canonical text form (dotted quad, or RFC 5952), so that equal addresses are equal strings. */
export type IpAddress = string & { readonly [ipBrand]: true };
export type Family = 4 | 6;

/** `0` */
const ZERO = 48;

/** Canonical form of `text`, or undefined where it is no plain IP address (no prefix length, no zone, no port). */
export function parseIp(text: string): IpAddress | undefined {
  if (/[/%\s]/.test(text)) return undefined;
  if (!text.includes(":")) return isDottedQuad(text) ? (text as IpAddress) : undefined;
  if (!Address6.isValid(text)) return undefined;
  return new Address6(text).correctForm() as IpAddress;
}

/** 4 or 6. */
export function familyOf(address: IpAddress): Family {
  return address.includes(":") ? 6 : 4;
}

/** Prefix length of a single host: 32 or 128. */
export function hostPrefix(address: IpAddress): number {
  return familyOf(address) === 4 ? 32 : 128;
}

/** 4 or 16 octets in network order. */
export function ipToBytes(address: IpAddress): Uint8Array {
  if (familyOf(address) === 4) return quadToBytes(address);
  const bytes = new Address6(address).toUnsignedByteArray();
  const out = new Uint8Array(16);
  out.set(bytes, 16 - bytes.length);
  return out;
}

/** Address from 4 or 16 octets in network order; any other length is a RangeError. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return bytes.join(".") as IpAddress;
  if (bytes.length !== 16) throw new RangeError(`an IP address has 4 or 16 octets, not ${bytes.length}`);
  return Address6.fromUnsignedByteArray([...bytes]).correctForm() as IpAddress;
}

/** Why `address` can never be a VIP (RFC 1122 3.2.1.3, RFC 4291 2.7), or undefined where it can. */
export function unusableAsVip(address: IpAddress): string | undefined {
  if (familyOf(address) === 6) {
    const parsed = new Address6(address);
    if (parsed.isMulticast()) return "a multicast address";
    if (parsed.isLoopback()) return "a loopback address";
    if (parsed.isLinkLocal()) return "a link-local address";
    return address === "::" ? "the unspecified address" : undefined;
  }
  const first = new Address4(address).toArray()[0] ?? 0;
  if (first === 0) return "an address of 0.0.0.0/8";
  if (first === 127) return "a loopback address";
  if (first >= 224) return first < 240 ? "a multicast address" : "a reserved address";
  return undefined;
}

/** Without a list of parts: it runs for every lifetime and every announcement. */
function quadToBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(4);
  let at = 0;
  let value = 0;
  for (let i = 0; i < address.length; i += 1) {
    const digit = address.charCodeAt(i) - ZERO;
    if (digit >= 0) value = value * 10 + digit;
    else {
      bytes[at] = value;
      at += 1;
      value = 0;
    }
  }
  bytes[at] = value;
  return bytes;
}

function isDottedQuad(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}
