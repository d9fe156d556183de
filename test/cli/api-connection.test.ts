import { describe, expect, test } from "vitest";
import { apiConnection } from "../../src/cli/api-connection.js";
import { connection } from "../../src/cli/plan-config.js";
import { ConfigError, loadSettings } from "../../src/config/load.js";
import { folder } from "../kube/support.js";

const DAEMON = { vip_arp: "true", cp_enable: "true", address: "192.0.2.10", port: "7443", kubernetes_addr: "127.0.0.1:7443", k8s_config_file: "/etc/vip/conf" };

describe("where a command finds the API", () => {
  test("a kubeconfig on the command line comes before KUBECONFIG, and that before the settings of the daemon", () => {
    using dir = folder();
    const [flag, first] = [dir.file("flag", "x"), dir.file("first", "x")];
    const env = { ...DAEMON, KUBECONFIG: `:${first}:/nowhere/second` };
    expect(apiConnection({ kubeconfig: flag, env })).toEqual({ kubeconfigPath: flag });
    expect(apiConnection({ env })).toEqual({ kubeconfigPath: first });
  });

  test("in the container of the daemon it is the way of the daemon, its own API server included", () => {
    expect(apiConnection({ env: DAEMON })).toEqual(connection(loadSettings({ env: DAEMON }).settings));
    expect(apiConnection({ env: DAEMON })).toMatchObject({ kubeconfigPath: "/etc/vip/conf", kubernetesAddr: "127.0.0.1:7443", controlPlane: { addresses: ["192.0.2.10"], port: 7443 } });
  });

  test("without anything, or with settings that do not parse, it is the standard places", () => {
    const standard = { kubeconfigPath: "/etc/kubernetes/admin.conf", kubernetesAddr: undefined, controlPlane: undefined };
    expect(apiConnection({ env: {} })).toEqual(standard);
    expect(apiConnection({ env: { port: "x", address: "y", cp_enable: "z", KUBECONFIG: "" } })).toEqual(standard);
  });

  test.each([
    ["--kubeconfig", { kubeconfig: "/nowhere/config", env: {} }],
    ["KUBECONFIG", { env: { KUBECONFIG: "/nowhere/config" } }],
  ])("a file that %s names and that is not there is an error: the next one could belong to another cluster", (name, options) => {
    expect(() => apiConnection(options)).toThrow(new ConfigError([`${name}="/nowhere/config": expected a file that can be read: ENOENT`]));
  });
});
