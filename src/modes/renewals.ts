import type { Fence } from "../core/mode.js";
import type { OwnershipKey } from "../core/model.js";

interface Waiting {
  readonly ownership: OwnershipKey;
  moved(): void;
  closed(): void;
}

/** For those who need the fence of a key to move on before they can do their work. */
export class Renewals implements Disposable {
  readonly #waiting = new Set<Waiting>();
  readonly #end: () => void;

  constructor(fence: Pick<Fence, "onMoved">) {
    this.#end = fence.onMoved((moved) => {
      for (const one of this.#waiting) if (moved === undefined || one.ownership === moved) one.moved();
    });
  }

  /** Resolves when the fence of this key has moved; rejects with `signal.reason`, or with an AbortError when this is disposed of. */
  async next(ownership: OwnershipKey, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let onAbort: () => void = () => undefined;
    let one: Waiting | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        onAbort = () => reject(signal.reason as Error);
        one = { ownership, moved: resolve, closed: () => reject(new DOMException("closing", "AbortError")) };
        signal.addEventListener("abort", onAbort, { once: true });
        this.#waiting.add(one);
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (one !== undefined) this.#waiting.delete(one);
    }
  }

  [Symbol.dispose](): void {
    this.#end();
    for (const one of this.#waiting) one.closed();
  }
}

/** No whole second was left of a lifetime: the kernel was not asked. */
export function isTooLate(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ETIME";
}
