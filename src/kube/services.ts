import type { JsonPatchOperation, Service, Services } from "../ports/kube.js";
import { decodeService } from "./decode-service.js";
import { KubeError } from "./errors.js";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";

const WRITE_TIMEOUT_MS = 10_000;

type StatusPatch = Parameters<Services["patchStatus"]>[1];

/** v1 Services. */
export function createServices(deps: ReflectDeps): Services {
  return {
    watch: async (namespace, changed, signal) => {
      const path = namespace === undefined ? "/api/v1/services" : `/api/v1/namespaces/${encodeURIComponent(namespace)}/services`;
      await reflect({ resource: "services", path, decode: decodeService, changed }, deps, signal);
    },
    patchStatus: async (service, patch, signal) => {
      const contentType = "application/merge-patch+json";
      const call = { verb: "patch", resource: "services/status", path: `${pathOf(service)}/status`, body: statusBody(service, patch), contentType } as const;
      await deps.client.request({ ...call, timeoutMs: WRITE_TIMEOUT_MS }, signal);
    },
    patchService: async (service, operations, signal) => patchService(deps, { service, operations }, signal),
  };
}

async function patchService(
  deps: ReflectDeps,
  { service, operations }: { readonly service: Service; readonly operations: readonly JsonPatchOperation[] },
  signal: AbortSignal,
): Promise<Service> {
  const path = pathOf(service);
  const contentType = "application/json-patch+json";
  const call = { verb: "patch", resource: "services", path, body: operations, contentType, timeoutMs: WRITE_TIMEOUT_MS } as const;
  const answer = decodeService(await deps.client.request(call, signal));
  if (answer === undefined) throw new KubeError("protocol", `PATCH ${path}: the answer is no Service`);
  return answer;
}

function statusBody(service: Service, patch: StatusPatch): unknown {
  return {
    // A patch with a version that is not the newest is refused (409).
    metadata: { resourceVersion: service.resourceVersion, ...(Object.keys(patch.annotations).length === 0 ? {} : { annotations: patch.annotations }) },
    // A merge patch replaces the array as a whole, and leaves alone what it does not name (RFC 7396).
    ...(patch.ingress === undefined ? {} : { status: { loadBalancer: { ingress: patch.ingress } } }),
  };
}

function pathOf(service: Service): string {
  return `/api/v1/namespaces/${encodeURIComponent(service.namespace)}/services/${encodeURIComponent(service.name)}`;
}
