import type { Nft, NftVip } from "../ports/nft.js";
import { decodeGeneration, decodeRule, generationGet, NFT_NEWGEN, NFT_NEWRULE, ruleDump, type NftRule } from "../wire/netlink/nft.js";
import { KernelError } from "./errors.js";
import { createNative, type Native } from "./native.js";
import { ECANCELED } from "./netlink-socket.js";
import { chainOf, jumpFrom, jumpsOf, putRequests, removalRequests, tableRemovalRequests, type Jump } from "./nft-rules.js";
import { NftSocket } from "./nft-socket.js";

/** A rule that was there a moment ago is gone; the rules of the host are not those of a moment ago: somebody else was at work. */
const CHANGED: ReadonlySet<number> = new Set([2, 85]); // ENOENT, ERESTART
const EPROTO = 71;
/** A change by somebody else at the same moment is looked at anew this often before it is an error. */
const ATTEMPTS = 20;

export interface NftDeps {
  /** Default: createNative(). */
  readonly native?: Native;
  /** The table of family inet that is ours. Default: `vip`. */
  readonly table?: string;
}

/**
 * Destination NAT by nf_tables in this network namespace, without any other program. Needs CAP_NET_ADMIN, and Linux 5.2. Opens its socket when it is
 * first used, so that a kernel without nf_tables harms nobody who does not need it; then every call throws a KernelError that names it.
 */
export function createNft(deps: NftDeps = {}): Nft & AsyncDisposable {
  return new LinuxNft(deps.native ?? createNative(), deps.table ?? "vip");
}

class LinuxNft implements Nft, AsyncDisposable {
  #socket: NftSocket | undefined;
  /** The calls so far: they run one after the other, since each looks first and writes then. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly native: Native,
    private readonly table: string,
  ) {}

  async putVip(vip: NftVip, signal: AbortSignal): Promise<void> {
    const tried = `write rules for ${vip.key}`;
    await this.#inTurn(tried, signal, async (socket) => {
      const stale = jumpsFor(vip.key, await this.#rules(socket, tried));
      signal.throwIfAborted();
      await socket.transact(putRequests(this.table, vip, stale), { tried });
    });
  }

  async removeVip(key: string, signal: AbortSignal): Promise<boolean> {
    const tried = `remove rules for ${key}`;
    return this.#inTurn(tried, signal, async (socket) => {
      const generation = await this.#generation(socket, tried);
      const rules = await this.#rules(socket, tried);
      const mine = jumpsFor(key, rules);
      if (mine.length === 0) return false;
      signal.throwIfAborted();
      // Only while nobody adds a VIP: a table goes with all that is in it.
      if (mine.length === rules.length) await socket.transact(tableRemovalRequests(this.table), { tried, generation });
      else await socket.transact(removalRequests(this.table, key, mine), { tried });
      return true;
    });
  }

  async vips(signal: AbortSignal): Promise<readonly { readonly key: string; readonly describe: string }[]> {
    const tried = `list the VIPs of table inet ${this.table}`;
    const rules = await this.#inTurn(tried, signal, async (socket) => this.#rules(socket, tried));
    const keys = [...new Set(rules.flatMap((rule) => jumpFrom(rule)?.key ?? []))];
    return keys.map((key) => ({ key, describe: `${key} in table inet ${this.table}, chain ${chainOf(this.table, key).chain}` }));
  }

  /** Waits for what is on its way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#last;
    this.#socket?.[Symbol.dispose]();
    this.#socket = undefined;
  }

  /** Runs `work` after all that was asked for before, again where somebody else changed the rules meanwhile. */
  async #inTurn<T>(tried: string, signal: AbortSignal, work: (socket: NftSocket) => Promise<T>): Promise<T> {
    const turn = this.#last.then(async () => {
      for (let attempt = 1; ; attempt += 1) {
        signal.throwIfAborted();
        if (this.#closed) throw new KernelError(tried, ECANCELED, "nf_tables was closed");
        try {
          return await work((this.#socket ??= NftSocket.open(this.native)));
        } catch (error) {
          if (attempt === ATTEMPTS || !(error instanceof KernelError) || !CHANGED.has(error.errno)) throw error;
        }
      }
    });
    // Whoever asked hears of a failure; the next one is not harmed by it.
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** The rules of the chain with the jumps. */
  async #rules(socket: NftSocket, tried: string): Promise<readonly NftRule[]> {
    const messages = await socket.dump(ruleDump(jumpsOf(this.table)), tried);
    return messages.filter(({ type }) => type === NFT_NEWRULE).map(({ payload }) => decodeRule(payload));
  }

  async #generation(socket: NftSocket, tried: string): Promise<number> {
    const messages = await socket.get(generationGet(), tried);
    const id = messages.flatMap(({ type, payload }) => (type === NFT_NEWGEN ? (decodeGeneration(payload) ?? []) : []))[0];
    if (id === undefined) throw new KernelError(tried, EPROTO, "the kernel does not say the generation of its rules");
    return id;
  }
}

/** The comment is looked at first: the expressions of hundreds of rules take milliseconds to read. */
function jumpsFor(key: string, rules: readonly NftRule[]): readonly Jump[] {
  return rules.filter(({ comment }) => comment === key).flatMap((rule) => jumpFrom(rule) ?? []);
}
