import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type https from "node:https";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Client } from "../../src/kube/client.js";
import { loadConnection } from "../../src/kube/config.js";
import type { ConnectionConfig } from "../../src/kube/config.js";
import { Connector } from "../../src/kube/connector.js";
import { nextTurn } from "../../src/kube/wait.js";
import { base64, certificates, eventually, folder, json, kubeconfig, memoryLog, realClock, serve, statusBody } from "./support.js";
import type { Certificates, Folder, Handler, TestServer } from "./support.js";

const call = { verb: "get", resource: "things", path: "/who", timeoutMs: 5000 } as const;
const never = (): AbortSignal => new AbortController().signal;
let shared: Folder;
let certs: Certificates;

beforeAll(() => {
  shared = folder();
  certs = certificates(shared);
});
afterAll(() => {
  shared[Symbol.dispose]();
});
afterEach(() => {
  vi.unstubAllEnvs();
});

function connect(config: ConnectionConfig): Client {
  const connector = new Connector({ standardFiles: [], ...config }, { clock: realClock, log: memoryLog() });
  return new Client({ clock: realClock, connector, userAgent: "vip-test" });
}

/** Tells who asks: the subject of the certificate and the token. */
const whoami: Handler = (got, response, request) => {
  const subject = (request.socket as TLSSocket).getPeerCertificate().subject as { CN?: string } | undefined;
  json(response, 200, { cn: subject?.CN, auth: got.headers.authorization });
};

async function secure(handler: Handler = whoami, options: https.ServerOptions = {}): Promise<TestServer> {
  return serve(handler, { ...certs.server, ca: certs.ca, requestCert: true, rejectUnauthorized: false, ...options });
}

const ca = (): Readonly<Record<string, unknown>> => ({ "certificate-authority-data": base64(certs.ca) });

describe("loadConnection", () => {
  const cluster = { server: "https://api.example:6443/prefix" };

  it("takes the first place that has a kubeconfig; absent, empty and directory are passed over", () => {
    using dir = folder();
    const empty = dir.file("empty", "\n");
    mkdirSync(join(dir.path, "directory"));
    const admin = dir.file("admin.conf", kubeconfig(cluster));
    const config = { kubeconfigPath: join(dir.path, "none"), standardFiles: [empty, join(dir.path, "directory"), admin] };
    expect(loadConnection(config).source).toBe(admin);
    const own = dir.file("own.conf", kubeconfig(cluster));
    expect(loadConnection({ ...config, kubeconfigPath: own }).source).toBe(own);
  });

  it("names every place where there is none", () => {
    vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
    expect(() => loadConnection({ kubeconfigPath: "/nowhere/a", standardFiles: ["/nowhere/b"] })).toThrow(
      expect.objectContaining({ code: "config", message: "find a kubeconfig: /nowhere/a (ENOENT), /nowhere/b (ENOENT), in-cluster (KUBERNETES_SERVICE_HOST is not set)" }),
    );
  });

  it.each([
    { name: "no YAML", text: "{{{" },
    { name: "not an object", text: "just text" },
    { name: "a context that does not exist", text: kubeconfig(cluster).replace('"current-context":"c"', '"current-context":"other"') },
    { name: "a server that is no URL", text: kubeconfig({ server: "nonsense" }) },
  ])("refuses a broken file and does not go on to the next cluster: $name", ({ text }) => {
    using dir = folder();
    const next = dir.file("next", kubeconfig(cluster));
    expect(() => loadConnection({ kubeconfigPath: dir.file("broken", text), standardFiles: [next] })).toThrow(expect.objectContaining({ code: "config" }));
  });

  it("falls back to the service account of the pod", () => {
    using dir = folder();
    vi.stubEnv("KUBERNETES_SERVICE_HOST", "fd00::1");
    vi.stubEnv("KUBERNETES_SERVICE_PORT", "443");
    expect(() => loadConnection({ standardFiles: [], inClusterRoot: dir.path })).toThrow("in-cluster (no ");
    const account = join(dir.path, "var/run/secrets/kubernetes.io/serviceaccount");
    mkdirSync(account, { recursive: true });
    writeFileSync(join(account, "token"), "t");
    const loaded = loadConnection({ standardFiles: [], inClusterRoot: dir.path });
    expect([loaded.source, loaded.url.href]).toEqual(["in-cluster", "https://[fd00::1]/"]);
  });

  it.each([
    { address: "10.0.0.1", href: "https://10.0.0.1:6443/prefix" },
    { address: "10.0.0.1:7443", href: "https://10.0.0.1:7443/prefix" },
    { address: "fd00::1", href: "https://[fd00::1]:6443/prefix" },
    { address: "[fd00::1]:7443", href: "https://[fd00::1]:7443/prefix" },
    { address: "kubernetes", href: "https://kubernetes:6443/prefix" },
    { address: "https://other.example:1/x", href: "https://other.example:1/x" },
    { address: "", href: "https://api.example:6443/prefix" },
  ])("kubernetes_addr $address", ({ address, href }) => {
    using dir = folder();
    expect(loadConnection({ kubeconfigPath: dir.file("c", kubeconfig(cluster)), kubernetesAddr: address }).url.href).toBe(href);
  });

  it("refuses a kubernetes_addr that is nothing of the kind", () => {
    using dir = folder();
    const config = { kubeconfigPath: dir.file("c", kubeconfig(cluster)), kubernetesAddr: "a b" };
    expect(() => loadConnection(config)).toThrow("kubernetes_addr a b: neither host, host:port nor URL");
  });
});

describe("Connector over TLS", () => {
  const users = [
    { name: "client certificate", user: () => ({ "client-certificate-data": base64(certs.client.cert), "client-key-data": base64(certs.client.key) }), who: { cn: "vip" } },
    { name: "client certificate in files with relative paths", user: () => ({ "client-certificate": "client.crt", "client-key": "client.key" }), who: { cn: "vip" } },
    { name: "token", user: () => ({ token: "abc" }), who: { auth: "Bearer abc" } },
    { name: "token file with a relative path", user: () => ({ tokenFile: "token" }), who: { auth: "Bearer from-file" } },
    { name: "user and password", user: () => ({ username: "u", password: "p" }), who: { auth: `Basic ${base64("u:p")}` } },
    { name: "exec plugin", user: () => ({ exec: { apiVersion: "client.authentication.k8s.io/v1", command: join(shared.path, "plugin"), args: ["x"] } }), who: { auth: "Bearer by-plugin-x" } },
  ];
  it.each(users)("$name", async ({ user, who }) => {
    shared.file("token", "from-file");
    const plugin = shared.file("plugin", `#!/bin/sh\necho '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"by-plugin-'$1'"}}'\n`);
    chmodSync(plugin, 0o755);
    await using server = await secure();
    const path = shared.file("config", kubeconfig({ server: server.url, ...ca() }, user()));
    const client = connect({ kubeconfigPath: path });
    expect(await client.request(call, never())).toMatchObject(who);
    await nextTurn();
    await client.request(call, never());
    expect(server.accepted).toBe(1);
    await client[Symbol.asyncDispose]();
    await server.noneOpen();
  });

  it.each([
    { name: "a server of an unknown CA", cluster: () => ({}), code: "network" },
    { name: "a token file that is missing", cluster: ca, user: { tokenFile: "/nowhere" }, code: "config" },
    { name: "an exec plugin that is missing", cluster: ca, user: { exec: { command: "/nowhere/plugin" } }, code: "config" },
  ])("$name is $code", async ({ cluster, user, code }) => {
    using dir = folder();
    await using server = await secure();
    await using client = connect({ kubeconfigPath: dir.file("config", kubeconfig({ server: server.url, ...cluster() }, user)) });
    await expect(client.request(call, never())).rejects.toMatchObject({ code });
  });

  it.each([
    { name: "the host of the kubeconfig", server: "https://api.internal:6443", san: "DNS:api.internal", works: true },
    { name: "a third host", server: "https://api.internal:6443", san: "DNS:elsewhere.internal", works: false },
  ])("with kubernetes_addr, a certificate for $name: $works", async ({ server: named, san, works }) => {
    using dir = folder();
    const other = certificates(dir, san);
    await using server = await serve(whoami, { ...other.server, ca: other.ca, requestCert: true, rejectUnauthorized: false });
    const path = dir.file("config", kubeconfig({ server: named, "certificate-authority-data": base64(other.ca) }));
    await using client = connect({ kubeconfigPath: path, kubernetesAddr: `127.0.0.1:${server.port}` });
    const answer = client.request(call, never());
    if (works) expect(await answer).toMatchObject({ auth: "Bearer t" });
    else await expect(answer).rejects.toMatchObject({ code: "network" });
  });

  it("has the kernel probe a TLS connection that waits for an answer, and an idle one", async () => {
    using dir = folder();
    await using server = await secure((got, response) => {
      if (got.path !== "/hang") json(response, 200, {});
    });
    await using client = connect({ kubeconfigPath: dir.file("config", kubeconfig({ server: server.url, ...ca() })) });
    const probes = (): string => execFileSync("ss", ["-tnoH", `dport = :${server.port}`], { encoding: "utf8" });
    const stop = new AbortController();
    const hanging = client.request({ ...call, path: "/hang" }, stop.signal).catch(() => "aborted");
    await eventually(() => {
      expect(probes()).toMatch(/keepalive,(2\.\d+ms|[23](\.\d+)?sec)/);
    });
    stop.abort();
    expect(await hanging).toBe("aborted");
    await client.request(call, never());
    expect(probes()).toMatch(/keepalive,(2\.\d+ms|[23](\.\d+)?sec)/);
  });

  it("finds a kubeconfig that appears later", async () => {
    vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
    using dir = folder();
    await using server = await secure();
    const path = join(dir.path, "config");
    await using client = connect({ kubeconfigPath: path });
    await expect(client.request(call, never())).rejects.toMatchObject({ code: "config" });
    dir.file("config", kubeconfig({ server: server.url, ...ca() }));
    expect(await client.request(call, never())).toMatchObject({ auth: "Bearer t" });
  });

  it("reads the kubeconfig again after 401, also when it was replaced by rename", async () => {
    using dir = folder();
    await using server = await secure((got, response) => {
      const good = got.headers.authorization === "Bearer new";
      json(response, good ? 200 : 401, good ? { ok: true } : statusBody(401, "Unauthorized", "who are you"));
    });
    const path = dir.file("config", kubeconfig({ server: server.url, ...ca() }, { token: "old" }));
    await using client = connect({ kubeconfigPath: path });
    await expect(client.request(call, never())).rejects.toMatchObject({ code: "unauthorized", message: "GET /who: 401 Unauthorized: who are you" });
    renameSync(dir.file("config.new", kubeconfig({ server: server.url, ...ca() }, { token: "new" })), path);
    expect(await client.request(call, never())).toEqual({ ok: true });
  });

  it("follows a kubeconfig to another server after a network error, and keeps the old one while the file is away", async () => {
    vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
    using dir = folder();
    await using server = await secure();
    const path = dir.file("config", kubeconfig({ server: "https://127.0.0.1:1", ...ca() }));
    await using client = connect({ kubeconfigPath: path });
    await expect(client.request(call, never())).rejects.toMatchObject({ code: "network" });
    rmSync(path);
    await expect(client.request(call, never())).rejects.toMatchObject({ code: "network" });
    dir.file("config", kubeconfig({ server: server.url, ...ca() }));
    expect(await client.request(call, never())).toMatchObject({ auth: "Bearer t" });
  });
});

it.each([
  { name: "a name", server: "https://api.example:6443/prefix", address: undefined, want: "api.example" },
  { name: "an IPv6 address", server: "https://[2001:db8::1]:6443", address: undefined, want: "2001:db8::1" },
  { name: "kubernetes_addr in place of the server of the file", server: "https://api.example:6443", address: "192.0.2.5:7443", want: "192.0.2.5" },
])("the server in use is told as a bare host: $name", async ({ server, address, want }) => {
  using dir = folder();
  const config = { standardFiles: [dir.file("admin.conf", kubeconfig({ server }))], kubernetesAddr: address };
  const connector = new Connector(config, { clock: realClock, log: memoryLog() });
  expect(connector.server()).toBeUndefined();
  await connector.target();
  expect(connector.server()).toBe(want);
});
