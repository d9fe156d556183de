import type { Fence } from "../../src/core/mode.js";
import type { OwnershipKey } from "../../src/core/model.js";
import type { Clock } from "../../src/ports/clock.js";

/** A fence that was renewed when the test says so; timings 5/3/1. */
export class FakeFence implements Fence {
  #renewedAt: number | undefined;
  /** What `confirm` answers. */
  verdict: Promise<boolean> = Promise.resolve(true);
  asked = 0;
  leaving = false;
  readonly #listeners = new Set<(ownership: OwnershipKey | undefined) => void>();

  constructor(private readonly clock: Clock) {}

  /** `told`: what listeners hear has moved; undefined: any key may have. */
  renew(told: { readonly moved: OwnershipKey | undefined } = { moved: "services" }): void {
    this.#renewedAt = this.clock.now();
    for (const listener of this.#listeners) listener(told.moved);
  }

  lose(): void {
    this.#renewedAt = undefined;
  }

  heldUntil(): number {
    return this.#renewedAt === undefined ? 0 : this.#renewedAt + 3000;
  }

  kernelDeadline(): number {
    return this.clock.now() < this.heldUntil() && this.#renewedAt !== undefined ? this.#renewedAt + 3300 : 0;
  }

  mayAnnounce(): boolean {
    return this.clock.now() < this.heldUntil() && !this.leaving;
  }

  async confirm(): Promise<boolean> {
    this.asked += 1;
    return this.verdict;
  }

  onMoved(listener: (ownership: OwnershipKey | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}
