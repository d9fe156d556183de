import { DecodeError, type DecodeErrorCode } from "../reader.js";

/** What a NOTIFICATION says (RFC 4271 4.5): 8-bit code and subcode, and what they are about. */
export interface Notification {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** A message after which the session cannot go on. `notification` is what the peer is to be told, exactly. */
export class BgpError extends DecodeError {
  constructor(
    readonly notification: Notification,
    where: { readonly code: DecodeErrorCode; readonly offset: number },
    what: string,
  ) {
    super(where.code, where.offset, what);
  }
}

/** A NOTIFICATION with these codes; no data unless given. */
export function notificationOf(code: number, subcode: number, data: Uint8Array = new Uint8Array()): Notification {
  return { code, subcode, data };
}

/** Runs `decode`; a DecodeError that has no NOTIFICATION of its own gets this one. */
export function withNotification<T>(notification: Notification, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof DecodeError) || error instanceof BgpError) throw error;
    throw new BgpError(notification, error, error.message.replace(/ at offset \d+$/, ""));
  }
}
