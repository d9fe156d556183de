import type { DownReason, Held, VipMode } from "../core/mode.js";
import type { LeaseKey, LeaseSeen, LeaseWant } from "../core/model.js";
import type { DhcpTiming } from "../machine/dhcp-client-state.js";
import type { Dhcp6Timing } from "../machine/dhcp6-client-state.js";
import type { Clock } from "../ports/clock.js";
import type { Dhcp6Sockets } from "../ports/dhcp6.js";
import type { Addresses, Packets } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { DhcpLeaseClient } from "./dhcp-client.js";
import { Dhcp6LeaseClient } from "./dhcp6-client.js";

export interface DhcpConfig {
  readonly timing: DhcpTiming;
  readonly timing6: Dhcp6Timing;
  /** Option 60: what asks. */
  readonly vendorClass: string;
  /** Look whether somebody else has an address before it is taken. */
  readonly duplicateCheck: boolean;
}

export interface DhcpDeps {
  readonly kernel: Packets & Pick<Addresses, "putAddress">;
  /** For DHCPv6. */
  readonly sockets6: Dhcp6Sockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How far a lease is; undefined: it is asked for no more. */
  report(key: LeaseKey, seen: LeaseSeen | undefined): void;
  /** A message of a server that counts for nothing: why, `malformed` or a DhcpDropReason that is out of the ordinary. */
  dropped?(reason: string): void;
}

/**
 * DHCP mode: addresses from the servers of a network (RFC 2131, RFC 8415). What is asked for is accepted at once; what comes of it is reported. No VIP is
 * put into the kernel: with its lease an address becomes one, which is held like any other.
 */
export function createDhcpMode(config: DhcpConfig, deps: DhcpDeps): VipMode<"dhcp"> {
  return new DhcpMode(config, deps);
}

/** One lease, by whichever DHCP. */
interface LeaseClient extends AsyncDisposable {
  follow(want: LeaseWant): void;
  release(): void | Promise<void>;
}

/** For a server's answer to the first Release, and to one more where that was lost. */
const RELEASE_MS = 1500;

class DhcpMode implements VipMode<"dhcp"> {
  readonly name = "dhcp";
  readonly #clients = new Map<LeaseKey, LeaseClient>();

  constructor(
    private readonly config: DhcpConfig,
    private readonly deps: DhcpDeps,
  ) {}

  async up(want: LeaseWant, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    const client = this.#clients.get(want.key) ?? this.#client(want);
    client.follow(want);
  }

  /** What nobody wants any more is given back to its server; what another node goes on with is not. */
  async down(key: LeaseKey, reason: DownReason): Promise<void> {
    const client = this.#clients.get(key);
    if (client === undefined) return;
    this.#clients.delete(key);
    if (reason === "unwanted") await this.#released(client);
    await client[Symbol.asyncDispose]();
    this.deps.report(key, undefined);
  }

  /** A lease leaves nothing in the kernel; its link is the business of another mode. */
  async held(): Promise<readonly Held<"dhcp">[]> {
    return [];
  }

  /** Gives nothing back: another node, or this one after a restart, goes on with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    for (const client of clients) await client[Symbol.asyncDispose]();
  }

  #client({ key, family }: LeaseWant): LeaseClient {
    const log = this.deps.log.with({ lease: key });
    const deps = { ...this.deps, log, changed: (seen: LeaseSeen) => this.deps.report(key, seen) };
    const client =
      family === 4 ? new DhcpLeaseClient(this.config, deps) : new Dhcp6LeaseClient({ ...this.config, timing: this.config.timing6 }, { ...deps, sockets: this.deps.sockets6 });
    this.#clients.set(key, client);
    return client;
  }

  /** A server that does not answer is waited for no longer than this: the link of the lease goes afterwards. */
  async #released(client: LeaseClient): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = this.deps.clock.after(RELEASE_MS, late.resolve);
    await Promise.race([client.release(), late.promise]);
    timer.cancel();
  }
}
