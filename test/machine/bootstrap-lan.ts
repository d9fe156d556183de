import type { MacAddress } from "../../src/lib/mac.js";
import { BOOTSTRAP, bootstrapStart, bootstrapStep, bootstrapUntil, type BootstrapAction, type BootstrapConfig, type BootstrapEvent, type BootstrapState } from "../../src/machine/bootstrap.js";
import { Drive } from "../../src/machine/drive.js";
import { PROBE } from "../../src/machine/probe.js";
import type { FakeClock } from "../fakes/clock.js";

export const CONFIG: BootstrapConfig = { ...BOOTSTRAP, probe: PROBE };

/** A host that has the address, in its kernel or only on paper. */
interface Host {
  readonly mac: MacAddress;
  /** Whether it answers for the address now. */
  has(): boolean;
  hear(mac: MacAddress, asking: boolean): void;
}

/** A LAN on which every frame reaches every other host after a moment, or is lost. */
export class Lan {
  readonly hosts = new Set<Host>();
  /** Frames so far. */
  frames = 0;
  /** Hosts that cannot hear each other. */
  cut: (from: MacAddress, to: MacAddress) => boolean = () => false;
  /** True for each frame that is lost. */
  lost: () => boolean = () => false;

  constructor(readonly clock: FakeClock, private readonly delayMs = 1) {}

  ask(from: Host): void {
    this.#send(from, (to) => {
      to.hear(from.mac, true);
      if (to.has()) this.claim(to, from);
    });
  }

  /** Tells one other host, or all, that the address is here. */
  claim(from: Host, only?: Host): void {
    this.#send(from, (to) => to.hear(from.mac, false), only);
  }

  #send(from: Host, arrive: (to: Host) => void, only?: Host): void {
    this.frames += 1;
    for (const to of only === undefined ? [...this.hosts] : [only]) {
      if (to === from || this.cut(from.mac, to.mac) || this.lost()) continue;
      this.clock.after(this.delayMs, () => arrive(to));
    }
  }
}

type Input = BootstrapEvent extends infer E ? (E extends unknown ? Omit<E, "random"> : never) : never;

/** A node that plays by the rule, with a kernel that has the address a moment after it is to be held. */
export class LanNode implements Host {
  readonly machine: Drive<BootstrapState, BootstrapEvent, BootstrapAction>;
  #holding = false;
  #alive = true;

  constructor(
    private readonly lan: Lan,
    readonly mac: MacAddress,
    private readonly random: () => number,
  ) {
    this.machine = new Drive<BootstrapState, BootstrapEvent, BootstrapAction>(
      {
        start: bootstrapStart(),
        step: (state, event, now) => bootstrapStep(state, event, now, CONFIG),
        tick: () => ({ type: "tick", random: random() }),
        act: (action) => (action.type === "ask" ? lan.ask(this) : lan.claim(this)),
        moved: () => this.#moved(),
      },
      lan.clock,
    );
    lan.hosts.add(this);
  }

  start(): void {
    this.send({ type: "able", able: true });
  }

  send(event: Input): void {
    this.machine.send({ ...event, random: this.random() });
  }

  has(): boolean {
    return this.#alive && this.lan.clock.now() < bootstrapUntil(this.machine.state, CONFIG);
  }

  hear(mac: MacAddress, asking: boolean): void {
    if (this.#alive) this.send({ type: "claimed", mac, own: this.mac, asking });
  }

  /** The power is cut. */
  die(): void {
    this.#alive = false;
    this.machine.stop();
    this.lan.hosts.delete(this);
  }

  /** As ARP mode does: announcements at the take-over. */
  #moved(): void {
    const holding = this.machine.state.phase.name === "holding";
    if (holding && !this.#holding) for (const ms of [0, 50, 200]) this.lan.clock.after(ms, () => this.has() && this.lan.claim(this));
    this.#holding = holding;
  }
}

/** A host that has the address for good, and says so from time to time. */
export class Stranger implements Host {
  constructor(
    private readonly lan: Lan,
    readonly mac: MacAddress,
  ) {
    lan.hosts.add(this);
  }

  has(): boolean {
    return true;
  }

  hear(): void {}

  announce(): void {
    this.lan.claim(this);
  }
}
