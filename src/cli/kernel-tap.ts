import { reasonOf } from "../core/metrics.js";
import type { IpAddress } from "../lib/ip.js";
import type { Clock } from "../ports/clock.js";
import type { AddressId, FrameSocket } from "../ports/kernel.js";

/** Which protocol tells the neighbours where an address is. */
export type NeighbourProtocol = "arp" | "ndp";

/** What a packet socket speaks, by the call that opens it. */
const PROTOCOLS: Readonly<Record<string, NeighbourProtocol | "dhcp">> = { openArp: "arp", openNd: "ndp", openDhcp: "dhcp" };

export interface KernelTapDeps {
  readonly clock: Pick<Clock, "now">;
  /** A request was refused, or a frame could not be sent. */
  failed(operation: string, code: string): void;
  sent(protocol: NeighbourProtocol, kind: "announcement" | "probe"): void;
}

/** Where the sender's address of an ARP packet is in its frame: all zeros in a probe (RFC 5227 2.1.1). */
const ARP_SENDER = 28;
/** Where the ICMPv6 type is in the frame of a Neighbor Solicitation or Advertisement. */
const ICMPV6_TYPE = 54;
const NEIGHBOR_ADVERTISEMENT = 136;

/** A lifetime that ended so long ago is of no more interest, ms. */
const FORGET_MS = 600_000;

type Call = (...given: unknown[]) => unknown;

/** Listens in on what is asked of the kernel: what fails, what takes long, what is sent, and when lifetimes end. */
export class KernelTap {
  readonly #pending = new Map<number, { readonly operation: string; readonly since: number }>();
  readonly #ends = new Map<string, number>();
  #next = 0;

  constructor(private readonly deps: KernelTapDeps) {}

  /** The same object, overheard. Works for whatever it can do: methods that return promises are requests. */
  tap<T extends object>(target: T): T {
    const known = new Map<PropertyKey, Call>();
    return new Proxy(target, {
      get: (_target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function" || typeof name === "symbol") return typeof value === "function" ? (value.bind(target) as unknown) : value;
        const call = known.get(name) ?? this.#overheard(name, value.bind(target) as Call);
        known.set(name, call);
        return call;
      },
    });
  }

  /** The request that has waited longest for its answer, and for how long; undefined where nothing is under way. */
  oldest(): { readonly operation: string; readonly ms: number } | undefined {
    // In the order of asking.
    for (const { operation, since } of this.#pending.values()) return { operation, ms: this.deps.clock.now() - since };
    return undefined;
  }

  /** When the lifetime of an address ends that was put and not removed since, monotonic ms. */
  endsAt(linkIndex: number, address: IpAddress): number | undefined {
    return this.#ends.get(`${linkIndex}/${address}`);
  }

  #overheard(name: string, call: Call): Call {
    const protocol = PROTOCOLS[name];
    if (protocol !== undefined) return (...given) => this.#socket(call(...given) as FrameSocket, protocol);
    return (...given) => {
      const result = call(...given);
      return result instanceof Promise ? this.#request(name, result, given) : result;
    };
  }

  async #request(operation: string, answer: Promise<unknown>, given: readonly unknown[]): Promise<unknown> {
    const id = (this.#next += 1);
    this.#pending.set(id, { operation, since: this.deps.clock.now() });
    try {
      const result = await answer;
      this.#learn(operation, given[0], result);
      return result;
    } catch (error) {
      // What was called off has not failed.
      if (!isAborted(error)) this.deps.failed(operation, reasonOf(error));
      throw error;
    } finally {
      this.#pending.delete(id);
    }
  }

  #learn(operation: string, given: unknown, result: unknown): void {
    if (operation !== "putAddress" && operation !== "prolongAddress" && operation !== "removeAddress") return;
    const { linkIndex, address } = given as AddressId;
    const key = `${linkIndex}/${address}`;
    // Again at the end of the map, so that its beginning is what was prolonged longest ago.
    this.#ends.delete(key);
    if (operation === "removeAddress") return;
    this.#ends.set(key, result as number);
    // What went with its link is never removed by name.
    for (const [oldest, endsAt] of this.#ends) {
      if (endsAt > this.deps.clock.now() - FORGET_MS) return;
      this.#ends.delete(oldest);
    }
  }

  #socket(socket: FrameSocket, protocol: NeighbourProtocol | "dhcp"): FrameSocket {
    return {
      send: (frame) => {
        try {
          socket.send(frame);
        } catch (error) {
          this.deps.failed(`send ${protocol}`, reasonOf(error));
          throw error;
        }
        if (protocol !== "dhcp") this.deps.sent(protocol, isAnnouncement(protocol, frame) ? "announcement" : "probe");
      },
      [Symbol.asyncDispose]: async () => socket[Symbol.asyncDispose](),
    };
  }
}

/** What we send is either an announcement or a question whether anybody has an address. */
function isAnnouncement(protocol: NeighbourProtocol, frame: Uint8Array): boolean {
  if (protocol === "ndp") return frame[ICMPV6_TYPE] === NEIGHBOR_ADVERTISEMENT;
  return frame[ARP_SENDER] !== 0 || frame[ARP_SENDER + 1] !== 0 || frame[ARP_SENDER + 2] !== 0 || frame[ARP_SENDER + 3] !== 0;
}

function isAborted(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
