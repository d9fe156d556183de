import { chmodSync, renameSync, rmSync } from "node:fs";
import type https from "node:https";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Client } from "../../src/kube/client.js";
import { loadConnection, NoKubeconfig } from "../../src/kube/config.js";
import type { ConnectionConfig } from "../../src/kube/config.js";
import { Connector } from "../../src/kube/connector.js";
import { KubeError } from "../../src/kube/errors.js";
import { standingOf } from "../../src/kube/standing.js";
import type { KubeErrorCode } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { base64, certificates, folder, json, kubeconfig, memoryLog, serve, statusBody } from "./support.js";
import type { Certificates, Folder, Handler, TestServer } from "./support.js";

const call = { verb: "get", resource: "things", path: "/who", timeoutMs: 5000 } as const;
const VIP = "192.0.2.10";
const never = (): AbortSignal => new AbortController().signal;

let dir: Folder;
let certs: Certificates;
/** Made out to loopback; and, as kubeadm's, to the VIP and a name. */
let local: Certificates;
let named: Certificates;
let shared: readonly [Folder, Folder];

beforeAll(() => {
  shared = [folder(), folder()];
  local = certificates(shared[0]);
  named = certificates(shared[1], `IP:${VIP},DNS:api.internal`);
});
afterAll(() => {
  for (const one of shared) one[Symbol.dispose]();
});
beforeEach(() => {
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
  dir = folder();
  certs = local;
});
afterEach(() => {
  vi.unstubAllEnvs();
  dir[Symbol.dispose]();
});

/** A client whose time stands still, and what it logged: level, message. */
class Side implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = memoryLog();
  readonly connector: Connector;
  readonly client: Client;

  constructor(config: ConnectionConfig) {
    this.connector = new Connector({ standardFiles: [], ...config }, { clock: this.clock, log: this.log });
    this.client = new Client({ clock: this.clock, connector: this.connector, userAgent: "vip-test" });
  }

  /** The answer, or the code of the error. */
  async ask(path = "/who"): Promise<unknown> {
    return this.client.request({ ...call, path }, never()).catch((error: unknown) => (error as KubeError).code);
  }

  said(): readonly string[] {
    return this.log.lines.filter(({ message }) => /^(api server |kubeconfig (or|may) )/.test(message)).map(({ level, message }) => `${level}: ${message}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}

const NOT_THERE = "info: api server is not there yet, trying again";
const NOT_ALLOWED = "info: api server does not allow it yet, trying again";
const WRONG = "error: kubeconfig or certificate is wrong, trying again";
const REACHED = "info: api server reached";

async function secure(handler: Handler, options: https.ServerOptions = {}): Promise<TestServer> {
  return serve(handler, { ...certs.server, ca: certs.ca, ...options });
}

/** Allows those who bring one of these tokens. */
function allowing(tokens: Set<string>): Handler {
  return (got, response) => {
    const token = got.headers.authorization?.replace("Bearer ", "") ?? "";
    if (tokens.has(token)) json(response, 200, { token });
    else json(response, 403, statusBody(403, "Forbidden", `${token} may not`));
  };
}

function conf(name: string, server: string, token: string): string {
  return dir.file(name, kubeconfig({ server, "certificate-authority-data": base64(certs.ca) }, { token }));
}

describe("super-admin.conf beside admin.conf", () => {
  it("is used while admin.conf has no rights; half a minute later these are looked at again", async () => {
    const allowed = new Set(["super"]);
    await using server = await secure(allowing(allowed));
    const url = `https://127.0.0.1:${server.port}`;
    const admin = conf("admin.conf", url, "admin");
    conf("super-admin.conf", url, "super");
    await using side = new Side({ kubeconfigPath: admin });
    expect([await side.ask(), await side.ask()]).toEqual(["forbidden", { token: "super" }]);
    await side.clock.advance(29_000);
    expect(await side.ask()).toEqual({ token: "super" });
    await side.clock.advance(11_000);
    expect([await side.ask(), await side.ask()]).toEqual(["forbidden", { token: "super" }]);
    allowed.add("admin");
    await side.clock.advance(41_000);
    expect(await side.ask()).toEqual({ token: "admin" });
    expect(side.said().slice(0, 2)).toEqual([NOT_ALLOWED, REACHED]);
  });

  it.each<readonly [string, (files: { readonly url: string; readonly allowed: Set<string> }) => readonly [string, string]]>([
    ["the file is not called admin.conf", ({ url }) => [conf("own.conf", url, "own"), "own"]],
    ["there is none", ({ url }) => {
      rmSync(join(dir.path, "super-admin.conf"));
      return [conf("admin.conf", url, "admin"), "admin"];
    }],
  ])("is not used where %s", async (_name, arrange) => {
    const allowed = new Set(["super"]);
    await using server = await secure(allowing(allowed));
    const url = `https://127.0.0.1:${server.port}`;
    conf("super-admin.conf", url, "super");
    const [path] = arrange({ url, allowed });
    await using side = new Side({ kubeconfigPath: path });
    expect([await side.ask(), await side.ask()]).toEqual(["forbidden", "forbidden"]);
    expect(side.said()).toEqual([NOT_ALLOWED]);
  });

  it("is not used when rights that admin.conf had are taken away", async () => {
    const allowed = new Set(["super", "admin"]);
    await using server = await secure(allowing(allowed));
    const url = `https://127.0.0.1:${server.port}`;
    conf("super-admin.conf", url, "super");
    await using side = new Side({ kubeconfigPath: conf("admin.conf", url, "admin") });
    expect(await side.ask()).toEqual({ token: "admin" });
    allowed.delete("admin");
    expect([await side.ask(), await side.ask()]).toEqual(["forbidden", "forbidden"]);
    expect(side.said()).toEqual([REACHED]);
  });
});

describe("the way to the API server", () => {
  const routes = (server: string, config: Partial<ConnectionConfig> = {}): readonly string[] =>
    loadConnection({ kubeconfigPath: dir.file("c", kubeconfig({ server })), controlPlane: { addresses: [VIP, "2001:db8::10"], port: 7443 }, ...config }).routes.map(({ href }) => href);

  it.each<readonly [string, string, Partial<ConnectionConfig>, readonly string[]]>([
    ["the VIP that this process serves: this machine first", `https://${VIP}:6443/x`, {}, ["https://127.0.0.1:7443/x", `https://${VIP}:6443/x`]],
    ["its IPv6 VIP, written in another way", "https://[2001:DB8:0::10]:6443", {}, ["https://127.0.0.1:7443/", "https://[2001:db8::10]:6443/"]],
    ["a name, which may stand for the VIP: this machine second", "https://api.internal:6443", {}, ["https://api.internal:6443/", "https://127.0.0.1:7443/"]],
    ["another address", "https://192.0.2.99:6443", {}, ["https://192.0.2.99:6443/"]],
    ["this machine already", "https://localhost:6443", {}, ["https://localhost:6443/"]],
    ["no control plane here", `https://${VIP}:6443`, { controlPlane: undefined }, [`https://${VIP}:6443/`]],
    ["kubernetes_addr says where", `https://${VIP}:6443`, { kubernetesAddr: "192.0.2.99" }, ["https://192.0.2.99:6443/"]],
    ["no TLS, so that nobody would know who answers", `http://${VIP}:6443`, {}, [`http://${VIP}:6443/`]],
  ])("%s", (_name, server, config, want) => {
    expect(routes(server, config)).toEqual(want);
  });

  it.each([`https://${VIP}:1`, "https://api.internal:1"])("a certificate for the host of the kubeconfig is enough on this machine, and the server in use is told as written: %s", async (url) => {
    certs = named;
    await using server = await secure(allowing(new Set(["t"])));
    await using side = new Side({ kubeconfigPath: conf("admin.conf", url, "t"), controlPlane: { addresses: [VIP], port: server.port } });
    const answers = [await side.ask(), await side.ask()];
    expect(answers).toContainEqual({ token: "t" });
    expect(side.connector.server()).toBe(new URL(url).hostname);
    expect(side.log.lines.find(({ message }) => message === "api server reached")?.fields["server"]).toBe(`127.0.0.1:${server.port}`);
  });

  it("a server of this machine with another name or CA gets no credentials", async () => {
    using other = folder();
    certs = certificates(other, "DNS:elsewhere");
    const seen: string[] = [];
    await using server = await secure((got, response) => {
      seen.push(got.path);
      json(response, 200, {});
    });
    await using side = new Side({ kubeconfigPath: conf("admin.conf", `https://${VIP}:1`, "t"), controlPlane: { addresses: [VIP], port: server.port } });
    expect(await side.ask()).toBe("network");
    expect([seen, side.said()]).toEqual([[], [WRONG]]);
  });

  it("changes once when many requests fail together", async () => {
    await using server = await secure(allowing(new Set(["t"])));
    const { port } = server;
    await using side = new Side({ kubeconfigPath: conf("admin.conf", "https://api.invalid:1", "t"), controlPlane: { addresses: [VIP], port } });
    const target = await side.connector.target();
    side.connector.unanswered(target);
    side.connector.unanswered(target);
    expect((await side.connector.target()).options.host).toBe("127.0.0.1");
    side.connector.unanswered(await side.connector.target());
    expect((await side.connector.target()).options.host).toBe("api.invalid");
  });
});

describe("how we stand with the API", () => {
  const error = (code: KubeErrorCode, cause?: string): KubeError => new KubeError(code, "x", cause === undefined ? {} : { cause: Object.assign(new Error(cause), { code: cause }) });
  it.each<readonly [string, KubeError, string | undefined]>([
    ["no kubeconfig", new NoKubeconfig(["/a (ENOENT)"]), "notThere"],
    ["a token file that is missing", error("config", "ENOENT"), "notThere"],
    ["a kubeconfig that cannot be parsed", error("config"), "wrong"],
    ["a file that it names and this process may not read", error("config", "EACCES"), "unreadable"],
    ["refused", error("network", "ECONNREFUSED"), "notThere"],
    ["nobody at the address", error("network", "EHOSTUNREACH"), "notThere"],
    ["a name that cannot be resolved", error("network", "ENOTFOUND"), "notThere"],
    ["silence", error("timeout"), "notThere"],
    ["an unknown CA", error("network", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "wrong"],
    ["a CA of its own", error("network", "SELF_SIGNED_CERT_IN_CHAIN"), "wrong"],
    ["an issuer that nobody knows", error("network", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"), "wrong"],
    ["another name", error("network", "ERR_TLS_CERT_ALTNAME_INVALID"), "wrong"],
    ["out of date", error("network", "CERT_HAS_EXPIRED"), "wrong"],
    ["no TLS", error("network", "EPROTO"), "wrong"],
    ["no HTTP", error("protocol"), "wrong"],
    ["401", error("unauthorized"), "notAllowed"],
    ["403", error("forbidden"), "notAllowed"],
    ["404", error("notFound"), "reached"],
    ["409", error("conflict"), "reached"],
    ["500 tells nothing", error("server"), undefined],
  ])("%s", (_name, given, standing) => {
    expect(standingOf(given)).toBe(standing);
  });

  it("a kubeconfig that this process may not read is told as such, with who it is", async () => {
    const user = process.getuid?.() ?? -1;
    // Root may read all but what has nothing to be read.
    const path = user === 0 ? "/sys/bus/cpu/drivers_probe" : dir.file("admin.conf", "x");
    if (user !== 0) chmodSync(path, 0);
    await using side = new Side({ kubeconfigPath: path });
    expect([await side.ask(), await side.ask()]).toEqual(["config", "config"]);
    expect(side.said()).toEqual(["error: kubeconfig may not be read, trying again"]);
    expect(side.log.lines.find(({ level }) => level === "error")?.fields["reason"]).toContain(`read ${path}: EACCES: expected a file that user ${user} may read`);
  });

  it("each change is said once, and all is tried until it works: absent, broken, nobody there, an unknown token, put right by rename", async () => {
    const allowed = new Set(["good"]);
    await using server = await secure((got, response, request) => {
      if (got.headers.authorization === "Bearer unknown") json(response, 401, statusBody(401, "Unauthorized", "who"));
      else allowing(allowed)(got, response, request);
    });
    const url = `https://127.0.0.1:${server.port}`;
    const path = join(dir.path, "admin.conf");
    await using side = new Side({ kubeconfigPath: path });
    const twice = async (): Promise<void> => {
      await side.ask();
      await side.ask("/other");
    };
    await twice();
    dir.file("admin.conf", "{{{");
    await twice();
    conf("admin.conf", "https://127.0.0.1:1", "good");
    await twice();
    conf("admin.conf", url, "unknown");
    await twice();
    renameSync(conf("admin.conf.new", url, "good"), path);
    await twice();
    expect(side.said()).toEqual([NOT_THERE, WRONG, NOT_THERE, NOT_ALLOWED, REACHED]);
  });
});
