import { attributeReader, type Attribute } from "./attribute.js";

/** What the tool nft shows as `comment "…"`; the same number for tables, chains and rules (libnftnl/udata.h). */
const NFTNL_UDATA_COMMENT = 0;
/** Octets of a comment with the NUL at its end (NFTNL_UDATA_COMMENT_MAXLEN). */
const COMMENT_MAX = 128;

//   0      1        2
//  ┌──────┬────────┬──────────────┐
//  │ type │ length │ data …       │   repeated; the kernel keeps it and looks at nothing of it
//  └──────┴────────┴──────────────┘

/** User data with a comment. Throws RangeError where it is longer than 127 octets of UTF-8. */
export function encodeComment(comment: string): Uint8Array {
  const text = new TextEncoder().encode(`${comment}\0`);
  if (text.length > COMMENT_MAX) throw new RangeError(`the comment ${comment} has ${text.length - 1} octets, ${COMMENT_MAX - 1} are allowed`);
  return Uint8Array.of(NFTNL_UDATA_COMMENT, text.length, ...text);
}

/** The comment in user data, or undefined where there is none. Other programs keep what they like in here: what cannot be read says nothing. */
export function commentOf(attribute: Attribute | undefined): string | undefined {
  if (attribute === undefined) return undefined;
  const reader = attributeReader(attribute);
  while (reader.remaining >= 2) {
    const type = reader.u8();
    const length = reader.u8();
    if (length > reader.remaining) return undefined;
    const data = reader.bytes(length);
    if (type === NFTNL_UDATA_COMMENT) return new TextDecoder("utf-8", { ignoreBOM: true }).decode(data.at(-1) === 0 ? data.subarray(0, -1) : data);
  }
  return undefined;
}
