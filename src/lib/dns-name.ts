/** RFC 1123 2.1: letters, digits and hyphens, a hyphen neither first nor last; RFC 1035 2.3.4: at most 63 octets. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
/** RFC 1035 2.3.4 allows 255 octets on the wire: 253 characters of text without the final dot. */
const MOST_CHARACTERS = 253;

/**
 * Is this the name of a host (RFC 1123 2.1)? A final dot is allowed, an underscore is not. What ends in a number is no name but a broken address:
 * `10.0.0.300`, `1.2.3`, `web.1`; RFC 1123 2.1 relies on top-level names being alphabetic. Hexadecimal (`0xa000001`, `10.0x1`) counts as a number
 * too, for getaddrinfo takes that as an IPv4 address.
 */
export function isDnsName(text: string): boolean {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  if (name.length === 0 || name.length > MOST_CHARACTERS) return false;
  const labels = name.split(".");
  return labels.every((label) => LABEL.test(label)) && !/^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? "");
}
