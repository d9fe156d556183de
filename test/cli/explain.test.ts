import { describe, expect, test } from "vitest";
import { runExplain } from "../../src/cli/explain.js";
import { ANNOTATIONS } from "../../src/config/annotations.js";
import { SETTING_ROWS } from "../../src/config/settings.js";
import { UNSUPPORTED } from "../../src/config/unsupported.js";
import { FakeIo } from "./fake-io.js";

function explain(name?: string): { readonly code: number; readonly stdout: string; readonly stderr: string } {
  const io = new FakeIo();
  const code = runExplain(name, io);
  return { code, stdout: io.stdout, stderr: io.stderr };
}

describe("vip explain", () => {
  test("tells all of a setting, with kube-vip's default where that is another one", () => {
    expect(explain("vip_leaseduration")).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        "vip_leaseduration",
        "  A holder that is silent for so long is taken for dead.",
        "  environment  vip_leaseduration",
        "  flag         --leaseDuration",
        "  in a file    vip_leaseduration, leaseSeconds",
        "  value        a whole number from 1 to 3600",
        "  default      5 s",
        "  in kube-vip  15 s",
        "",
      ].join("\n"),
    });
  });

  test.each([
    ["bgp_as", "bgp_enable"],
    ["svc_rebalance_rate", "svc_election or per_service_election_on_demand"],
  ])("tells what %s needs", (name, needs) => {
    expect(explain(name).stdout).toContain(`\n  only with    ${needs}\n`);
  });

  test.each(["address", "vip_address", "--vip", "vip", "--address"])("knows a setting by each of its names: %s", (name) => {
    expect(explain(name).stdout).toMatch(/^address\n/);
  });

  test("says of a setting of kube-vip what becomes of it", () => {
    expect(explain("vip_wireguard").stdout).toContain("vip_wireguard, --wireguard\n  A setting of kube-vip that ends the start; dropped: tunnels are");
    expect(explain("lb_enable").stdout).toContain("has no effect, and a warning says so; dropped: ");
    expect(explain("--loseLeadershiptTimeoutSeconds").stdout).toContain("vip_loseleadership_timeout_seconds");
  });

  test("knows annotations, with and without their prefix", () => {
    expect(explain("kube-vip.io/serviceVLAN").stdout).toMatch(/^kube-vip.io\/serviceVLAN \(Service\)\n {2}A VLAN such as/);
    expect(explain("vipHost").stdout).toMatch(/^kube-vip.io\/vipHost \(Service, written by the program\)\n/);
    expect(explain("kube-vip.io/ignore-service-security").stdout).toContain("not read or written; planned: a filter");
  });

  test.each<readonly [string, string]>([
    ["vip_leasedurration", "vip: vip_leasedurration is no setting and no annotation; did you mean:\n  vip_leaseduration\n"],
    ["mpbgp", "vip: mpbgp is no setting and no annotation; did you mean:\n  mpbgp_nexthop\n  mpbgp_ipv4\n  mpbgp_ipv6\n"],
    ["quite-another-thing", "vip: quite-another-thing is no setting and no annotation; `vip explain` lists them\n"],
  ])("%s: offers what may have been meant, and ends with 3", (name, stderr) => {
    expect(explain(name)).toEqual({ code: 3, stdout: "", stderr });
  });

  test("without a name lists everything", () => {
    const { stdout } = explain();
    const names = [...SETTING_ROWS.map(([, { env }]) => env[0]), ...UNSUPPORTED.map(({ env, flags }) => env[0] ?? `--${flags[0]}`), ...ANNOTATIONS.map(({ name }) => name)];
    for (const name of names) expect(stdout).toContain(name);
    expect(names.length).toBeGreaterThan(140);
  });
});
