import type { ServerResponse } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { createHealthProbe, type HealthCheckConfig } from "../../src/kube/health.js";
import type { HealthResult } from "../../src/ports/health.js";
import { certificates, folder, serve, type Certificates, type Folder, type TestServer } from "./support.js";

const NOWHERE = "/nonexistent/ca.crt";

function opened(): Folder {
  const dir = folder();
  onTestFinished(() => dir[Symbol.dispose]());
  return dir;
}

async function answering(status: number, body: string, tls?: Certificates["server"]): Promise<TestServer> {
  const server = await serve((_got, response) => response.writeHead(status).end(body), tls);
  onTestFinished(async () => server[Symbol.asyncDispose]());
  return server;
}

async function check(server: TestServer, config: Partial<HealthCheckConfig> = {}): Promise<HealthResult> {
  const probe = createHealthProbe({ url: `${server.url}/livez`, caPath: undefined, kubeadmCaPath: NOWHERE, ...config });
  return await probe.check(new AbortController().signal);
}

/** The server has seen its connections end. */
async function closed(server: TestServer): Promise<void> {
  await expect.poll(() => server.sockets.size, { timeout: 2000 }).toBe(0);
}

describe("the answer", () => {
  test("200 is healthy", async () => {
    const server = await answering(200, "ok");
    expect(await check(server)).toEqual({ healthy: true, reason: `GET ${server.url}/livez: 200: ok` });
    await closed(server);
  });

  test.each<readonly [string, number, string, string]>([
    ["500 names the checks that failed", 500, "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n", "500: [-]etcd failed: reason withheld"],
    ["401 is not healthy", 401, "Unauthorized", "401: Unauthorized"],
    ["204 is not healthy", 204, "", "204"],
    ["a redirect is not followed", 302, "", "302"],
    ["a long text is cut", 503, "x".repeat(1000), `503: ${"x".repeat(200)}`],
  ])("%s", async (_name, status, body, text) => {
    const server = await answering(status, body);
    expect(await check(server)).toEqual({ healthy: false, reason: `GET ${server.url}/livez: ${text}` });
    expect(server.accepted).toBe(1);
  });

  test.each([401, 403])("%d counts as healthy where the check is our own choice, and says so", async (status) => {
    const server = await answering(status, "no");
    const result = await check(server, { refusalCounts: true });
    expect(result.healthy).toBe(true);
    expect(result.reason).toContain("tells anonymous nothing");
  });

  test("a body without an end is read up to a limit, and its connection closed", async () => {
    const pour = (response: ServerResponse): void => {
      while (!response.destroyed && response.write("x".repeat(1000)));
      response.once("drain", () => pour(response));
    };
    const server = await serve((_got, response) => pour(response.writeHead(200)));
    onTestFinished(async () => server[Symbol.asyncDispose]());
    expect((await check(server)).healthy).toBe(true);
    await closed(server);
  });

  test("no answer: the reason of the network", async () => {
    const server = await answering(200, "ok");
    await server[Symbol.asyncDispose]();
    const result = await check(server);
    expect(result.healthy).toBe(false);
    expect(result.reason).toContain("ECONNREFUSED");
  });

  test("no secret of the URL gets into the reason", async () => {
    const server = await answering(500, "");
    const result = await check(server, { url: `${server.url.replace("//", "//me:secret@")}/livez?token=secret` });
    expect(result.reason).toBe(`GET ${server.url}/livez: 500`);
  });
});

describe("connections", () => {
  test("each check has one of its own, and none is left", async () => {
    const server = await answering(200, "ok");
    for (let i = 0; i < 5; i += 1) await check(server);
    expect(server.accepted).toBe(5);
    await closed(server);
  });

  test.each<readonly [string, (response: ServerResponse) => void]>([
    ["before the head", () => undefined],
    ["in the middle of the body", (response) => void response.writeHead(200).write("o")],
  ])("abort %s rejects with its reason and closes the connection", async (_name, answer) => {
    const server = await serve((_got, response) => answer(response));
    onTestFinished(async () => server[Symbol.asyncDispose]());
    const abort = new AbortController();
    const checked = createHealthProbe({ url: server.url, caPath: undefined }).check(abort.signal);
    const outcome = checked.catch((error: unknown) => error);
    await expect.poll(() => server.sockets.size).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    abort.abort(new Error("too late"));
    expect(await outcome).toEqual(new Error("too late"));
    await closed(server);
  });

  test("a signal that is aborted already opens none", async () => {
    const server = await answering(200, "ok");
    const checked = createHealthProbe({ url: server.url, caPath: undefined }).check(AbortSignal.abort(new Error("over")));
    await expect(checked).rejects.toThrow("over");
    expect(server.accepted).toBe(0);
  });
});

describe("the certificate", () => {
  test("on loopback without a CA nothing is checked", async () => {
    const { server: tls } = certificates(opened());
    expect((await check(await answering(200, "ok", tls))).healthy).toBe(true);
  });

  test("kubeadm's CA counts where it is, and the name does not: kubeadm's certificate names no loopback address", async () => {
    const dir = opened();
    const { ca, server: tls } = certificates(dir, "DNS:kubernetes");
    const server = await answering(200, "ok", tls);
    expect((await check(server, { kubeadmCaPath: dir.file("kubeadm.crt", ca) })).healthy).toBe(true);
    expect((await check(server, { caPath: dir.file("named.crt", ca) })).healthy).toBe(true);
  });

  test.each(["caPath", "kubeadmCaPath"] as const)("one of another CA than %s is refused", async (option) => {
    const dir = opened();
    const { ca: foreign } = certificates(opened());
    const { server: tls } = certificates(dir);
    const result = await check(await answering(200, "ok", tls), { [option]: dir.file("foreign.crt", foreign) });
    expect(result.healthy).toBe(false);
    expect(result.reason).toMatch(/certificate/);
  });

  test("a named CA file that is not there is a failed check that names it", async () => {
    const { server: tls } = certificates(opened());
    const result = await check(await answering(200, "ok", tls), { caPath: NOWHERE });
    expect(result.healthy).toBe(false);
    expect(result.reason).toContain(NOWHERE);
  });
});
