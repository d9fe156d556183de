import type { LeaseSeen, LeaseTrouble, LeaseWant } from "../core/model.js";
import { messageOf } from "../lib/errors.js";
import type { IpAddress } from "../lib/ip.js";
import { BROADCAST_MAC, macToBytes, type MacAddress } from "../lib/mac.js";
import { dhcpStep } from "../machine/dhcp-client.js";
import { dhcpStart, type DhcpAction, type DhcpClientConfig, type DhcpEvent, type DhcpInput, type DhcpState, type DhcpTiming } from "../machine/dhcp-client-state.js";
import { Drive } from "../machine/drive.js";
import type { Clock } from "../ports/clock.js";
import type { FrameSocket, Packets } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { decodeClientFrame, encodeClientFrame } from "../wire/dhcp/frame.js";
import { DecodeError } from "../wire/reader.js";
import { Listeners } from "./listeners.js";
import { Probes } from "./probes.js";

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
/** Not for us: ordinary on a link with other clients. */
const ORDINARY: ReadonlySet<string> = new Set(["notAReply", "otherHardware", "otherTransaction", "otherClient"]);

type Machine = Drive<DhcpState, DhcpEvent, DhcpAction>;

/**
 * One lease (machine/dhcp-client.ts) with its sockets. All messages are frames from a packet socket on the link of the lease: a UDP socket would need the
 * address on the link before it is ours, and would send by the link that has the route, with the MAC of that one.
 */
export class DhcpLeaseClient implements AsyncDisposable {
  #want: LeaseWant | undefined;
  #machine: Machine | undefined;
  #socket: FrameSocket | undefined;
  #trouble: LeaseTrouble | undefined;
  #shown: LeaseSeen | undefined;
  readonly #listeners: Listeners;
  readonly #probes: Probes;
  readonly #closing = new AbortController();
  readonly #work = new Set<Promise<void>>();

  constructor(
    private readonly config: LeaseClientConfig,
    private readonly deps: LeaseClientDeps,
  ) {
    const { kernel, clock } = deps;
    this.#listeners = new Listeners({
      kernel,
      claimed: (linkIndex, claim) => {
        // Another node of ours has the same MAC until it has let go.
        if (claim.mac !== this.#want?.mac) this.#probes.claimed(linkIndex, claim);
      },
    });
    this.#probes = new Probes({ clock, ask: (linkIndex, address, mac) => this.#listeners.ask(linkIndex, address, mac) });
  }

  /** From now on asks for this. The first time it starts; on another link it looks whether the lease is good there. Throws what the kernel says. */
  follow(want: LeaseWant): void {
    const before = this.#want;
    this.#want = want;
    if (this.#socket !== undefined && before?.linkIndex !== want.linkIndex) {
      this.#track(this.#close(this.#socket));
      this.#socket = undefined;
      this.#listeners.keep(new Set([want.linkIndex]));
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
    this.#probes[Symbol.dispose]();
    await Promise.allSettled(this.#work);
    await this.#listeners[Symbol.asyncDispose]();
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
      this.#drop("malformed", messageOf(error));
    }
  }

  #act(action: DhcpAction): void {
    const { log } = this.deps;
    switch (action.type) {
      case "send":
        this.#transmit(action);
        return;
      case "probe":
        this.#track(this.#probe(action.address));
        return;
      case "lease": {
        const { address, server, expiresAt } = action.lease;
        const fresh = this.#shown?.lease?.address !== address;
        this.#trouble = undefined;
        log[fresh ? "info" : "debug"](fresh ? "dhcp lease" : "dhcp lease renewed", { address, server, seconds: Math.round((expiresAt - this.deps.clock.now()) / 1000) });
        break;
      }
      case "lost":
        log[action.reason === "released" ? "info" : "warn"]("dhcp lease lost", { address: action.address, reason: action.reason });
        this.#trouble = { type: "lost", address: action.address, reason: action.reason };
        break;
      case "refused":
        log.warn("dhcp server refuses", { server: action.server, text: action.text });
        this.#trouble = { type: "refused", server: action.server, text: action.text };
        break;
      case "declined":
        log.warn("dhcp address declined, it is in use", { address: action.address, server: action.server });
        this.#trouble = { type: "declined", address: action.address, server: action.server, by: this.#foundAt };
        break;
      case "dropped":
        if (!ORDINARY.has(action.reason)) this.#drop(action.reason);
        return;
    }
    if (this.#machine !== undefined) this.#moved(this.#machine.state);
  }

  #foundAt: MacAddress | undefined;

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

  async #probe(address: IpAddress): Promise<void> {
    const want = this.#want;
    if (want === undefined) return;
    const { linkIndex, mac } = want;
    let inUse = false;
    // What a node of ours announced a moment ago may still be there, and its other links answer for it, too.
    if (this.config.duplicateCheck && want.known?.includes(address) === false) {
      this.#listeners.listen(linkIndex, address);
      const outcome = await this.#probes.run({ linkIndex, address, mac }, this.#closing.signal);
      // Who answers for every address keeps the server from giving any.
      inUse = outcome.type === "inUse" && !outcome.proxy;
      this.#foundAt = outcome.type === "inUse" ? outcome.mac : undefined;
    }
    this.#send({ type: "probed", address, inUse });
  }

  async #close(socket: FrameSocket): Promise<void> {
    await socket[Symbol.asyncDispose]();
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => {
        // The machine asks again.
        if (!this.#closing.signal.aborted) this.deps.log.warn("dhcp work not done", { error: messageOf(error) });
      })
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }

  #drop(reason: string, detail?: string): void {
    this.deps.log.debug("dhcp message dropped", { reason, ...(detail !== undefined && { detail }) });
    this.deps.dropped?.(reason);
  }

  #moved({ phase, lease, sends, seekingSince }: DhcpState): void {
    const mac = this.#want?.mac;
    if (mac === undefined || this.#closing.signal.aborted) return;
    const seen: LeaseSeen = { phase, mac, lease, sends, seekingSince, trouble: this.#trouble };
    const before = this.#shown;
    this.#shown = seen;
    const same =
      before !== undefined && before.phase === phase && before.mac === mac && before.lease === lease && before.sends === sends && before.seekingSince === seekingSince && before.trouble === seen.trouble;
    if (!same) this.deps.changed(seen);
  }
}
