import { BgpError } from "./error.js";
import { messageLength } from "./message.js";

/** What is known of a TCP stream after some more octets of it. */
export interface StreamPart {
  /** Whole messages, each of them with its header. Views of the input: decode them before it is used again. */
  readonly messages: readonly Uint8Array[];
  /** Start of a message whose rest has not come; always shorter than the longest message. */
  readonly pending: Uint8Array;
  /** A bad header behind `messages`: nothing after it can be read. */
  readonly error: BgpError | undefined;
}

/** Cuts a stream into messages. `pending` is that of the part before; `most` is the longest message allowed from here on. */
export function splitStream(pending: Uint8Array, chunk: Uint8Array, most: number): StreamPart {
  const octets = joined(pending, chunk);
  const messages: Uint8Array[] = [];
  let at = 0;
  try {
    for (;;) {
      const rest = octets.subarray(at);
      const length = messageLength(rest, most);
      // A copy: the chunk may be large, and its owner may use it again.
      if (length === undefined || length > rest.length) return { messages, pending: rest.slice(), error: undefined };
      messages.push(rest.subarray(0, length));
      at += length;
    }
  } catch (error) {
    if (!(error instanceof BgpError)) throw error;
    return { messages, pending: new Uint8Array(), error };
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const octets = new Uint8Array(a.length + b.length);
  octets.set(a);
  octets.set(b, a.length);
  return octets;
}
