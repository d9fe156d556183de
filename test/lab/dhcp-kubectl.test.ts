import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq } from "./dhcp-servers.js";
import { answers } from "./kubectl-services.js";

const PATIENCE = 20_000;
const RANGE = /^10\.77\.0\.1[5-9]\d$/;

/** The example of the documentation of kube-vip, with the selector of the lab's pods. */
const NAMED = `
apiVersion: v1
kind: Service
metadata:
  name: nginx-named
  annotations:
    kube-vip.io/loadbalancerHostname: mydhcp-test
spec:
  loadBalancerIP: 0.0.0.0
  ports:
  - name: http
    port: 80
    protocol: TCP
    targetPort: 8080
  selector:
    app: pods
  type: LoadBalancer
`;

let cluster: Cluster;
let server: Dnsmasq;

beforeAll(async () => {
  cluster = await Cluster.up(2);
  server = await Dnsmasq.start(cluster.lab);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** The columns of one row of `kubectl get svc`. */
async function row(name: string): Promise<readonly string[]> {
  const lines = (await cluster.kubectl(["get", "svc"])).split("\n").map((line) => line.split(/\s+/));
  expect(lines[0]).toEqual(["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]);
  return lines.find(([first]) => first === name) ?? [];
}

async function given(name: string): Promise<string> {
  const service = await cluster.service(name, PATIENCE, `${name} to have an address`, (s) => RANGE.test(ingressOf(s)[0] ?? ""));
  return ingressOf(service)[0] ?? "";
}

async function deleted(name: string): Promise<void> {
  const address = await given(name);
  await cluster.kubectl(["delete", "service", name]);
  await cluster.lab.waitFor(() => !server.leases().has(address), PATIENCE, "the lease to be given back");
  await cluster.free(address, PATIENCE);
}

test("kubectl expose --load-balancer-ip=0.0.0.0; kubectl get svc: no address yet, or 0.0.0.0, and after a moment the one of the DHCP server", async () => {
  await cluster.kubectl(["create", "deployment", "nginx-deployment", "--image=lab/pod", "--port=8080"]);
  const expose = ["expose", "deployment", "nginx-deployment", "--port=80", "--target-port=8080", "--type=LoadBalancer", "--name=nginx-dhcp", "--load-balancer-ip=0.0.0.0"];
  expect(await cluster.kubectl(expose)).toBe("service/nginx-dhcp exposed\n");
  const [, type, , external = ""] = await row("nginx-dhcp");
  expect(type).toBe("LoadBalancer");
  expect(RANGE.test(external) || external === "<pending>" || external === "0.0.0.0").toBe(true);
  const address = await given("nginx-dhcp");
  expect((await row("nginx-dhcp"))[3]).toBe(address);
  expect((await row("nginx-dhcp"))[4]).toMatch(/^80(:\d+)?\/TCP$/);
  expect(server.leases().has(address)).toBe(true);
  expect(await answers(cluster, address)).toMatch(/^n\d/);
  await deleted("nginx-dhcp");
});

test("kubectl apply of a Service with kube-vip.io/loadbalancerHostname: the DHCP server writes the name down", async () => {
  expect(await cluster.kubectl(["apply", "-f", "-"], { input: NAMED })).toBe("service/nginx-named created\n");
  const address = await given("nginx-named");
  expect(server.leases().get(address)?.hostname).toBe("mydhcp-test");
  expect(await answers(cluster, address)).toMatch(/^n\d/);
  // What kubectl remembers of the manifest is applied again without a change.
  expect(await cluster.kubectl(["apply", "-f", "-"], { input: NAMED })).toBe("service/nginx-named unchanged\n");
  expect(await given("nginx-named")).toBe(address);
  await deleted("nginx-named");
});

test("kube-vip.io/ddns: a DNS name is not looked up, its first label is what the DHCP server is told; without it there is no address", async () => {
  const spec = { type: "LoadBalancer", selector: { app: "pods" }, ports: [{ port: 80, targetPort: 8080 }] };
  const metadata = { name: "named", annotations: { "kube-vip.io/loadbalancerIPs": "web.nowhere.test" } };
  await cluster.kubectl(["apply", "-f", "-"], { input: { apiVersion: "v1", kind: "Service", metadata, spec } });
  await cluster.kubectl(["annotate", "service", "named", "kube-vip.io/ddns=true"]);
  const address = await given("named");
  expect(server.leases().get(address)?.hostname).toBe("web");
  await server.logged(/client provides name: web$/);
  expect(await answers(cluster, address)).toMatch(/^n\d/);
  // Looked up from now on, in vain: the address is given back.
  await cluster.kubectl(["annotate", "service", "named", "kube-vip.io/ddns-"]);
  await cluster.service("named", PATIENCE, "no address", (s) => ingressOf(s).length === 0);
  await cluster.lab.waitFor(() => !server.leases().has(address), PATIENCE, "the lease to be given back");
  await cluster.kubectl(["delete", "service", "named"]);
});
