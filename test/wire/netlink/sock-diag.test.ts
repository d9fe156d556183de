import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError } from "../../../src/wire/reader.js";
import { decodeTcpSocket, encodeEstablishedDump } from "../../../src/wire/netlink/sock-diag.js";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));

/** struct inet_diag_msg of linux/inet_diag.h, field by field. */
const message = (head: string, source: string, dest: string): Uint8Array =>
  bytes(`${head} 00 00  d4 31 00 b3  ${source} ${dest}  00 00 00 00  01 00 00 00 00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  e8 03 00 00  67 12 00 00`);

describe("sock_diag", () => {
  test("asks for established TCP sockets of a family", () => {
    expect(encodeEstablishedDump(4)).toEqual(bytes(`02 06 00 00  02 00 00 00 ${"00".repeat(48)}`));
    expect(encodeEstablishedDump(6)[0]).toBe(10);
  });

  test.each([
    ["IPv4", message("02 01", `0a 00 00 05 ${"00".repeat(12)}`, `0a 00 00 01 ${"00".repeat(12)}`), "10.0.0.5", "10.0.0.1"],
    ["IPv6", message("0a 01", "20010db8 00000000 00000000 00000005", "20010db8 00000000 00000000 00000001"), "2001:db8::5", "2001:db8::1"],
    ["IPv4 on a socket of IPv6", message("0a 01", "00000000 00000000 0000ffff 0a000005", "00000000 00000000 0000ffff 0a000001"), "10.0.0.5", "10.0.0.1"],
  ])("reads both ends and the inode: %s", (_name, payload, local, remote) => {
    expect(decodeTcpSocket(payload)).toEqual({ local: { address: local, port: 54_321 }, remote: { address: remote, port: 179 }, inode: 4711 });
  });

  test.each([0, 1, 4, 40, 71])("%i octets are too few", (length) => {
    expect(() => decodeTcpSocket(message("02 01", "00".repeat(16), "00".repeat(16)).subarray(0, length))).toThrow(DecodeError);
  });

  test("throws DecodeError and nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (payload) => {
        try {
          decodeTcpSocket(payload);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
