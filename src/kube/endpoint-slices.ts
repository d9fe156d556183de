import { isDeepStrictEqual } from "node:util";
import { exact } from "../lib/exact.js";
import type { Endpoint, EndpointPort, EndpointSlice, EndpointSlices } from "../ports/kube.js";
import { fieldsOf, itemsOf, portOf, protocolOf, textOf } from "./raw.js";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";

const SERVICE_LABEL = "kubernetes.io/service-name";

/** EndpointSlices of discovery.k8s.io/v1. */
export function createEndpointSlices(deps: ReflectDeps): EndpointSlices {
  return {
    watch: async (namespace, changed, signal) => {
      const inside = namespace === undefined ? "" : `namespaces/${encodeURIComponent(namespace)}/`;
      const options = {
        resource: "endpointslices",
        path: `/apis/discovery.k8s.io/v1/${inside}endpointslices`,
        // The server leaves out those that belong to no Service.
        query: { labelSelector: SERVICE_LABEL },
        wanted: isWanted,
        decode: decodeEndpointSlice,
        // Every write of the endpoint slice controller also changes an annotation with the time.
        same: isDeepStrictEqual,
        changed,
        needed: true,
        // There are thousands of them, and on a busy cluster some of them changes all the time: a copy of the map takes about 1 ms.
        pace: "calm" as const,
      };
      await reflect(options, deps, signal);
    },
  };
}

/** A slice with addresses (not names) that belongs to a Service. */
function isWanted(raw: unknown): boolean {
  return fieldsOf(raw)["addressType"] !== "FQDN" && serviceOf(raw) !== undefined;
}

/** A slice, trimmed; undefined where it has no namespace, name, Service or known address type. Endpoints without an address and ports without a number are left out. */
export function decodeEndpointSlice(raw: unknown): EndpointSlice | undefined {
  const fields = fieldsOf(raw);
  const metadata = fieldsOf(fields["metadata"]);
  const namespace = textOf(metadata["namespace"]);
  const name = textOf(metadata["name"]);
  const service = serviceOf(raw);
  const family = fields["addressType"];
  if (namespace === undefined || name === undefined || service === undefined || (family !== "IPv4" && family !== "IPv6")) return undefined;
  return {
    namespace,
    name,
    service,
    family,
    ports: exact(itemsOf(fields["ports"]).flatMap(decodePort)),
    endpoints: exact(itemsOf(fields["endpoints"]).flatMap(decodeEndpoint)),
  };
}

function serviceOf(raw: unknown): string | undefined {
  return textOf(fieldsOf(fieldsOf(fieldsOf(raw)["metadata"])["labels"])[SERVICE_LABEL]);
}

function decodePort(raw: unknown): readonly EndpointPort[] {
  const fields = fieldsOf(raw);
  const port = portOf(fields["port"]);
  const protocol = protocolOf(fields["protocol"]);
  if (port === undefined || protocol === undefined) return [];
  return [{ name: textOf(fields["name"]) ?? "", protocol, port }];
}

function decodeEndpoint(raw: unknown): readonly Endpoint[] {
  const fields = fieldsOf(raw);
  // "Consumers should only use the first address" (discovery.k8s.io/v1): the meaning of more than one was never defined.
  const address = textOf(itemsOf(fields["addresses"])[0]);
  if (address === undefined) return [];
  const conditions = fieldsOf(fields["conditions"]);
  // "A nil value should be interpreted as `true`" (ready), "... should defer to the ready condition" (serving), "... as `false`" (terminating).
  const ready = flagOf(conditions["ready"]) ?? true;
  return [
    {
      address,
      nodeName: textOf(fields["nodeName"]),
      ready,
      serving: flagOf(conditions["serving"]) ?? ready,
      terminating: flagOf(conditions["terminating"]) ?? false,
    },
  ];
}

function flagOf(raw: unknown): boolean | undefined {
  return typeof raw === "boolean" ? raw : undefined;
}
