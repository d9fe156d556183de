import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { serveControl, type Control, type Reports } from "../../src/cli/control-socket.js";
import { runWhy, whyText } from "../../src/cli/why.js";
import { serviceReport } from "../../src/core/explain-service.js";
import type { ExplainInput } from "../../src/core/explain-input.js";
import { vipKey, type OwnershipKey, type ServiceKey } from "../../src/core/model.js";
import type { OwnershipState } from "../../src/core/world.js";
import { inKernel, inputOf, ip, THEIRS, worldOf } from "../core/explain-input.js";
import { FakeLog } from "../fakes/log.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { FakeIo } from "./fake-io.js";

const web = fakeService({ loadBalancerIP: "192.0.2.10" });
const said = { ...web, ingress: [fakeIngress("192.0.2.10")], annotations: { "kube-vip.io/vipHost": "n2" } };
const KEY = "default/web" as ServiceKey;
const UP = { observed: new Map([[vipKey("eth0", ip("192.0.2.10")), { state: "up", result: undefined } as const]]) };
const LEFT = { ownership: new Map<OwnershipKey, OwnershipState>([["services", THEIRS]]) };

const here = inputOf(worldOf([web], UP), { kernel: [inKernel("192.0.2.10", 3)], before: worldOf([web]) });
const elsewhere = inputOf(worldOf([said], LEFT));
const broken = inputOf(worldOf([{ ...web, loadBalancerIP: "192.0.2.300" }]));
const unnamed = inputOf(worldOf([fakeService({ name: "wep" })]));
const notAsked = inputOf(worldOf([web]), { config: { services: false } });

const told = (input: ExplainInput): string => `\n${whyText(serviceReport(input, KEY))}\n`;

describe("what is printed", () => {
  test("of a Service that is served here", () => {
    expect(told(here)).toMatchInlineSnapshot(`
      "
      default/web: served here (node n1), since 2026-01-02 03:01:10Z (30s)

        ok  lists       complete, Services: 1
        ok  ignore      not set
        ok  type        LoadBalancer
        ok  class       none
        ok  address     192.0.2.10 (spec.loadBalancerIP)
        ok  conflict    no other use of the address is known
        ok  ownership   services: this node, since 2026-01-02T03:00:10.000Z
        ok  endpoints   some serve; on this node: some, ready; externalTrafficPolicy Cluster
        ok  data plane  not asked
        ok  link        eth0
        ok  duplicate   nobody else answers for it
        ok  kernel      192.0.2.10 on eth0: there, 3 s left
        ok  announced   192.0.2.10 (ARP) since 2026-01-02T03:01:10.000Z
        ..  status      no address, node not named; being written: 192.0.2.10

      in the API: no address; no node named

      what happened, newest first:
        2026-01-02 03:01:10Z (30s ago)  eth0/192.0.2.10 up
        2026-01-02 03:00:10Z (1m30s ago)  service wanted
      "
    `);
  });

  test("of a Service that another node serves", () => {
    expect(told(elsewhere)).toMatchInlineSnapshot(`
      "
      default/web: served by node n2, since 2026-01-02 03:00:10Z (1m30s)

        ok  lists       complete, Services: 1
        ok  ignore      not set
        ok  type        LoadBalancer
        ok  class       none
        ok  address     192.0.2.10 (spec.loadBalancerIP)
        ok  conflict    no other use of the address is known
        ->  ownership   held by n2 [notOwner]
                        next: ask node n2: vip why default/web (there), or from anywhere: vip status
                        --cluster

      in the API: 192.0.2.10; node n2

      what happened, newest first:
        2026-01-02 03:00:10Z (1m30s ago)  service notOwner: held by n2
      "
    `);
  });

  test("of a Service with a wrong address", () => {
    expect(told(broken)).toMatchInlineSnapshot(`
      "
      default/web: not served: address: spec.loadBalancerIP has "192.0.2.300": expected an IP address such
        as 192.0.2.10, or a DNS name

        ok  lists       complete, Services: 1
        ok  ignore      not set
        ok  type        LoadBalancer
        ok  class       none
        NO  address     spec.loadBalancerIP has "192.0.2.300": expected an IP address such as 192.0.2.10,
                        or a DNS name [invalidAddress]
                        next: correct the address:
                          kubectl -n default annotate --overwrite service web kube-vip.io/loadbalancerIPs=ADDRESS

      in the API: no address; no node named

      what happened, newest first:
        2026-01-02 03:00:10Z (1m30s ago)  service invalidAddress: spec.loadBalancerIP has "192.0.2.300":
          expected an IP address such as 192.0.2.10, or a DNS name
      "
    `);
  });

  test("of a Service that is not known", () => {
    expect(told(unnamed)).toMatchInlineSnapshot(`
      "
      default/web: no such Service is known on node n1 (1 is); did you mean:
        default/wep
      "
    `);
  });
});

describe("the command", () => {
  let directory = "";
  const open: Control[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "vip-why-"));
  });
  afterEach(async () => {
    for (const control of open.splice(0)) await control[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  async function daemon(input: ExplainInput): Promise<void> {
    const reports: Reports = { status: async () => undefined, why: async (key) => serviceReport(input, key as ServiceKey), bgpPeers: async () => null, bgpRoutes: async () => null };
    open.push(await serveControl({ directory, pid: 100 + open.length }, { reports, log: new FakeLog() }));
  }

  test.each<readonly [string, readonly ExplainInput[], number]>([
    ["served here", [here], 0],
    ["served elsewhere", [elsewhere], 0],
    ["not served", [broken], 2],
    ["on its way", [inputOf(worldOf([web]))], 2],
    ["unknown", [unnamed], 3],
    ["served by one of two processes", [notAsked, here], 0],
    ["asked of a process of the control plane only", [notAsked], 2],
    ["asked where nobody runs", [], 1],
  ])("ends, for a Service that is %s, with its code", async (_name, inputs, code) => {
    for (const input of inputs) await daemon(input);
    const io = new FakeIo();
    expect(await runWhy("default/web", { output: "text", directory }, io)).toBe(code);
    expect(code === 1 ? io.stderr : io.stdout).not.toBe("");
  });

  test("prints one JSON value, without the process that has nothing to say", async () => {
    await daemon(notAsked);
    await daemon(broken);
    const io = new FakeIo();
    await runWhy("default/web", { output: "json", directory }, io);
    const value = JSON.parse(io.stdout) as { readonly service: string; readonly processes: readonly Record<string, unknown>[] };
    expect(value).toMatchObject({ service: "default/web", processes: [{ type: "known", verdict: { kind: "no" } }] });
    expect(Object.keys(value.processes[0] ?? {})).toEqual(["type", "service", "node", "verdict", "steps", "vips", "routes", "api", "lastFailure", "events"]);
  });

  test.each(["web", "default/", "/web", "a/b/c", ""])("refuses %j: a namespace and a name are needed", async (service) => {
    const io = new FakeIo();
    expect(await runWhy(service, { output: "text", directory }, io)).toBe(1);
    expect(io.stderr).toContain("expected <namespace>/<service>");
  });
});
