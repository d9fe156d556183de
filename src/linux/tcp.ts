import { Socket } from "node:net";

import { messageOf } from "../lib/errors.js";
import { familyOf } from "../lib/ip.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Accepted, Net, TcpConnection, TcpEvents, TcpServer, TcpTarget } from "../ports/net.js";
import { createNative, type Native } from "./native.js";
import { Connection } from "./tcp-connection.js";
import { applyOptions, bindToLink, openTcp, setMd5Key, socketAddress } from "./tcp-options.js";
import { Server } from "./tcp-server.js";

export interface NetDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly native?: Native;
}

/** TCP with what BGP needs of the kernel: MD5 keys, TTLs and links, all set before the first packet. */
export function createNet({ clock, log, native = createNative() }: NetDeps): Net {
  return new LinuxNet(native, clock, log);
}

class LinuxNet implements Net {
  readonly #native: Native;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #connections = new Set<Connection>();
  readonly #servers = new Set<Server>();

  constructor(native: Native, clock: Clock, log: Log) {
    this.#native = native;
    this.#clock = clock;
    this.#log = log;
  }

  dial(target: TcpTarget, events: TcpEvents): TcpConnection {
    const remote = { address: target.address, port: target.port };
    try {
      const connection = this.#keep(new Connection(new Socket(handle(openDial(this.#native, target))), remote, { events, clock: this.#clock }));
      connection.dial(target.iface);
      return connection;
    } catch (error) {
      return failed(remote, `connect to ${target.address} port ${target.port}: ${messageOf(error)}`, events);
    }
  }

  listen(port: number, accepted: (connection: Accepted) => void): TcpServer {
    const server = Server.open({ native: this.#native, clock: this.#clock, log: this.#log, keep: (one) => this.#keep(one) }, port, accepted);
    this.#servers.add(server);
    return server;
  }

  /** What is being closed gracefully has its time; all else ends now. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#servers].map(async (server) => server[Symbol.asyncDispose]()));
    await Promise.all(
      [...this.#connections].map(async (connection) => {
        connection.abandon();
        await connection.gone;
      }),
    );
  }

  #keep(connection: Connection): Connection {
    this.#connections.add(connection);
    void connection.gone.then(() => this.#connections.delete(connection));
    return connection;
  }
}

/** A socket that is ready to be connected. Throws KernelError. */
function openDial(native: Native, target: TcpTarget): number {
  const { address, source, iface, password } = target;
  return openTcp(native, familyOf(address), (fd, check) => {
    applyOptions(native, fd, { ...target, family: familyOf(address) });
    if (iface !== undefined) bindToLink(native, fd, iface);
    if (password !== undefined) setMd5Key(native, fd, { address, password });
    if (source !== undefined) check(native.bind(fd, socketAddress({ address: source, port: 0 })), `use source address ${source}`);
  });
}

/** Nothing is read before the connection stands. */
function handle(fd: number): { readonly fd: number; readonly manualStart: true } {
  return { fd, manualStart: true };
}

/** A dial that could not even be started. */
function failed(remote: TcpConnection["remote"], reason: string, events: TcpEvents): TcpConnection {
  let closed = false;
  queueMicrotask(() => {
    if (!closed) events.closed(reason);
  });
  return { local: undefined, remote, send: () => {}, flush: () => {}, close: () => void (closed = true) };
}
