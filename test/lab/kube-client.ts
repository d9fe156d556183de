import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { isIP } from "node:net";

/** How to reach an API server: all three are PEM. */
export interface ClientFiles {
  readonly server: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Any Kubernetes object, as far as tests look into it. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

/** A Service, as far as tests look into it. */
export interface KubeService extends KubeObject {
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string; readonly ipMode?: string }[] } };
}

/** A Pod, as far as tests look into it. */
export interface KubePod extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>> & { readonly nodeName?: string };
  readonly status?: Readonly<Record<string, unknown>> & { readonly phase?: string; readonly podIP?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

/** An EndpointSlice of discovery.k8s.io. */
export interface KubeEndpointSlice extends KubeObject {
  readonly addressType: string;
  readonly ports: readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[] | null;
  readonly endpoints: readonly KubeEndpoint[] | null;
}

/** One endpoint of a slice. */
export interface KubeEndpoint {
  readonly addresses: readonly string[];
  readonly nodeName?: string;
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly targetRef?: { readonly kind?: string; readonly name?: string; readonly uid?: string };
}

/** A ConfigMap. */
export interface KubeConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** A Lease of coordination.k8s.io. */
export interface KubeLease extends KubeObject {
  readonly spec?: { readonly holderIdentity?: string; readonly renewTime?: string; readonly leaseDurationSeconds?: number; readonly leaseTransitions?: number };
}

/** An Event. */
export interface KubeEvent extends KubeObject {
  readonly reason?: string;
  readonly message?: string;
  readonly type?: string;
  readonly involvedObject?: { readonly kind?: string; readonly name?: string };
}

/** An answer of the API server other than success. */
export class KubeError extends Error {
  /** The HTTP status. */
  readonly code: number;
  /** The reason of the Status object, such as `Conflict`. */
  readonly reason: string;
  constructor(what: string, code: number, reason: string, message: string) {
    super(`${what}: ${code} ${reason}: ${message}`);
    this.code = code;
    this.reason = reason;
  }
}

const PATCH_TYPES = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
} as const;

/** What a Service of type LoadBalancer is made from. */
export interface ServiceSpec {
  readonly name: string;
  readonly namespace?: string;
  readonly ip?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** Labels of the pods that a Cluster has on every node. */
export const POD_LABELS = { app: "pods" } as const;

/** The families that a Service with these addresses needs: in a cluster it serves no others. Nothing where one address is IPv4 (the default) or none. */
function familiesOf(addresses = ""): Readonly<Record<string, unknown>> {
  const found = addresses.split(",").map((text) => isIP(text.trim())).filter((version) => version !== 0);
  const ipFamilies = [...new Set(found)].map((version) => `IPv${version}`);
  if (!ipFamilies.includes("IPv6")) return {};
  return { ipFamilies, ipFamilyPolicy: ipFamilies.length === 2 ? "RequireDualStack" : "SingleStack" };
}

/** The manifest of a Service of type LoadBalancer with port 80, behind which are the pods of all nodes; of the families of `ip`. */
export function loadBalancer({ name, ip, annotations = {}, spec = {}, namespace }: ServiceSpec): KubeService {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, annotations: { ...(ip === undefined ? {} : { "kube-vip.io/loadbalancerIPs": ip }), ...annotations }, ...(namespace === undefined ? {} : { namespace }) },
    spec: { type: "LoadBalancer", selector: POD_LABELS, ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }], ...familiesOf(ip), ...spec },
  };
}

/** What `kubectl create deployment NAME --image=lab/pod --port=8080 --replicas=N` makes. */
export function deployment(name: string, replicas: number): KubeObject {
  const labels = { app: name };
  const containers = [{ name: "pod", image: "lab/pod", ports: [{ containerPort: 8080 }] }];
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name, labels }, spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } } };
}

/** What `kubectl expose deployment NAME --type=LoadBalancer --port=80 --target-port=8080` makes of it. */
export function exposed(name: string): KubeService {
  const labels = { app: name };
  return { apiVersion: "v1", kind: "Service", metadata: { name, labels }, spec: { type: "LoadBalancer", selector: labels, ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }] } };
}

/** A small client for tests, over HTTPS with a client certificate; shares no code with what is tested. */
export class KubeClient implements Disposable {
  readonly #files: ClientFiles;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 });

  constructor(files: ClientFiles) {
    this.#files = files;
  }

  /** Reads the certificates that a kubeconfig of one cluster and one user carries as `...-data`. */
  static from(kubeconfig: string): KubeClient {
    const text = readFileSync(kubeconfig, "utf8");
    const value = (name: string): string => {
      const found = new RegExp(`^\\s*(?:- )?"?${name}"?:\\s*"?([^"\\s,]+)"?,?\\s*$`, "m").exec(text)?.[1];
      if (found === undefined) throw new Error(`no ${name} in ${kubeconfig}`);
      return found;
    };
    const pem = (name: string) => Buffer.from(value(name), "base64").toString();
    return new KubeClient({ server: value("server"), ca: pem("certificate-authority-data"), cert: pem("client-certificate-data"), key: pem("client-key-data") });
  }

  /** One request; throws KubeError for every status of 400 and above. */
  async request<T>(method: string, path: string, body?: unknown, contentType = "application/json"): Promise<T> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const { ca, cert, key, server } = this.#files;
    const headers = { accept: "application/json", ...(payload === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(payload) }) };
    const [status, text] = await new Promise<[number, string]>((resolve, reject) => {
      const sent = request(new URL(path, server), { method, ca, cert, key, agent: this.#agent, headers, timeout: 10_000 }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject).on("end", () => resolve([response.statusCode ?? 0, Buffer.concat(chunks).toString()]));
      });
      sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer within 10 s`)));
      sent.on("error", reject).end(payload);
    });
    if (status < 400) return JSON.parse(text) as T;
    const failure = text.startsWith("{") ? (JSON.parse(text) as { reason?: string; message?: string }) : { message: text };
    throw new KubeError(`${method} ${path}`, status, failure.reason ?? "", failure.message ?? "");
  }

  /** Creates a Service. */
  async createService(service: KubeService): Promise<KubeService> {
    return await this.request("POST", this.#services(service.metadata.namespace), service);
  }

  /** Reads a Service. */
  async service(name: string, namespace?: string): Promise<KubeService> {
    return await this.request("GET", `${this.#services(namespace)}/${name}`);
  }

  /** All Services, of one namespace or of all. */
  async services(namespace?: string): Promise<KubeService[]> {
    return await this.#items(namespace === undefined ? "/api/v1/services" : this.#services(namespace));
  }

  /** Replaces a Service; its resourceVersion counts when given. */
  async replaceService(service: KubeService): Promise<KubeService> {
    return await this.request("PUT", `${this.#services(service.metadata.namespace)}/${service.metadata.name}`, service);
  }

  /** Patches a Service; `type` as in kubectl patch. */
  async patchService(name: string, patch: unknown, { type = "merge", namespace }: { readonly type?: keyof typeof PATCH_TYPES; readonly namespace?: string } = {}): Promise<KubeService> {
    return await this.request("PATCH", `${this.#services(namespace)}/${name}`, patch, PATCH_TYPES[type]);
  }

  /** Deletes a Service. */
  async deleteService(name: string, namespace?: string): Promise<void> {
    await this.request("DELETE", `${this.#services(namespace)}/${name}`);
  }

  /** Reads a Lease. */
  async lease(name: string, namespace = "kube-system"): Promise<KubeLease> {
    return await this.request("GET", `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`);
  }

  /** All Leases of a namespace. */
  async leases(namespace = "kube-system"): Promise<KubeLease[]> {
    return await this.#items(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`);
  }

  /** All Events of a namespace. */
  async events(namespace = "default"): Promise<KubeEvent[]> {
    return await this.#items(`/api/v1/namespaces/${namespace}/events`);
  }

  /** Pods of a namespace, all or those with these labels (`app=web`). */
  async pods(labels = "", namespace = "default"): Promise<KubePod[]> {
    return await this.#items(`/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(labels)}`);
  }

  /** The EndpointSlices of a Service. */
  async endpointSlices(service: string, namespace = "default"): Promise<KubeEndpointSlice[]> {
    return await this.#items(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${encodeURIComponent(`kubernetes.io/service-name=${service}`)}`);
  }

  /** Deployments of a namespace. */
  async deployments(namespace = "default"): Promise<KubeObject[]> {
    return await this.#items(`/apis/apps/v1/namespaces/${namespace}/deployments`);
  }

  /** Creates a Deployment in a namespace. */
  async createDeployment(made: KubeObject, namespace = "default"): Promise<KubeObject> {
    return await this.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, made);
  }

  /** Makes a ConfigMap, or replaces all of its data. */
  async putConfigMap(name: string, data: Readonly<Record<string, string>>, namespace = "kube-system"): Promise<KubeConfigMap> {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data };
    try {
      return await this.request("PUT", `${path}/${name}`, object);
    } catch (error) {
      if (!(error instanceof KubeError) || error.code !== 404) throw error;
      return await this.request("POST", path, object);
    }
  }

  /** Deletes a ConfigMap. */
  async deleteConfigMap(name: string, namespace = "kube-system"): Promise<void> {
    await this.request("DELETE", `/api/v1/namespaces/${namespace}/configmaps/${name}`);
  }

  /** Creates any object in the collection at `path`. */
  async create<T extends KubeObject>(path: string, object: T): Promise<T> {
    return await this.request("POST", path, object);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #services(namespace = "default"): string {
    return `/api/v1/namespaces/${namespace}/services`;
  }

  async #items<T>(path: string): Promise<T[]> {
    return (await this.request<{ readonly items: T[] }>("GET", path)).items;
  }
}
