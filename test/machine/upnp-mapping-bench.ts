import type { StepResult } from "../../src/machine/step.js";
import {
  UPNP_TIMING,
  upnpMappingStart,
  type UpnpMappingAction,
  type UpnpMappingConfig,
  type UpnpMappingEvent,
  type UpnpMappingState,
  type UpnpRefusal,
} from "../../src/machine/upnp-mapping-state.js";
import { upnpMappingStep } from "../../src/machine/upnp-mapping.js";
import { TimedBench } from "./timed-bench.js";

const CONFIG: UpnpMappingConfig = { externalPort: 8080, leaseSeconds: 600, anyPort: true, timing: UPNP_TIMING };
export const IGD2 = { id: "igd2", choosesPort: true };
export const IGD1 = { id: "igd1", choosesPort: false };

type Input<T> = T extends unknown ? Omit<T, "random"> : never;

/** The machine of one mapping with its clock. `random` is 0: no jitter. */
export class Bench extends TimedBench<Input<UpnpMappingEvent>, UpnpMappingAction> {
  state: UpnpMappingState = upnpMappingStart();

  constructor(
    private readonly changes: Partial<UpnpMappingConfig> = {},
    override readonly random = 0,
  ) {
    super();
  }

  protected step(event: Input<UpnpMappingEvent>): StepResult<UpnpMappingState, UpnpMappingAction> {
    const result = upnpMappingStep(this.state, { ...event, random: this.random }, this.now, { ...CONFIG, ...this.changes });
    this.state = result.state;
    return result;
  }

  protected did(action: UpnpMappingAction): string {
    return shown(action);
  }

  /** The request under way is answered. */
  mapped(externalPort = 8080, leaseSeconds?: number): this {
    return this.send({ type: "mapped", id: this.asked(), externalPort, leaseSeconds: leaseSeconds ?? undefined });
  }

  refused(refusal: UpnpRefusal, code = 718, text = "ConflictInMappingEntry"): this {
    return this.send({ type: "refused", id: this.asked(), refusal, code, text, againSeconds: undefined });
  }

  failed(reason = "timeout"): this {
    return this.send({ type: "failed", id: this.asked(), reason });
  }

  unmapped(): this {
    return this.send({ type: "unmapped", id: this.asked() });
  }

  down(searching = false): this {
    return this.send({ type: "down", searching });
  }

  private asked(): number {
    if (this.state.request === undefined) throw new Error("nothing was asked");
    return this.state.request.id;
  }

  static asking(changes: Partial<UpnpMappingConfig> = {}, gateway = IGD2): Bench {
    return new Bench(changes).send({ type: "gateway", gateway });
  }

  /** Mapped and confirmed at 0, until 600 s. */
  static mapped(changes: Partial<UpnpMappingConfig> = {}, gateway = IGD2): Bench {
    const bench = Bench.asking(changes, gateway).mapped().send({ type: "restarted" }).mapped();
    bench.news();
    return bench;
  }
}

function shown(action: UpnpMappingAction): string {
  switch (action.type) {
    case "map":
      return `map ${action.externalPort}${action.anyPort ? " or another" : ""} for ${action.leaseSeconds}`;
    case "unmap":
      return `unmap ${action.externalPort}${action.sure ? "" : " if it is ours"}`;
    case "cancel":
      return `cancel ${action.id}`;
  }
}
