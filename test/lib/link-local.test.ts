import { expect, test } from "vitest";
import { linkLocalOf } from "../../src/lib/link-local.js";
import type { MacAddress } from "../../src/lib/mac.js";

test.each([
  // RFC 2464 4: its example, with a MAC that is unique in the world.
  ["34:56:78:9a:bc:de", "fe80::3656:78ff:fe9a:bcde"],
  ["02:00:00:00:00:50", "fe80::ff:fe00:50"],
])("of %s is %s", (mac, address) => {
  expect(linkLocalOf(mac as MacAddress)).toBe(address);
});
