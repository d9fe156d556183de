import type { IpAddress } from "../lib/ip.js";

/** One end of a TCP connection. */
export interface TcpEnd {
  readonly address: IpAddress;
  readonly port: number;
}

/** What every packet of a connection is to be like. All of it holds from the first packet on. */
export interface TcpOptions {
  /** TTL or hop limit of what is sent; undefined: the default of the machine. */
  readonly ttl: number | undefined;
  /** Packets that come with less are dropped by the kernel (GTSM, RFC 5082); undefined: all are taken. */
  readonly leastTtl: number | undefined;
  /** Key of TCP MD5 (RFC 2385), 1 to 80 octets of UTF-8. */
  readonly password: string | undefined;
  /** Data that is not acknowledged for so long ends the connection (RFC 5482), ms; 0: the default of the machine. */
  readonly userTimeoutMs: number;
}

/** Where to dial, and how. */
export interface TcpTarget extends TcpOptions, TcpEnd {
  readonly source: IpAddress | undefined;
  /** The link that all packets take; needed with a link-local address. */
  readonly iface: string | undefined;
}

/** What is heard of a connection, never from within a call of `Net` or `TcpConnection`. Nothing follows `closed`, or a `close` from this side. */
export interface TcpEvents {
  /** A dial has succeeded. Not called for accepted connections. */
  connected(): void;
  /** A copy: it may be kept. */
  data(octets: Uint8Array): void;
  /** The dial has failed, or the connection is over: `connect to 192.0.2.1 port 179: ECONNREFUSED`. */
  closed(reason: string): void;
}

export interface TcpConnection {
  /** Undefined before `connected`. */
  readonly local: TcpEnd | undefined;
  readonly remote: TcpEnd;
  send(octets: Uint8Array): void;
  /** Calls `done` once everything that was sent has been handed to the kernel; never when the connection ends before. */
  flush(done: () => void): void;
  /** Graceful: what was sent is still delivered, within a few seconds; else with a reset. Again is fine. */
  close(graceful: boolean): void;
}

/** A peer that may dial. */
export interface TcpCaller extends TcpOptions {
  readonly address: IpAddress;
  /** For a link-local address: the link on which it is. */
  readonly iface: string | undefined;
}

export interface TcpServer extends AsyncDisposable {
  /** Exactly these may dial from now on. Connections that stand are left alone. Returns what keeps some of them from it: `set the TCP MD5 key for 192.0.2.1: ENOPROTOOPT`. */
  allow(callers: readonly TcpCaller[]): ReadonlyMap<TcpCaller, string>;
}

/** Somebody who may dial has done so. `take` is to be called before this returns, or the connection is closed. */
export interface Accepted {
  readonly remote: TcpEnd;
  readonly caller: TcpCaller;
  take(events: TcpEvents): TcpConnection;
}

/** TCP of this network namespace. */
export interface Net extends AsyncDisposable {
  /** Starts a dial. What goes wrong is told as `closed`. */
  dial(target: TcpTarget, events: TcpEvents): TcpConnection;
  /** Listens on all addresses of both families. Throws where the port is taken (`EADDRINUSE`) or not allowed. */
  listen(port: number, accepted: (connection: Accepted) => void): TcpServer;
}
