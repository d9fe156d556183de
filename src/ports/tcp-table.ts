import type { TcpEnd } from "./net.js";

/** An established TCP connection of another process of this network namespace. */
export interface OtherConnection {
  readonly local: TcpEnd;
  readonly remote: TcpEnd;
  /** `bird (812)`; undefined where the process cannot be seen from here. */
  readonly process: string | undefined;
}

export interface TcpTable {
  /**
   * Connections of other processes with `peer`, whoever dialled: the port is the peer's, or that on which it was let in here. What belongs to connections of
   * this process is not among them. Throws KernelError.
   */
  others(peer: TcpEnd, signal: AbortSignal): Promise<readonly OtherConnection[]>;
}
