import fc from "fast-check";
import { FALSE, TRUE } from "../../src/config/setting-types.js";
import { SETTING_ROWS, SETTINGS, type Setting, type SettingName } from "../../src/config/settings.js";

/** One line of text, with all that quoting could get wrong. */
const line = fc
  .oneof(fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }), fc.constantFrom("off", "yes", "1e3", "12:30:45", "0o17", "~", "null", "$(PATH)", "$$(A)", "%h %%", '"', "\\", "a: b # c", "- x", "{}", "'", "-1", " a ", "#"))
  .filter((text) => !/[\p{Cc}\p{Cs}\u2028\u2029\uFEFF]/u.test(text));
const path = fc.stringMatching(/^\/[a-z $%"']{1,9}\/[a-z][a-z.]{0,8}$/);
const address = fc.oneof(fc.ipV4(), fc.ipV6());

const as = fc.constantFrom("1", "65000", "4294967294", "1.10");

const BY_NAME: Partial<Record<SettingName, fc.Arbitrary<string>>> = {
  address: fc.array(address, { minLength: 1, maxLength: 2 }).map((all) => all.join(",")),
  kubeconfig: path,
  healthCaPath: path,
  bgpConfigFile: path,
  bgpPasswordFile: path,
  controlDirectory: path,
  healthAddress: fc.constantFrom("off", "https://127.0.0.1:6443/livez", "http://[::1]:8080/?a=b&c=%20"),
  prometheusServer: fc.constantFrom("off", ":80", "127.0.0.1:9100", "[::1]:2112"),
  healthCheckPort: fc.constantFrom("0", "1024", "65535"),
  loadBalancerClass: fc.oneof(line, fc.constant("")),
  // The mode is not there yet.
  bgp: fc.constantFrom(...FALSE),
  bgpAs: as,
  bgpPeerAs: as,
  bgpRouterId: fc.ipV4().filter((text) => text !== "0.0.0.0"),
  bgpPeerAddress: fc.constantFrom("192.0.2.1", "2001:db8::1"),
  bgpPeers: fc.constantFrom("192.0.2.1:65000", "192.0.2.1:65000:a b$(X)%h:true:1179,[fe80::1%eth0]:65001", 'unnumbered:eth0,192.0.2.1:1.10:"a:b,\\c"::179:mpbgp_nexthop=fixed;mpbgp_ipv6=2001:db8::1:true;50;50;3'),
  bgpSourceIp: fc.constantFrom("192.0.2.1", "2001:db8::1"),
  bgpNextHop4: fc.constant("192.0.2.1"),
  bgpNextHop6: fc.constant("2001:db8::1"),
  bgpNextHopMode: fc.constantFrom("fixed", "auto_sourceip", "auto_sourceif"),
  bgpHoldSeconds: fc.constantFrom("0", "3", "65535"),
  bgpKeepaliveSeconds: fc.constantFrom("1", "10"),
  bgpTtlSecurity: fc.constantFrom("1", "254"),
  bgpLocalPref: fc.constantFrom("0", "4294967295"),
  bgpMed: fc.constantFrom("0", "4294967295"),
  bgpBfd: fc.constantFrom("on", "off", "50x3"),
  bgpCommunities: fc.constantFrom("65000:1", "no-export,64496:1:2"),
  prefixes: fc.constantFrom("32", "24,64", "auto", "auto,auto", "auto,128"),
};

/** A text that the type of the setting accepts. */
function textFor(name: SettingName, { type }: Setting<unknown>): fc.Arbitrary<string> {
  const own = BY_NAME[name];
  if (own !== undefined) return own;
  if (type.isSwitch === true) return fc.constantFrom(...TRUE, ...FALSE);
  const bounds = /^a whole number from (-?\d+) to (\d+)$/.exec(type.name);
  if (bounds !== null) return fc.integer({ min: Number(bounds[1]), max: Number(bounds[2]) }).map(String);
  if (type.name === "text") return line;
  return fc.constantFrom(...type.name.split(/, | or /));
}

/** The environment of a daemon that starts, with settings at random: by the first name of each. */
export const environments: fc.Arbitrary<Readonly<Record<string, string>>> = fc
  .record(
    Object.fromEntries(SETTING_ROWS.filter(([name]) => name !== "configFile").map(([name, setting]) => [setting.env[0] ?? name, textFor(name, setting)])),
    { requiredKeys: SETTINGS.address.env.slice(0, 1) },
  )
  .chain((env) => fc.constantFrom(["5", "3", "1"], ["15", "10", "2"], ["60", "40", "5"]).map(([lease = "", renew = "", retry = ""]) => ({ ...env, vip_arp: "true", svc_enable: "1", vip_ddns: "false", vip_leaseduration: lease, vip_renewdeadline: renew, vip_retryperiod: retry })));
