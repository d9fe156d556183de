import type { DownReason, Held, VipMode } from "../core/mode.js";
import type { LeaseKey, LeaseSeen, LeaseWant } from "../core/model.js";
import type { DhcpTiming } from "../machine/dhcp-client-state.js";
import type { Clock } from "../ports/clock.js";
import type { Packets } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { DhcpLeaseClient } from "./dhcp-client.js";

export interface DhcpConfig {
  readonly timing: DhcpTiming;
  /** Option 60: what asks. */
  readonly vendorClass: string;
  /** Look whether somebody else has an address before it is taken. */
  readonly duplicateCheck: boolean;
}

export interface DhcpDeps {
  readonly kernel: Packets;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How far a lease is; undefined: it is asked for no more. */
  report(key: LeaseKey, seen: LeaseSeen | undefined): void;
  /** A message of a server that counts for nothing: why, `malformed` or a DhcpDropReason that is out of the ordinary. */
  dropped?(reason: string): void;
}

/**
 * DHCP mode: addresses from the servers of a network (RFC 2131). What is asked for is accepted at once; what comes of it is reported. Nothing is put into
 * the kernel: with its lease an address becomes a VIP, which is held like any other.
 */
export function createDhcpMode(config: DhcpConfig, deps: DhcpDeps): VipMode<"dhcp"> {
  return new DhcpMode(config, deps);
}

class DhcpMode implements VipMode<"dhcp"> {
  readonly name = "dhcp";
  readonly #clients = new Map<LeaseKey, DhcpLeaseClient>();

  constructor(
    private readonly config: DhcpConfig,
    private readonly deps: DhcpDeps,
  ) {}

  async up(want: LeaseWant, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    const client = this.#clients.get(want.key) ?? this.#client(want.key);
    client.follow(want);
  }

  /** What nobody wants any more is given back to its server; what another node goes on with is not. */
  async down(key: LeaseKey, reason: DownReason): Promise<void> {
    const client = this.#clients.get(key);
    if (client === undefined) return;
    this.#clients.delete(key);
    if (reason === "unwanted") client.release();
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

  #client(key: LeaseKey): DhcpLeaseClient {
    const log = this.deps.log.with({ lease: key });
    const client = new DhcpLeaseClient(this.config, { ...this.deps, log, changed: (seen) => this.deps.report(key, seen) });
    this.#clients.set(key, client);
    return client;
  }
}
