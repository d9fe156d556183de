import { describe, expect, test } from "vitest";
import { fitness, readinessPort } from "../../src/core/eligible.js";
import type { ServiceEndpoints } from "../../src/core/endpoints.js";
import { serviceKey } from "../../src/core/model.js";
import type { Readiness } from "../../src/core/dataplane.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeService } from "../fakes/service.js";
import { ELSEWHERE, READY, worldWith } from "./given.js";

const TERMINATING: ServiceEndpoints = { ...READY, local: "terminating" };
const NONE: ServiceEndpoints = { serving: false, onNodes: false, local: "none", readyElsewhere: false, readyNodes: [], targets: [] };
/** Made by hand: on no node. */
const NOWHERE: ServiceEndpoints = { ...NONE, serving: true };
const LAST: ServiceEndpoints = { ...TERMINATING, readyElsewhere: false };
const ANYWAY = { "kube-vip.io/allow-reconcile-without-endpoints": "True" };
const CHECKED = 30_000;

type Kind = "Cluster" | "Local" | "Romana" | "Romana, Local";

interface Given {
  readonly service?: Partial<Service>;
  readonly endpoints?: ServiceEndpoints;
  readonly port?: Readiness;
}

function placed(kind: Kind, part: Partial<Service> = {}): Parameters<typeof fitness>[0] {
  const service = fakeService({ externalTrafficPolicy: kind.endsWith("Local") ? "Local" : "Cluster", ...part });
  return { service, facts: { key: serviceKey(service), asked: { type: "any", romana: false }, recorded: undefined }, romana: kind.startsWith("Romana") };
}

/** `fit`, `leaving` (to an heir), or the code of why not. */
function fit(kind: Kind, { service, endpoints, port }: Given): string {
  const of = placed(kind, service);
  const world = worldWith([of.service], {
    endpoints: endpoints === undefined ? new Map() : new Map([[of.facts.key, endpoints]]),
    dataplane: port === undefined ? new Map() : new Map([[CHECKED, port]]),
  });
  const found = fitness(of, world);
  if (found.type === "leaving") return found.heir ? "leaving to an heir" : "leaving";
  return found.type === "unfit" ? found.reason.code : found.type;
}

describe("whether this node could serve a Service, as far as its endpoints go", () => {
  const health = { healthCheckNodePort: CHECKED };
  test.each<readonly [Kind, string, Given, string]>([
    ["Cluster", "here", { endpoints: READY }, "fit"],
    ["Cluster", "elsewhere", { endpoints: ELSEWHERE }, "fit"],
    ["Cluster", "made by hand", { endpoints: NOWHERE }, "fit"],
    ["Cluster", "about to end", { endpoints: TERMINATING }, "fit"],
    ["Cluster", "none", { endpoints: NONE }, "noEndpoints"],
    ["Cluster", "never heard of", {}, "noEndpoints"],
    ["Cluster", "none, but announced all the same", { endpoints: NONE, service: { annotations: ANYWAY } }, "fit"],
    ["Cluster", "none, and announced only with them", { endpoints: NONE, service: { annotations: { "kube-vip.io/allow-reconcile-without-endpoints": "yes" } } }, "noEndpoints"],
    ["Cluster", "here, and the port for policy Local is no concern of its", { endpoints: READY, service: health, port: "notReady" }, "fit"],
    ["Local", "here", { endpoints: READY }, "fit"],
    ["Local", "elsewhere", { endpoints: ELSEWHERE }, "holderHasNoEndpoint"],
    ["Local", "made by hand", { endpoints: NOWHERE }, "holderHasNoEndpoint"],
    ["Local", "about to end", { endpoints: TERMINATING }, "leaving to an heir"],
    ["Local", "none", { endpoints: NONE }, "noEndpoints"],
    ["Local", "none, and the annotation is for policy Cluster only", { endpoints: NONE, service: { annotations: ANYWAY } }, "noEndpoints"],
    ["Local", "here, and the data plane is not ready", { endpoints: READY, service: health, port: "notReady" }, "dataplaneNotReady"],
    ["Local", "here, and the data plane is ready", { endpoints: READY, service: health, port: "ready" }, "fit"],
    ["Local", "here, and nobody has asked the data plane yet", { endpoints: READY, service: health }, "fit"],
    ["Local", "about to end, which says more than the data plane", { endpoints: TERMINATING, service: health, port: "notReady" }, "leaving to an heir"],
    ["Romana", "here", { endpoints: READY }, "fit"],
    ["Romana", "elsewhere", { endpoints: ELSEWHERE }, "holderHasNoEndpoint"],
    ["Romana", "made by hand", { endpoints: NOWHERE }, "fit"],
    ["Romana", "about to end", { endpoints: TERMINATING }, "leaving to an heir"],
    ["Romana", "about to end, the last of all", { endpoints: LAST }, "leaving"],
    ["Romana", "none", { endpoints: NONE }, "noEndpoints"],
    ["Romana", "none, and the annotation is kube-vip's", { endpoints: NONE, service: { annotations: ANYWAY } }, "noEndpoints"],
    ["Romana, Local", "here", { endpoints: READY }, "fit"],
    ["Romana, Local", "made by hand", { endpoints: NOWHERE }, "fit"],
    ["Romana, Local", "elsewhere", { endpoints: ELSEWHERE }, "holderHasNoEndpoint"],
  ])("%s: endpoints %s", (kind, _name, given, expected) => {
    expect(fit(kind, given)).toBe(expected);
  });

  test("why not is said in words that fit the Service", () => {
    const message = (kind: Kind): string => {
      const of = placed(kind);
      const found = fitness(of, worldWith([of.service], { endpoints: new Map([[of.facts.key, ELSEWHERE]]) }));
      return found.type === "unfit" ? found.reason.message : "";
    };
    expect(message("Local")).toBe("no endpoint of it is on node n1, which holds the Services, and externalTrafficPolicy is Local");
    expect(message("Romana")).toBe("no endpoint of it is on node n1");
    expect(message("Romana, Local")).toBe("no endpoint of it is on node n1");
  });

  test.each<readonly [Kind, number | undefined]>([["Local", CHECKED], ["Cluster", undefined], ["Romana", undefined], ["Romana, Local", undefined]])("%s: the data plane is asked at %s", (kind, port) => {
    expect(readinessPort(placed(kind, { healthCheckNodePort: CHECKED }))).toBe(port);
  });
});
