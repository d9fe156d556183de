import { describe, expect, test } from "vitest";
import { ConfigError, examineSettings, loadSettings, type Loaded, type SettingsInput } from "../../src/config/load.js";

const BASE = "vip_arp: true\nsvc_enable: true\n";

function withFile(text: string, more: Partial<SettingsInput> = {}): Loaded {
  return loadSettings({ env: {}, file: { path: "/etc/vip.yaml", text }, ...more });
}

function problems(text: string): readonly string[] {
  return examineSettings({ env: { vip_arp: "true", svc_enable: "true" }, file: { path: "/f", text } }).problems;
}

describe("a config file", () => {
  test("gives settings by the names of environment variables and of the table, in YAML", () => {
    const { settings, sources } = withFile(`${BASE}port: 7443\niface: eth1\nleaseSeconds: 15\nduplicate_check: off\naddress: [192.0.2.1, "fd00::1"]\nvip_subnet:\n`);
    expect(settings).toMatchObject({ arp: true, services: true, port: 7443, iface: "eth1", leaseSeconds: 15, duplicateCheck: false, address: ["192.0.2.1", "fd00::1"], prefixes: { 4: 32, 6: 128 } });
    expect(sources.port).toEqual({ kind: "file", name: "/etc/vip.yaml: port", text: "7443" });
    expect(sources.prefixes.kind).toBe("default");
  });

  test("may be JSON", () => {
    expect(withFile('{ "vip_arp": "true", "services": true, "vip_arpRate": 1000 }').settings).toMatchObject({ arp: true, arpRateMs: 1000 });
  });

  test("may be empty", () => {
    expect(problems("")).toEqual([]);
    expect(problems("# nothing\n")).toEqual([]);
  });

  test("comes after environment and flags, and what it says in vain is told", () => {
    const { settings, warnings } = withFile(`${BASE}port: 1\nvip_interface: eth0\nnodeName: a`, { env: { port: "2", vip_nodename: "a" }, flags: { interface: "eth1" } });
    expect(settings).toMatchObject({ port: 2, iface: "eth1", nodeName: "a" });
    expect(warnings).toEqual(["port=2 is used, /etc/vip.yaml: port=1 is not", "--interface=eth1 is used, /etc/vip.yaml: vip_interface=eth0 is not"]);
  });

  test.each<readonly [string, string, string]>([
    ["a key that nobody knows", "svc_enabel: true", '/f: "svc_enabel": expected the name of a setting; did you mean svc_enable?'],
    ["a key that is like none", "quite_something: true", '/f: "quite_something": expected the name of a setting'],
    ["a file in the file", "config_file: /g", '/f: "config_file": expected the name of a setting'],
    ["a nested value", "address: { a: 1 }", '/f: "address": expected one text, number or boolean, or a list of them'],
    ["a list", "- vip_arp", "/f: expected keys and values, in YAML or JSON"],
    ["a value that does not parse", "port: many", '/f: port="many": expected a whole number from 1 to 65535'],
    ["a key that is there twice", "port: 1\nport: 2", "/f: expected YAML or JSON: duplicated mapping key (2:1)"],
    ["no YAML", "a: [", "/f: expected YAML or JSON: "],
  ])("with %s ends the start", (_name, text, line) => {
    expect(problems(text)).toEqual([expect.stringContaining(line)]);
  });

  test("is an error of the configuration", () => {
    expect(() => withFile("nothing: 1")).toThrow(ConfigError);
  });
});
