import { createServer } from "node:https";
import type { Server } from "node:https";
import { isIPv4 } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { openAdmin } from "./admin-server.js";
import type { AdminCalls } from "./admin-calls.js";
import { Tokens } from "./auth.js";
import { kubeconfig, makeCerts, writePrivate } from "./certs.js";
import type { Certs } from "./certs.js";
import { controlOf, seed } from "./control.js";
import type { Transport } from "./control.js";
import { startControllers } from "./controllers/start.js";
import { Service } from "./service.js";
import { Store } from "./store.js";

/** How to start the API server. */
export type ApiOptions = {
  /** "host:port" pairs; port 0 takes a free one. Default ["127.0.0.1:0"]. */
  readonly listen?: readonly string[];
  /** Folder for ca.crt, admin.conf, token.conf, token and admin.sock; made when absent. */
  readonly dir: string;
  /** Time between bookmarks in ms, default 60,000. */
  readonly bookmarkMs?: number;
  /** How many changes of each resource a watch may go back, default 10,000. */
  readonly history?: number;
};

/** A running API server. */
export type Api = AsyncDisposable &
  AdminCalls & {
    /** https URLs, one per listen address. */
    readonly urls: readonly string[];
    /** Path of the kubeconfig with the client certificate. */
    readonly adminConf: string;
    /** Path of the kubeconfig with the bearer token. */
    readonly tokenConf: string;
    readonly adminSocket: string;
  };

type Address = { readonly host: string; readonly port: number };

function parseListen(text: string): Address {
  const match = /^\[?([^\]]+)\]?:(\d+)$/u.exec(text);
  if (match === null) throw new Error(`parse listen address ${text}: want host:port`);
  return { host: match[1] ?? "", port: Number(match[2]) };
}

const urlOf = ({ host, port }: Address): string => `https://${isIPv4(host) || !host.includes(":") ? host : `[${host}]`}:${port}`;

/** One TLS listener that can be closed and opened again on the same port. */
class Listener {
  readonly sockets = new Set<Socket>();
  readonly #certs: Certs;
  readonly #service: Service;
  #server: Server | undefined;
  address: Address;

  constructor(address: Address, certs: Certs, service: Service) {
    this.address = address;
    this.#certs = certs;
    this.#service = service;
  }

  async open(): Promise<void> {
    if (this.#server !== undefined) return;
    const { ca, serverCert, serverKey } = this.#certs;
    const server = createServer({ key: serverKey, cert: serverCert, ca, requestCert: true, rejectUnauthorized: false, keepAliveTimeout: 90_000, requestTimeout: 0 }, (request, response) => void this.#service.answer(request, response));
    // The plain sockets below TLS: these are what can be reset.
    server.on("connection", (socket: Socket) => {
      this.#service.counters.connection();
      socket.setNoDelay(true);
      this.sockets.add(socket);
      socket.on("close", () => void this.sockets.delete(socket));
    });
    server.on("secureConnection", (socket) => socket.on("error", () => undefined));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: this.address.host, port: this.address.port }, resolve);
    });
    // A TCP server's address is never a path.
    this.address = { ...this.address, port: (server.address() as AddressInfo).port };
    this.#server = server;
  }

  reset(remote?: string): number {
    const hit = [...this.sockets].filter((socket) => remote === undefined || socket.remoteAddress?.replace(/^::ffff:/u, "") === remote);
    for (const socket of hit) socket.destroy();
    return hit.length;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
      this.reset();
    });
  }
}

async function writeConfigs(dir: string, certs: Certs, server: string, token: string): Promise<void> {
  await writePrivate(join(dir, "admin.conf"), kubeconfig(server, certs.ca, { cert: certs.adminCert, key: certs.adminKey }));
  await writePrivate(join(dir, "token.conf"), kubeconfig(server, certs.ca, { token }));
  await writePrivate(join(dir, "token"), token);
}

/** Starts the API server; it listens when the promise resolves. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { dir } = options;
  const addresses = (options.listen ?? ["127.0.0.1:0"]).map(parseListen);
  const certs = await makeCerts(dir, addresses.map(({ host }) => host));
  const store = new Store(options.history);
  const tokens = new Tokens();
  const service = new Service(store, tokens, options.bookmarkMs ?? 60_000);
  const controllers = startControllers(service.handlers.registry);
  const listeners = addresses.map((address) => new Listener(address, certs, service));
  const down = async (): Promise<void> => void (await Promise.all(listeners.map(async (listener) => await listener.close())));
  const up = async (): Promise<void> => void (await Promise.all(listeners.map(async (listener) => await listener.open())));
  await up();
  const urls = listeners.map(({ address }) => urlOf(address));
  const first = urls[0] ?? "";
  const transport: Transport = {
    down,
    up,
    resetConnections: (remote) => listeners.reduce((sum, listener) => sum + listener.reset(remote), 0),
    openConnections: () => listeners.reduce((sum, { sockets }) => sum + sockets.size, 0),
    kubeconfig: (user, server) => kubeconfig(server ?? first, certs.ca, { token: tokens.issue(user) }),
  };
  seed(service, addresses.filter(({ host }) => isIPv4(host)).map(({ host }) => host), listeners[0]?.address.port ?? 0);
  await writeConfigs(dir, certs, first, tokens.issue("system:serviceaccount:kube-system:vip"));
  const control = controlOf({ store, service, controllers, transport });
  const adminSocket = join(dir, "admin.sock");
  const admin = await openAdmin(adminSocket, control);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    service.close();
    await Promise.all([down(), admin[Symbol.asyncDispose]()]);
  };
  return {
    ...control,
    urls,
    adminConf: join(dir, "admin.conf"),
    tokenConf: join(dir, "token.conf"),
    adminSocket,
    [Symbol.asyncDispose]: async () => await (closed ??= close()),
  };
}
