import type { IngressAddress, Service } from "../../src/ports/kube.js";

/** An entry of a Service's status. */
export function fakeIngress(ip: string): IngressAddress {
  return { ip, hostname: undefined, raw: { ip } };
}

/** A Service of type LoadBalancer `default/web` with port 80, changed by `part`. */
export function fakeService(part: Partial<Service> = {}): Service {
  const name = part.name ?? "web";
  return {
    namespace: "default",
    name,
    uid: `uid-${name}`,
    resourceVersion: "1",
    createdAt: 0,
    deleting: false,
    type: "LoadBalancer",
    loadBalancerClass: undefined,
    loadBalancerIP: undefined,
    externalTrafficPolicy: "Cluster",
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
    clusterIP: "10.96.0.10",
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    externalIPs: [],
    healthCheckNodePort: undefined,
    annotations: {},
    ingress: [],
    statusManager: undefined,
    ...part,
  };
}
