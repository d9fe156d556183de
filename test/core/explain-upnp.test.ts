import { expect, test } from "vitest";
import { serviceReport } from "../../src/core/explain-service.js";
import type { MappingView, ServiceKey } from "../../src/core/model.js";
import { plan } from "../../src/core/plan.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { CONFIG, inputOf, ip, worldOf } from "./explain-input.js";
import { upOnEth0 } from "./given.js";

const [FOUR, SIX] = ["192.0.2.10", "2001:db8::10"];
const GATEWAY = { name: "router", host: ip("192.0.2.1"), externalAddress: ip("198.51.100.1") };
const OPEN: MappingView = { status: { kind: "mapped", externalPort: 80, until: Infinity }, gateway: GATEWAY, reason: undefined };
const NONE: MappingView = { status: { kind: "noGateway" }, gateway: undefined, reason: undefined };
const REFUSED: MappingView = { status: { kind: "refused", conflict: true, code: 718, text: "taken" }, gateway: GATEWAY, reason: undefined };
const ASKED: MappingView = { status: { kind: "asking" }, gateway: GATEWAY, reason: undefined };

test.each<readonly [string, Readonly<Record<string, MappingView>>, string, string]>([
  ["open", { [FOUR]: OPEN }, "passed", "80/TCP is open at 198.51.100.1:80 (router)"],
  ["open, and no gateway for IPv6: there may be nothing to open", { [FOUR]: OPEN, [SIX]: NONE }, "passed", `80/TCP is open at 198.51.100.1:80 (router), 80/TCP of ${SIX} is not open: no gateway that opens ports answers`],
  ["no gateway, of IPv6 only", { [SIX]: NONE }, "refused", `80/TCP of ${SIX} is not open: no gateway that opens ports answers`],
  ["no gateway", { [FOUR]: NONE }, "refused", "80/TCP is not open: no gateway that opens ports answers"],
  ["refused", { [FOUR]: REFUSED }, "refused", "80/TCP is not open: refused by the gateway: 718 taken"],
  ["asked for", { [FOUR]: ASKED, [SIX]: NONE }, "pending", `80/TCP is not open: being asked for, 80/TCP of ${SIX} is not open: no gateway that opens ports answers`],
])("vip why of a port at the gateway: %s", (_name, views, outcome, text) => {
  const addresses = Object.keys(views);
  const record = { "vip.internal/announced": JSON.stringify({ addresses, node: "n1" }), "kube-vip.io/loadbalancerIPs": addresses.join(","), "kube-vip.io/forwardUPNP": "true" };
  const service = fakeService({ ingress: addresses.map((address) => fakeIngress(address)), annotations: record });
  const world = worldOf([service], upOnEth0(...addresses));
  const mappings = new Map([...plan(world, CONFIG).wants.upnp.values()].map(({ key, address }) => [key, views[address] ?? NONE]));
  const report = serviceReport(inputOf({ ...world, mappings }), "default/web" as ServiceKey);
  if (report.type !== "known") throw new Error(report.type);
  expect(report.steps.find(({ rule }) => rule === "gateway")).toMatchObject({ outcome, observed: text });
});
