import { describe, expect, test } from "vitest";
import { isDnsName } from "../../src/lib/dns-name.js";

const label63 = "a".repeat(63);
const name253 = `${[label63, label63, label63].join(".")}.${"b".repeat(61)}`;

describe("a name", () => {
  test.each([
    ["one label", "web"],
    ["several", "web.example.org"],
    ["with a final dot", "web.example.org."],
    ["in capitals", "WEB.Example.ORG"],
    ["a label that begins with a digit", "3com.com"],
    ["labels of digits, but not the last", "10.0.0.in-addr.arpa"],
    ["a hyphen in the middle", "my--web.example"],
    ["punycode", "xn--bcher-kva.example"],
    ["a label that only looks hexadecimal", "0xg"],
    ["a label of 63", `${label63}.example`],
    ["253 characters", name253],
    ["253 characters and a final dot", `${name253}.`],
  ])("%s", (_name, text) => expect(isDnsName(text)).toBe(true));
});

describe("no name", () => {
  test.each([
    ["nothing", ""],
    ["a dot", "."],
    ["an address", "10.0.0.1"],
    ["an address with an octet too large", "10.0.0.300"],
    ["an address with an octet too few", "1.2.3"],
    ["a number", "12345"],
    ["a number at the end", "web.1"],
    ["a number and a final dot", "10.0.0.300."],
    ["a hexadecimal address", "0x7f000001"],
    ["a hexadecimal octet", "10.0.0.0x1"],
    ["an IPv6 address", "2001:db8::1"],
    ["a broken IPv6 address", "2001:db8::zz"],
    ["an empty label", "web..example"],
    ["a dot at the start", ".example"],
    ["two final dots", "example.."],
    ["an underscore", "_http.example"],
    ["only an underscore", "_"],
    ["a hyphen at the start", "-web.example"],
    ["a hyphen at the end", "web-.example"],
    ["a wildcard", "*.example"],
    ["a space", "web example"],
    ["a line after it", "web.example\n"],
    ["a port", "web.example:80"],
    ["a prefix length", "web.example/24"],
    ["letters beyond ASCII", "bücher.example"],
    ["a label of 64", `a${label63}.example`],
    ["254 characters", `${name253}b`],
  ])("%s", (_name, text) => expect(isDnsName(text)).toBe(false));
});
