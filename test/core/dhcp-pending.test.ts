import { expect, test } from "vitest";
import { troubleText } from "../../src/core/dhcp-pending.js";
import type { LeaseTrouble } from "../../src/core/model.js";
import type { IpAddress } from "../../src/lib/ip.js";

const [VIP, SERVER, VIP6, SERVER6] = ["192.0.2.10", "192.0.2.1", "2001:db8::10", "fe80::1"] as unknown as readonly [IpAddress, IpAddress, IpAddress, IpAddress];

test.each<readonly [string, LeaseTrouble, string]>([
  ["a NAK with words", { type: "refused", server: SERVER, text: "address in use" }, `DHCP server ${SERVER} refuses the address ("address in use")`],
  ["a refusal by DHCPv6", { type: "refused", server: SERVER6, text: undefined }, `DHCPv6 server ${SERVER6} refuses the address`],
  ["an address in use", { type: "declined", address: VIP6, server: SERVER6, by: undefined }, `${VIP6}, given by DHCPv6 server ${SERVER6}, is in use: declined`],
  ["the end of a lease", { type: "lost", address: VIP, reason: "expired" }, `the lease of ${VIP} has ended and no DHCP server has renewed it`],
  ["the end of a lease of DHCPv6", { type: "lost", address: VIP6, reason: "expired" }, `the lease of ${VIP6} has ended and no DHCPv6 server has renewed it`],
])("names the protocol of the server: %s", (_name, trouble, text) => {
  expect(troubleText(trouble)).toBe(text);
});
