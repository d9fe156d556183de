import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bgpCheck } from "../../src/cli/bgp-check.js";
import { loadSettings } from "../../src/config/load.js";

const check = (env: Readonly<Record<string, string>>, bgp = true): readonly string[] => bgpCheck({ ...loadSettings({ env: { vip_arp: "true", svc_enable: "true", ...env } }).settings, bgp });

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "vip-bgp-check-")), "peers.yaml");
  writeFileSync(path, text);
  return path;
}

test("without BGP there is nothing to say", () => {
  expect(check({ bgp_config_file: "/nowhere" }, false)).toEqual([]);
});

test("a file that is not there, or that has something wrong, is spoken about", () => {
  expect(check({ bgp_config_file: "/nowhere" })).toEqual(['bgp_config_file="/nowhere": expected a file that can be read: ENOENT', expect.stringContaining("BGP has no peer")]);
  const path = file("peers: [{ peer-address: 10.0.0.1, peer-asn: 1, hold-tiem: 9s }, { peer-address: 10.0.0.2 }]");
  expect(check({ bgp_config_file: path })).toEqual([`${path}, peer 1 (10.0.0.1): hold-tiem is not known and has no effect; did you mean hold-time?`, `${path}, peer 2 (10.0.0.2): expected peer-asn`]);
});

test("what depends on labels, links and annotations is left to the daemon", () => {
  const path = file("peers: [{ peer-address: 10.0.0.1, peer-asn: 1, node-selectors: [{ match-labels: { a: b } }] }]");
  expect(check({ bgp_config_file: path, annotation: "p", bgp_routerinterface: "eth7", mpbgp_nexthop: "auto_sourceif" })).toEqual([]);
});
