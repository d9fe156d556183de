import { Writer } from "../writer.js";

/** RFC 6355 4. */
const DUID_UUID = 4;
const UUID_LENGTH = 16;

/** A DUID made of a UUID (RFC 6355): the same wherever the thing is that has the UUID. `uuid`: 16 octets; any other length is a RangeError. */
export function encodeDuidUuid(uuid: Uint8Array): Uint8Array {
  if (uuid.length !== UUID_LENGTH) throw new RangeError(`a UUID has ${UUID_LENGTH} octets, not ${uuid.length}`);
  return new Writer(2 + UUID_LENGTH).u16(DUID_UUID).bytes(uuid).finish();
}
