import type { LeaseSeen, LeaseWant } from "../core/model.js";
import { messageOf } from "../lib/errors.js";
import type { IpAddress } from "../lib/ip.js";
import { BROADCAST_MAC, macToBytes } from "../lib/mac.js";
import { Work } from "../lib/work.js";
import { dhcpStep } from "../machine/dhcp-client.js";
import { dhcpStart, type DhcpAction, type DhcpClientConfig, type DhcpEvent, type DhcpInput, type DhcpState, type DhcpTiming } from "../machine/dhcp-client-state.js";
import { Drive } from "../machine/drive.js";
import type { Clock } from "../ports/clock.js";
import type { FrameSocket, Packets } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { decodeClientFrame, encodeClientFrame } from "../wire/dhcp/frame.js";
import { DecodeError } from "../wire/reader.js";
import { LeaseProbe } from "./lease-probe.js";
import { LeaseStory } from "./lease-story.js";

export interface LeaseClientConfig {
  readonly timing: DhcpTiming;
  readonly vendorClass: string;
  readonly duplicateCheck: boolean;
}

export interface LeaseClientDeps {
  readonly kernel: Packets;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  changed(seen: LeaseSeen): void;
  dropped?(reason: string): void;
}

/** Option 61, RFC 2132 9.14: the type of the hardware and its address. */
const HARDWARE_ETHERNET = 1;

type Machine = Drive<DhcpState, DhcpEvent, DhcpAction>;

/**
 * One lease (machine/dhcp-client.ts) with its sockets. All messages are frames from a packet socket on the link of the lease: a UDP socket would need the
 * address on the link before it is ours, and would send by the link that has the route, with the MAC of that one.
 */
export class DhcpLeaseClient implements AsyncDisposable {
  #want: LeaseWant | undefined;
  #machine: Machine | undefined;
  #socket: FrameSocket | undefined;
  readonly #probe: LeaseProbe;
  readonly #story: LeaseStory;
  readonly #closing = new AbortController();
  readonly #work = new Work((error) => {
    // The machine asks again.
    if (!this.#closing.signal.aborted) this.deps.log.warn("dhcp work not done", { error: messageOf(error) });
  });

  constructor(
    private readonly config: LeaseClientConfig,
    private readonly deps: LeaseClientDeps,
  ) {
    this.#probe = new LeaseProbe({ ...config, ...deps });
    this.#story = new LeaseStory({ ...deps, changed: (seen) => deps.changed(seen) });
  }

  /** From now on asks for this. The first time it starts; on another link it looks whether the lease is good there. Throws what the kernel says. */
  follow(want: LeaseWant): void {
    const before = this.#want;
    this.#want = want;
    if (this.#socket !== undefined && before?.linkIndex !== want.linkIndex) {
      this.#work.add(this.#close(this.#socket));
      this.#socket = undefined;
      this.#probe.keep(want.linkIndex);
    }
    this.#socket ??= this.deps.kernel.openDhcp(want.linkIndex, (frame) => this.#received(frame));
    if (this.#machine === undefined) {
      this.#machine = this.#start(want);
      this.#send({ type: "tick" });
    } else if (before?.linkIndex !== want.linkIndex || before.mac !== want.mac) this.#send({ type: "rejoined" });
  }

  /** Gives the address back to its server. */
  release(): void {
    this.#send({ type: "release" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException("closing", "AbortError"));
    this.#machine?.stop();
    await this.#work.ended();
    await this.#probe[Symbol.asyncDispose]();
    await this.#socket?.[Symbol.asyncDispose]();
  }

  #start(want: LeaseWant): Machine {
    const { clock } = this.deps;
    return new Drive<DhcpState, DhcpEvent, DhcpAction>(
      {
        start: dhcpStart(this.#clientConfig(want)),
        step: (state, event, now) => dhcpStep(state, event, now, this.#clientConfig(this.#want ?? want)),
        tick: () => ({ type: "tick", random: this.deps.random.float() }),
        act: (action) => this.#act(action),
        moved: (state) => this.#moved(state),
      },
      clock,
    );
  }

  #clientConfig({ mac, hostname, broadcast, requestedAddress }: LeaseWant): DhcpClientConfig {
    const { vendorClass, timing } = this.config;
    return { mac, clientId: Uint8Array.of(HARDWARE_ETHERNET, ...macToBytes(mac)), hostname, vendorClass, broadcast, requestedAddress, timing };
  }

  #send(event: DhcpInput): void {
    this.#machine?.send({ ...event, random: this.deps.random.float() });
  }

  #received(bytes: Uint8Array): void {
    try {
      const { message, source } = decodeClientFrame(bytes);
      this.#send({ type: "received", message, from: source });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#story.drop("malformed", messageOf(error));
    }
  }

  #act(action: DhcpAction): void {
    switch (action.type) {
      case "send":
        this.#transmit(action);
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

  #transmit({ message, path }: Extract<DhcpAction, { readonly type: "send" }>): void {
    const { mac } = this.#want ?? {};
    if (mac === undefined) return;
    const { sourceIp, destinationIp } = path;
    const destination = path.via === "unicast" ? (path.nextHop ?? BROADCAST_MAC) : BROADCAST_MAC;
    try {
      this.#socket?.send(encodeClientFrame({ source: mac, destination, sourceIp, destinationIp, message }));
      this.deps.log.debug("dhcp sent", { messageType: message.options.messageType, xid: message.xid, via: path.via });
    } catch (error) {
      // Sent again by itself.
      this.deps.log.warn("dhcp message not sent", { error: messageOf(error) });
    }
  }

  async #ask(address: IpAddress): Promise<void> {
    const want = this.#want;
    if (want === undefined) return;
    this.#send({ type: "probed", address, inUse: await this.#probe.isInUse(address, want, this.#closing.signal) });
  }

  async #close(socket: FrameSocket): Promise<void> {
    await socket[Symbol.asyncDispose]();
  }

  #moved({ phase, lease, sends, seekingSince }: DhcpState): void {
    const mac = this.#want?.mac;
    if (mac === undefined || this.#closing.signal.aborted) return;
    this.#story.show({ phase, mac, lease, sends, seekingSince });
  }
}
