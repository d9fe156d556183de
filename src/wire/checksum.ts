/** The Internet checksum (RFC 1071) over all parts as if they were one; an odd part other than the last is a RangeError. 0 over data that has a right one in it. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  parts.forEach((part, index) => {
    if (part.length % 2 === 1 && index < parts.length - 1) throw new RangeError(`a part of ${part.length} octets in front of another`);
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
    const even = part.length - (part.length % 2);
    for (let at = 0; at < even; at += 2) sum += view.getUint16(at);
    if (even < part.length) sum += view.getUint8(even) << 8;
  });
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}
