import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";

/** The name of a client (RFC 4704 4). */
export interface ClientFqdn {
  /** S (1): the server writes the AAAA record; O (2): it did so against the client's wish; N (4): it writes none. */
  readonly flags: number;
  /** `web`: a part of a name, to be completed by the server. `web.example.org.` with its final dot: a whole one. Lower or upper case as it came. */
  readonly name: string;
}

/** RFC 4704 4.1: the server is to write AAAA records for the name. */
export const FQDN_SERVER_UPDATES = 1;

const MAX_LABEL = 63;
/** RFC 1035 2.3.4. */
const MAX_NAME = 255;

/** The value of a Client FQDN option. A label of more than 63 octets is a caller's mistake. */
export function encodeFqdn({ flags, name }: ClientFqdn): Uint8Array {
  const labels = name.split(".");
  const writer = new Writer(1 + labels.reduce((sum, label) => sum + 1 + label.length, 0));
  writer.u8(flags);
  for (const label of labels) {
    // The empty one behind the final dot is the root; a name that is empty has none.
    if (name !== "") writer.u8(label.length).bytes(Uint8Array.from(label, (character) => character.charCodeAt(0)));
  }
  return writer.finish();
}

/** Throws DecodeError: for what is no name, and for a label with a dot or a character that cannot be shown. */
export function decodeFqdn(value: Uint8Array, base = 0): ClientFqdn {
  const reader = new Reader(value, base);
  const flags = reader.u8();
  if (reader.remaining > MAX_NAME) throw new DecodeError("length", base, `a name of ${reader.remaining} octets`);
  const labels: string[] = [];
  while (reader.remaining > 0) {
    const at = reader.offset;
    const length = reader.u8();
    if (length > MAX_LABEL) throw new DecodeError("value", at, `a label of ${length} octets`);
    const label = String.fromCharCode(...reader.bytes(length));
    if (!/^[\x21-\x2d\x2f-\x7e]*$/.test(label)) throw new DecodeError("value", at, "a label that cannot be shown");
    if (label === "" && (reader.remaining > 0 || labels.length === 0)) throw new DecodeError("value", at, "an empty label");
    labels.push(label);
  }
  return { flags, name: labels.join(".") };
}
