import type { JsonPatchOperation, Service, Services } from "../ports/kube.js";
import { decodeService } from "./decode-service.js";
import { KubeError } from "./errors.js";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";
import { pathOfService, StatusWriter } from "./status-writer.js";

const WRITE_TIMEOUT_MS = 10_000;

/** v1 Services. */
export function createServices(deps: ReflectDeps): Services {
  const statuses = new StatusWriter(deps);
  return {
    watch: async (namespace, changed, signal) => {
      const path = namespace === undefined ? "/api/v1/services" : `/api/v1/namespaces/${encodeURIComponent(namespace)}/services`;
      await reflect({ resource: "services", path, decode: decodeService, changed, needed: true }, deps, signal);
    },
    patchStatus: async (service, patch, signal) => statuses.write(service, patch, signal),
    patchService: async (service, operations, signal) => patchService(deps, { service, operations }, signal),
  };
}

async function patchService(
  deps: ReflectDeps,
  { service, operations }: { readonly service: Service; readonly operations: readonly JsonPatchOperation[] },
  signal: AbortSignal,
): Promise<Service> {
  const path = pathOfService(service);
  const contentType = "application/json-patch+json";
  const call = { verb: "patch", resource: "services", path, body: operations, contentType, timeoutMs: WRITE_TIMEOUT_MS } as const;
  const answer = decodeService(await deps.client.request(call, signal));
  if (answer === undefined) throw new KubeError("protocol", `PATCH ${path}: the answer is no Service`);
  return answer;
}
