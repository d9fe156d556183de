import { Socket } from "node:net";

import { messageOf } from "../lib/errors.js";
import { familyOf, parseIp, type Family, type IpAddress } from "../lib/ip.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Accepted, TcpCaller, TcpConnection, TcpEvents, TcpServer } from "../ports/net.js";
import { errnoName, KernelError } from "./errors.js";
import type { Native, Poll } from "./native.js";
import { EAGAIN, EINTR } from "./netlink-socket.js";
import { Connection, tcpEnd } from "./tcp-connection.js";
import { applyOptions, openTcp, prepareToListen, setMd5Key, socketAddress } from "./tcp-options.js";

export interface ServerDeps {
  readonly native: Native;
  readonly clock: Clock;
  readonly log: Log;
  /** Whoever closes the rest at the end. */
  keep(connection: Connection): Connection;
}

const BACKLOG = 64;
/** Connections in one turn of the loop; the poll comes back for the rest. */
const ACCEPTED_PER_TURN = 32;
/** Errors that mean nothing for the next connection (accept(2)): one that was reset while it waited, and the like. */
const PASSING: ReadonlySet<number> = new Set([EINTR, 71, 92, 100, 101, 103, 112, 113]);
/** Without descriptors or memory the connection stays in the queue, and the poll would call all the time. */
const PAUSE_MS = 1000;
const EAFNOSUPPORT = 97;
const EADDRNOTAVAIL = 99;
/** Strangers that are told of, each once. */
const MOST_STRANGERS = 100;

/** A listening socket for each family on one port. */
export class Server implements TcpServer {
  readonly #deps: ServerDeps;
  readonly #accepted: (connection: Accepted) => void;
  readonly #fds: ReadonlyMap<Family, number>;
  readonly #polls = new Map<Family, Poll>();
  readonly #pauses = new Map<Family, Timer>();
  readonly #strangers = new Set<string>();
  #callers: readonly TcpCaller[] = [];
  #keys: ReadonlyMap<IpAddress, string> = new Map();
  #closed: Promise<void> | undefined;

  private constructor(deps: ServerDeps, fds: ReadonlyMap<Family, number>, accepted: (connection: Accepted) => void) {
    this.#deps = deps;
    this.#fds = fds;
    this.#accepted = accepted;
    for (const family of fds.keys()) this.#watch(family);
  }

  /** Throws KernelError. Where the machine has no IPv6, IPv4 is enough. */
  static open(deps: ServerDeps, port: number, accepted: (connection: Accepted) => void): Server {
    const fds = new Map<Family, number>([[4, openListening(deps.native, 4, port)]]);
    try {
      fds.set(6, openListening(deps.native, 6, port));
    } catch (error) {
      const lacking = error instanceof KernelError && (error.errno === EAFNOSUPPORT || error.errno === EADDRNOTAVAIL);
      if (!lacking) {
        for (const fd of fds.values()) deps.native.close(fd);
        throw error;
      }
    }
    return new Server(deps, fds, accepted);
  }

  allow(callers: readonly TcpCaller[]): ReadonlyMap<TcpCaller, string> {
    const refused = new Map<TcpCaller, string>();
    const keys = new Map<IpAddress, string>();
    for (const { address, password } of callers) if (password !== undefined) keys.set(address, password);
    for (const [address] of this.#keys) if (!keys.has(address)) this.#setKey(address, undefined);
    for (const caller of callers) {
      const { address } = caller;
      const password = keys.get(address);
      if (password === undefined || password === this.#keys.get(address)) continue;
      try {
        this.#setKey(address, password);
      } catch (error) {
        keys.delete(address);
        refused.set(caller, messageOf(error));
      }
    }
    this.#keys = keys;
    // Without its key a peer must not get in.
    this.#callers = callers.filter((caller) => !refused.has(caller));
    return refused;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    for (const pause of this.#pauses.values()) pause.cancel();
    await Promise.all([...this.#polls.values()].map(async (poll) => poll.stop()));
    for (const fd of this.#fds.values()) this.#deps.native.close(fd);
  }

  #setKey(address: IpAddress, password: string | undefined): void {
    const fd = this.#fds.get(familyOf(address));
    if (fd !== undefined) setMd5Key(this.#deps.native, fd, { address, password });
  }

  #watch(family: Family): void {
    const fd = this.#fds.get(family);
    if (fd === undefined || this.#closed !== undefined) return;
    this.#polls.set(family, this.#deps.native.poll(fd, () => this.#drain(family, fd)));
  }

  #drain(family: Family, fd: number): void {
    for (let count = 0; count < ACCEPTED_PER_TURN && this.#closed === undefined; count += 1) {
      const accepted = this.#deps.native.accept(fd);
      if (accepted === -EAGAIN) return;
      if (accepted >= 0) this.#take(family, accepted);
      else if (!PASSING.has(-accepted)) {
        this.#pause(family, -accepted);
        return;
      }
    }
  }

  #pause(family: Family, errno: number): void {
    this.#deps.log.warn("connection not accepted, tried again", { error: errnoName(errno), retryMs: PAUSE_MS });
    void this.#polls.get(family)?.stop();
    this.#pauses.set(family, this.#deps.clock.after(PAUSE_MS, () => this.#watch(family)));
  }

  #take(family: Family, fd: number): void {
    const socket = new Socket({ fd });
    const remote = tcpEnd(socket.remoteAddress, socket.remotePort);
    const caller = remote === undefined ? undefined : this.#callers.find(({ address, iface }) => address === remote.address && (remote.iface === undefined || iface === remote.iface));
    // It is gone already, or nobody that is known.
    if (remote === undefined || caller === undefined) {
      socket.on("error", () => {});
      socket.resetAndDestroy();
      if (remote !== undefined) this.#stranger(remote.address);
      return;
    }
    let taken: Connection | undefined;
    const take = (events: TcpEvents): TcpConnection => {
      taken = this.#deps.keep(new Connection(socket, { address: remote.address, port: remote.port }, { events, clock: this.#deps.clock }));
      taken.established();
      return taken;
    };
    try {
      applyOptions(this.#deps.native, fd, { ...caller, family });
      this.#accepted({ remote: { address: remote.address, port: remote.port }, caller, take });
    } catch (error) {
      this.#deps.log.warn("connection refused", { remote: remote.address, error: messageOf(error) });
    }
    if (taken !== undefined) return;
    socket.on("error", () => {});
    socket.resetAndDestroy();
  }

  #stranger(address: IpAddress): void {
    if (this.#strangers.has(address) || this.#strangers.size >= MOST_STRANGERS) return;
    this.#strangers.add(address);
    this.#deps.log.info("connection refused: not a peer", { remote: address });
  }
}

function openListening(native: Native, family: Family, port: number): number {
  const tried = `listen on TCP port ${port}`;
  return openTcp(native, family, (fd, check) => {
    prepareToListen(native, fd, family);
    check(native.bind(fd, socketAddress({ address: ANY[family], port })), tried);
    check(native.listen(fd, BACKLOG), tried);
  });
}

const ANY: Readonly<Record<Family, IpAddress>> = { 4: anyAddress("0.0.0.0"), 6: anyAddress("::") };

function anyAddress(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}
