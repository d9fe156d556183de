// The two kinds of objects that the stand-in for kube-proxy reads, as far as it looks into them.

/** What every object has. */
export interface ProxyObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion?: string; readonly labels?: Readonly<Record<string, string>> };
}

/** A port of a Service. */
export interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: string;
}

/** A v1 Service. */
export interface ProxyService extends ProxyObject {
  readonly spec?: {
    readonly type?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalIPs?: readonly string[];
    readonly ports?: readonly ServicePort[];
    readonly externalTrafficPolicy?: string;
    readonly healthCheckNodePort?: number;
  };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly ipMode?: string }[] } };
}

/** An endpoint of a slice. A condition that is not there: ready is true, serving is as ready, terminating is false. */
export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly nodeName?: string;
  readonly conditions?: { readonly ready?: boolean | null; readonly serving?: boolean | null; readonly terminating?: boolean | null };
}

/** A discovery.k8s.io/v1 EndpointSlice. */
export interface ProxySlice extends ProxyObject {
  readonly addressType: string;
  readonly endpoints?: readonly SliceEndpoint[] | null;
  readonly ports?: readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[] | null;
}

/** The label that says which Service a slice belongs to. */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

/** The name with the namespace. */
export function keyOf({ metadata }: ProxyObject): string {
  return `${metadata.namespace ?? "default"}/${metadata.name}`;
}
