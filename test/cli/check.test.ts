import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runCheck, type CheckReport } from "../../src/cli/check.js";
import { capability, kernelFacts, marks, type KernelFact } from "../../src/cli/kernel-facts.js";
import { SETTING_ROWS } from "../../src/config/settings.js";
import { FakeIo } from "./fake-io.js";

const BASE = { vip_arp: "true", svc_enable: "true" };
const FACTS: readonly KernelFact[] = [{ what: "nf_tables", state: "ok", detail: "usable" }, { what: "CAP_NET_RAW", state: "missing", detail: "this process does not have it" }];

async function check(env: Readonly<Record<string, string>>, flags: Readonly<Record<string, string>> = {}): Promise<{ readonly code: number; readonly text: string; readonly report: CheckReport }> {
  const io = new FakeIo();
  const code = await runCheck({ env, flags, output: "text" }, async () => FACTS, io);
  const json = new FakeIo();
  await runCheck({ env, flags, output: "json" }, async () => FACTS, json);
  return { code, text: io.stdout, report: JSON.parse(json.stdout) as CheckReport };
}

describe("vip check", () => {
  test("shows every value with where it comes from, and ends with 0", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "vip-check-")), "vip.yaml");
    writeFileSync(file, "vip_retryperiod: 1\nvip_arpRate: 1000\n");
    const { code, text, report } = await check({ ...BASE, config_file: file, vip_address: "192.0.2.1" }, { interface: "eth0" });
    expect(code).toBe(0);
    expect(report.settings.map(({ name }) => name)).toEqual(SETTING_ROWS.map(([, { env }]) => env[0]));
    expect(text).toMatch(/^vip_interface +eth0 +--interface$/m);
    expect(text).toMatch(/^address +192\.0\.2\.1 +vip_address$/m);
    expect(text).toMatch(/^vip_leaseduration +5 s +default$/m);
    expect(report.settings.find(({ name }) => name === "vip_arpRate")).toEqual({ name: "vip_arpRate", value: "1000 ms", from: `${file}: vip_arpRate` });
    expect(text).toMatch(/^ok {2}nf_tables +usable$/m);
    expect(text).toMatch(/^NO {2}CAP_NET_RAW +this process does not have it$/m);
    expect(text).toMatch(/\nthe daemon would start with these settings\n$/);
  });

  test("shows values that are wrong, too, and ends with 1", async () => {
    const { code, text, report } = await check({ ...BASE, port: "many", lb_enable: "true" });
    expect(code).toBe(1);
    expect(report.problems).toEqual(['port="many": expected a whole number from 1 to 65535']);
    expect(text).toMatch(/^port +many +port$/m);
    expect(text).toContain('warning: lb_enable="true" has no effect');
    expect(text).toContain('error: port="many": expected a whole number from 1 to 65535');
    expect(text).toMatch(/\nthe daemon would not start with these settings\n$/);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string]>([
    ["a pool that is none", { ...BASE, svc_addresses: "192.0.2.0/99" }, "192.0.2.0/99"],
    ["a file that is not there", { ...BASE, config_file: "/does/not/exist" }, 'config_file="/does/not/exist": expected a file that can be read: ENOENT'],
    ["no mode", {}, 'vip_arp="false": expected true'],
  ])("ends with 1 for %s", async (_name, env, problem) => {
    const { code, report } = await check(env);
    expect(code).toBe(1);
    expect(report.problems[0]).toContain(problem);
  });
});

describe("what the kernel can do", () => {
  test.each([
    ["5.18.0-amd64", "5.18.0-amd64: addresses are marked by IFA_PROTO"],
    ["6.1.0", "6.1.0: addresses are marked by IFA_PROTO"],
    ["5.17.9", "5.17.9: before 5.18, so that a label"],
    ["4.19.0", "4.19.0: before 5.18, so that a label"],
  ])("Linux %s", (version, text) => {
    expect(marks(version).detail).toContain(text);
  });

  test.each([
    ["0000000000003000", "ok"],
    ["000001ffffffffff", "ok"],
    ["0000000000001000", "missing"],
  ] as const)("capability NET_RAW in CapEff %s: %s", (bits, state) => {
    expect(capability("NET_RAW", 13, `Name:\tvip\nCapPrm:\t0\nCapEff:\t${bits}\n`).state).toBe(state);
  });

  test("is told without an error, whatever this process may do", async () => {
    const facts = await kernelFacts();
    expect(facts.map(({ what }) => what)).toEqual(["kernel", "CAP_NET_ADMIN", "CAP_NET_RAW", "raw sockets", "nf_tables", "8021q", "macvlan"]);
    for (const { detail } of facts) expect(detail).not.toBe("");
  });
});
