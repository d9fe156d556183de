import type { IpAddress } from "../../src/lib/ip.js";
import { familyOf } from "../../src/lib/ip.js";
import type { Accepted, Net, TcpCaller, TcpConnection, TcpEnd, TcpEvents, TcpServer, TcpTarget } from "../../src/ports/net.js";

/** One connection in memory, seen from its far end. */
export class FakeConnection implements TcpConnection {
  local: TcpEnd | undefined;
  /** What was sent and not yet taken by the test. */
  sent: Uint8Array[] = [];
  /** How this side ended it. */
  closed: "graceful" | "reset" | undefined;
  /** False: nothing is handed to the kernel, as with a peer that never reads. */
  draining = true;
  /** Called for each `send`. */
  heard: (octets: Uint8Array) => void = () => {};
  #over = false;

  constructor(
    readonly remote: TcpEnd,
    readonly target: TcpTarget | undefined,
    private readonly events: TcpEvents,
  ) {}

  send(octets: Uint8Array): void {
    if (this.#over) return;
    this.sent.push(octets.slice());
    this.heard(octets.slice());
  }

  flush(done: () => void): void {
    later(() => {
      if (this.draining && !this.#over) done();
    });
  }

  close(graceful: boolean): void {
    this.closed ??= graceful ? "graceful" : "reset";
    this.#over = true;
  }

  get open(): boolean {
    return !this.#over;
  }

  /** The far end answers the dial. */
  connect(local: TcpEnd): void {
    this.local = local;
    this.#tell(() => this.events.connected());
  }

  /** The far end sends. */
  arrive(octets: Uint8Array): void {
    this.#tell(() => this.events.data(octets.slice()));
  }

  /** The far end is gone. */
  fail(reason: string): void {
    this.#tell(() => {
      this.#over = true;
      this.events.closed(reason);
    });
  }

  #tell(event: () => void): void {
    later(() => {
      if (!this.#over) event();
    });
  }
}

/** TCP in memory: every dial waits for the test, which is the world outside. */
export class FakeNet implements Net {
  readonly dials: FakeConnection[] = [];
  readonly incoming: FakeConnection[] = [];
  callers: readonly TcpCaller[] = [];
  /** The error of `listen`. */
  taken: Error | undefined;
  /** Why a caller's key is refused, by its address. */
  readonly refused = new Map<IpAddress, string>();
  listening: number | undefined;
  /** Called for each dial. */
  dialled: (connection: FakeConnection) => void = () => {};
  #accepted: (connection: Accepted) => void = () => {};

  dial(target: TcpTarget, events: TcpEvents): TcpConnection {
    const connection = new FakeConnection({ address: target.address, port: target.port }, target, events);
    this.dials.push(connection);
    later(() => this.dialled(connection));
    return connection;
  }

  listen(port: number, accepted: (connection: Accepted) => void): TcpServer {
    if (this.taken !== undefined) throw this.taken;
    this.listening = port;
    this.#accepted = accepted;
    return {
      allow: (callers) => {
        this.callers = callers.filter(({ address }) => !this.refused.has(address));
        return new Map(callers.flatMap((caller) => [[caller, this.refused.get(caller.address)] as const]).filter((one): one is readonly [TcpCaller, string] => one[1] !== undefined));
      },
      [Symbol.asyncDispose]: async () => {
        this.listening = undefined;
        this.callers = [];
      },
    };
  }

  /** A peer dials; undefined where it is refused. */
  call(from: TcpEnd, local: IpAddress): FakeConnection | undefined {
    const caller = this.callers.find(({ address }) => address === from.address);
    let made: FakeConnection | undefined;
    if (caller === undefined || familyOf(local) !== familyOf(from.address)) return undefined;
    this.#accepted({
      remote: from,
      caller,
      take: (events) => {
        made = new FakeConnection(from, undefined, events);
        made.local = { address: local, port: this.listening ?? 0 };
        this.incoming.push(made);
        return made;
      },
    });
    return made;
  }

  /** Sockets that are open. */
  get open(): number {
    return [...this.dials, ...this.incoming].filter(({ open }) => open).length + (this.listening === undefined ? 0 : 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function later(event: () => void): void {
  void Promise.resolve().then(event);
}
