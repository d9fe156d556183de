import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { familyOf, hostPrefix, ipFromBytes, ipToBytes, parseIp, unusableAsVip } from "../../src/lib/ip.js";
import { macFromBytes, macToBytes, parseMac } from "../../src/lib/mac.js";

describe("IP addresses", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["::", "::"],
  ])("%s is %s", (text, canonical) => expect(parseIp(text)).toBe(canonical));

  test.each(["", "192.0.2", "192.0.2.256", "192.0.2.01", "192.0.2.1/32", " 192.0.2.1", "fe80::1%eth0", "1::2::3", "example.org", "0x7f.1"])(
    "%j is no address",
    (text) => expect(parseIp(text)).toBeUndefined(),
  );

  test("octets there and back, both families", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })), (bytes) => {
        const address = ipFromBytes(bytes);
        expect(ipToBytes(address)).toEqual(bytes);
        expect(parseIp(address)).toBe(address);
        expect(familyOf(address)).toBe(bytes.length === 4 ? 4 : 6);
        expect(hostPrefix(address)).toBe(bytes.length * 8);
      }),
      { seed: 1 },
    );
  });

  test("another number of octets is refused", () => expect(() => ipFromBytes(new Uint8Array(5))).toThrow(RangeError));

  test.each([
    ["0.1.2.3", "an address of 0.0.0.0/8"],
    ["127.0.0.1", "a loopback address"],
    ["239.0.0.1", "a multicast address"],
    ["255.255.255.255", "a reserved address"],
    ["::1", "a loopback address"],
    ["ff02::1", "a multicast address"],
    ["fe80::1", "a link-local address"],
    ["192.0.2.1", undefined],
    ["2001:db8::1", undefined],
  ])("%s as a VIP: %s", (text, why) => {
    const address = parseIp(text);
    expect(address === undefined ? "no address" : unusableAsVip(address)).toBe(why);
  });
});

test("MAC addresses there and back; nonsense is none", () => {
  expect(parseMac("02:00:5E:10:00:01")).toBe("02:00:5e:10:00:01");
  expect(parseMac("02:00:5e:10:00")).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      expect(macToBytes(macFromBytes(bytes))).toEqual(bytes);
    }),
    { seed: 1 },
  );
  expect(() => macFromBytes(new Uint8Array(7))).toThrow(RangeError);
});
