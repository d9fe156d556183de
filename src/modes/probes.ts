import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import { Drive } from "../machine/drive.js";
import { PROBE, probeStart, probeStep, type ProbeAction, type ProbeEvent, type ProbeOutcome, type ProbeState } from "../machine/probe.js";
import type { Clock } from "../ports/clock.js";
import { protocolFor, type Claim } from "./neighbour.js";

export interface ProbesDeps {
  readonly clock: Clock;
  /** Sends the question for this address. May throw. */
  ask(linkIndex: number, address: IpAddress, mac: MacAddress): void;
}

export interface ProbeTarget {
  readonly linkIndex: number;
  readonly address: IpAddress;
  /** Of our own link: the sender of the questions. */
  readonly mac: MacAddress;
}

interface Running {
  readonly target: ProbeTarget;
  readonly machine: Drive<ProbeState, ProbeEvent, ProbeAction>;
  readonly end: (outcome: ProbeOutcome | undefined, error?: unknown) => void;
}

/** Probes under way (machine/probe.ts), any number at once. */
export class Probes implements Disposable {
  readonly #running = new Set<Running>();

  constructor(private readonly deps: ProbesDeps) {}

  /** Asks the link whether somebody has the address. Rejects with the reason of the signal, or with what the socket said. */
  async run(target: ProbeTarget, signal: AbortSignal): Promise<ProbeOutcome> {
    signal.throwIfAborted();
    const outcome = Promise.withResolvers<ProbeOutcome>();
    const machine: Running["machine"] = new Drive<ProbeState, ProbeEvent, ProbeAction>(
      {
        start: probeStart(),
        step: (state, event, now) => probeStep(state, event, now, PROBE),
        tick: () => ({ type: "tick" }),
        act: (action) => this.#act(running, action),
        moved: () => undefined,
      },
      this.deps.clock,
    );
    const running: Running = {
      target,
      machine,
      end: (result, error) => (result === undefined ? outcome.reject(error) : outcome.resolve(result)),
    };
    const abort = (): void => running.end(undefined, signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#running.add(running);
    try {
      machine.send({ type: "tick" });
      return await outcome.promise;
    } finally {
      machine.stop();
      this.#running.delete(running);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Somebody else claims something on a link. */
  claimed(linkIndex: number, { address, mac }: Claim): void {
    for (const { target, machine } of this.#running) {
      if (target.linkIndex !== linkIndex) continue;
      if (target.address === address) machine.send({ type: "claimed", mac });
      else if (protocolFor(target.address).impossible === address) machine.send({ type: "canaryClaimed", mac });
    }
  }

  [Symbol.dispose](): void {
    for (const running of this.#running) running.end(undefined, new DOMException("closing", "AbortError"));
  }

  #act(running: Running, action: ProbeAction): void {
    const { linkIndex, address, mac } = running.target;
    try {
      if (action.type === "done") running.end(action.outcome);
      else this.deps.ask(linkIndex, action.type === "ask" ? address : protocolFor(address).impossible, mac);
    } catch (error) {
      running.end(undefined, error);
    }
  }
}
