import type { Clock } from "../ports/clock.js";
import type { Service, Services } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import type { Client } from "./client.js";
import { KubeError } from "./errors.js";
import { fieldsOf, versionOf } from "./raw.js";

const TIMEOUT_MS = 10_000;
/** For so long after PATCH was forbidden it is not tried again. */
const PATCH_AGAIN_MS = 600_000;

export interface StatusWriterDeps {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Log;
}

type StatusPatch = Parameters<Services["patchStatus"]>[1];

/**
 * Writes the status of Services: one PATCH of services/status each, or GET and PUT where PATCH is forbidden. The role that kube-vip's manifests
 * give has `update` on services/status and no `patch`. Fails with KubeError, or with the reason of the signal.
 */
export class StatusWriter {
  readonly #deps: StatusWriterDeps;
  #patchFrom = -Infinity;
  #said = false;

  constructor(deps: StatusWriterDeps) {
    this.#deps = deps;
  }

  /** As Services.patchStatus. */
  async write(service: Service, patch: StatusPatch, signal: AbortSignal): Promise<void> {
    if (this.#deps.clock.now() < this.#patchFrom) {
      await this.#replace(service, patch, signal);
      return;
    }
    try {
      await this.#patch(service, patch, signal);
    } catch (error) {
      if (!isForbidden(error)) throw error;
      this.#patchFrom = this.#deps.clock.now() + PATCH_AGAIN_MS;
      this.#say(error);
      await this.#replace(service, patch, signal);
    }
  }

  async #patch(service: Service, patch: StatusPatch, signal: AbortSignal): Promise<void> {
    const contentType = "application/merge-patch+json";
    const body = patchBody(service, patch);
    await this.#deps.client.request({ verb: "patch", resource: "services/status", path: `${pathOfService(service)}/status`, body, contentType, timeoutMs: TIMEOUT_MS }, signal);
  }

  async #replace(service: Service, patch: StatusPatch, signal: AbortSignal): Promise<void> {
    const { client } = this.#deps;
    const path = pathOfService(service);
    const found = await client.request({ verb: "get", resource: "services", path, timeoutMs: TIMEOUT_MS }, signal);
    // What was decided about an earlier version must not be written over a newer one: as the precondition of the PATCH.
    if (versionOf(found) !== service.resourceVersion) throw new KubeError("conflict", `PUT ${path}/status: the Service was changed meanwhile`, { status: 409 });
    try {
      await client.request({ verb: "update", resource: "services/status", path: `${path}/status`, body: changed(found, patch), timeoutMs: TIMEOUT_MS }, signal);
    } catch (error) {
      // Neither is allowed: whichever right is given next counts at once.
      if (isForbidden(error)) this.#patchFrom = -Infinity;
      throw error;
    }
  }

  #say(error: KubeError): void {
    if (this.#said) return;
    this.#said = true;
    this.#deps.log.warn("PATCH of statuses is forbidden, written by GET and PUT", { verb: "patch", resource: "services/status", error: error.message });
  }
}

/** Of a Service. */
export function pathOfService(service: Service): string {
  return `/api/v1/namespaces/${encodeURIComponent(service.namespace)}/services/${encodeURIComponent(service.name)}`;
}

function isForbidden(error: unknown): error is KubeError {
  return error instanceof KubeError && error.code === "forbidden";
}

function patchBody(service: Service, patch: StatusPatch): unknown {
  return {
    // A patch with a version that is not the newest is refused (409).
    metadata: { resourceVersion: service.resourceVersion, ...(Object.keys(patch.annotations).length === 0 ? {} : { annotations: patch.annotations }) },
    // A merge patch replaces the array as a whole, and leaves alone what it does not name (RFC 7396).
    ...(patch.ingress === undefined ? {} : { status: { loadBalancer: { ingress: patch.ingress } } }),
  };
}

/** The whole object with our change; its resourceVersion is the precondition of the PUT. */
function changed(found: unknown, { ingress, annotations }: StatusPatch): unknown {
  const object = fieldsOf(found);
  // A PUT without managedFields leaves them alone, and they are many times longer than the rest.
  const { managedFields: _managedFields, ...metadata } = fieldsOf(object["metadata"]);
  const kept = Object.entries({ ...fieldsOf(metadata["annotations"]), ...annotations }).filter(([, value]) => value !== null);
  const status = fieldsOf(object["status"]);
  return {
    ...object,
    metadata: { ...metadata, annotations: Object.fromEntries(kept) },
    ...(ingress === undefined ? {} : { status: { ...status, loadBalancer: { ...fieldsOf(status["loadBalancer"]), ingress } } }),
  };
}
