import type { LeaseSeen, LeaseWant } from "../core/model.js";
import { messageOf } from "../lib/errors.js";
import type { IpAddress } from "../lib/ip.js";
import { linkLocalOf } from "../lib/link-local.js";
import { Work } from "../lib/work.js";
import { dhcp6Step } from "../machine/dhcp6-client.js";
import { dhcp6Start, type Dhcp6Action, type Dhcp6ClientConfig, type Dhcp6Event, type Dhcp6Input, type Dhcp6State, type Dhcp6Timing } from "../machine/dhcp6-client-state.js";
import { Drive } from "../machine/drive.js";
import type { Clock } from "../ports/clock.js";
import type { Dhcp6Socket, Dhcp6Sockets } from "../ports/dhcp6.js";
import type { Addresses, Packets } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { encodeDuidUuid } from "../wire/dhcp6/duid.js";
import { decodeDhcp6, encodeDhcp6, type Dhcp6Message } from "../wire/dhcp6/message.js";
import { DecodeError } from "../wire/reader.js";
import { LeaseProbe } from "./lease-probe.js";
import { LeaseStory } from "./lease-story.js";

export interface Lease6ClientConfig {
  readonly timing: Dhcp6Timing;
  readonly duplicateCheck: boolean;
}

export interface Lease6ClientDeps {
  readonly kernel: Packets & Pick<Addresses, "putAddress">;
  readonly sockets: Dhcp6Sockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  changed(seen: LeaseSeen): void;
  dropped?(reason: string): void;
}

/** One address for each client, so its number says nothing. */
const IAID = 1;
const LINK_LOCAL_PREFIX = 64;
/** No mark: the address is no VIP, and goes with its link, which is ours. */
const NO_MARK = 0;

/**
 * One lease of DHCPv6 (machine/dhcp6-client.ts) with its socket. Answers come by unicast to a link-local address, which is put on the link of the lease: it
 * has none by itself. Unlike with DHCPv4 the kernel can do all this, for that address is ours without a lease.
 */
export class Dhcp6LeaseClient implements AsyncDisposable {
  #want: LeaseWant | undefined;
  #machine: Drive<Dhcp6State, Dhcp6Event, Dhcp6Action> | undefined;
  #socket: Dhcp6Socket | undefined;
  /** Messages go out in their order, and the first one opens the socket. */
  #sending: Promise<void> = Promise.resolve();
  readonly #probe: LeaseProbe;
  readonly #story: LeaseStory;
  readonly #closing = new AbortController();
  readonly #released = Promise.withResolvers<void>();
  readonly #work = new Work((error) => {
    // The machine asks again.
    if (!this.#closing.signal.aborted) this.deps.log.warn("dhcp work not done", { error: messageOf(error) });
  });

  constructor(
    private readonly config: Lease6ClientConfig,
    private readonly deps: Lease6ClientDeps,
  ) {
    this.#probe = new LeaseProbe({ ...config, ...deps });
    this.#story = new LeaseStory({ ...deps, changed: (seen) => deps.changed(seen) });
  }

  /** From now on asks for this. The first time it starts; on another link it looks whether the lease is good there. */
  follow(want: LeaseWant): void {
    const before = this.#want;
    this.#want = want;
    if (before === undefined) {
      this.#machine = this.#start(want);
      this.#send({ type: "tick" });
    } else if (before.linkIndex !== want.linkIndex || before.mac !== want.mac) {
      this.#work.add(this.#closeSocket());
      this.#probe.keep(want.linkIndex);
      this.#send({ type: "rejoined" });
    }
  }

  /** Gives the address back to its server. Resolves when the server has heard it, or when it has been told often enough. */
  async release(): Promise<void> {
    if (this.#machine === undefined) return;
    this.#send({ type: "release" });
    await this.#released.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException("closing", "AbortError"));
    this.#machine?.stop();
    this.#released.resolve();
    await this.#work.ended();
    await this.#probe[Symbol.asyncDispose]();
    await this.#closeSocket();
  }

  #start(want: LeaseWant): Drive<Dhcp6State, Dhcp6Event, Dhcp6Action> {
    return new Drive<Dhcp6State, Dhcp6Event, Dhcp6Action>(
      {
        start: dhcp6Start(this.#clientConfig(want)),
        step: (state, event, now) => dhcp6Step(state, event, now, this.#clientConfig(this.#want ?? want)),
        tick: () => ({ type: "tick", random: this.deps.random.float() }),
        act: (action) => this.#act(action),
        moved: (state) => this.#moved(state),
      },
      this.deps.clock,
    );
  }

  #clientConfig({ uuid, hostname, requestedAddress }: LeaseWant): Dhcp6ClientConfig {
    return { duid: encodeDuidUuid(uuid), iaid: IAID, hostname, requestedAddress, timing: this.config.timing };
  }

  #send(event: Dhcp6Input): void {
    this.#machine?.send({ ...event, random: this.deps.random.float() });
  }

  #received(bytes: Uint8Array, from: IpAddress): void {
    try {
      this.#send({ type: "received", message: decodeDhcp6(bytes), from });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#story.drop(`malformed: ${error.code}`, messageOf(error));
    }
  }

  #act(action: Dhcp6Action): void {
    switch (action.type) {
      case "send":
        this.#sending = this.#sending.then(async () => this.#transmit(action.message));
        this.#work.add(this.#sending);
        return;
      case "probe":
        this.#work.add(this.#ask(action.address));
        return;
      case "dropped":
        this.#story.drop(action.reason);
        return;
      default:
        this.#story.note(action, this.#probe.foundAt);
        if (this.#machine !== undefined) this.#moved(this.#machine.state);
    }
  }

  async #transmit(message: Dhcp6Message): Promise<void> {
    if (this.#closing.signal.aborted) return;
    try {
      this.#socket ??= await this.#open();
      await this.#socket.send(encodeDhcp6(message));
      this.deps.log.debug("dhcp sent", { messageType: message.type, xid: message.transactionId });
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      // Sent again by itself, from a socket of its own: the link may be another by then, or the address was taken away.
      this.deps.log.warn("dhcp message not sent", { error: messageOf(error) });
      await this.#closeSocket();
    }
  }

  async #open(): Promise<Dhcp6Socket> {
    const want = this.#want;
    if (want === undefined) throw new Error("nothing is wanted");
    const { iface, linkIndex, mac } = want;
    const address = linkLocalOf(mac);
    const put = { linkIndex, address, prefix: LINK_LOCAL_PREFIX, scope: "link", mark: NO_MARK, validUntil: Infinity } as const;
    await this.deps.kernel.putAddress(put, this.#closing.signal);
    return await this.deps.sockets.open({ iface, address }, (bytes, from) => this.#received(bytes, from));
  }

  async #closeSocket(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    await socket?.[Symbol.asyncDispose]();
  }

  async #ask(address: IpAddress): Promise<void> {
    const want = this.#want;
    if (want === undefined) return;
    this.#send({ type: "probed", address, inUse: await this.#probe.isInUse(address, want, this.#closing.signal) });
  }

  #moved({ phase, lease, sends, seekingSince }: Dhcp6State): void {
    if (phase === "released") this.#released.resolve();
    const mac = this.#want?.mac;
    if (mac === undefined || this.#closing.signal.aborted) return;
    this.#story.show({ phase, mac, lease, sends, seekingSince });
  }
}
