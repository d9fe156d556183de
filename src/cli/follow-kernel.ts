import type { Engine } from "../core/engine.js";
import { messageOf } from "../lib/errors.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Kernel, KernelEvent } from "../ports/kernel.js";
import type { Log } from "../ports/log.js";

export interface FollowDeps {
  readonly kernel: Kernel;
  readonly engine: Pick<Engine, "kernelDump" | "kernelEvent" | "world">;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Following extends AsyncDisposable {
  /** Resolves when the kernel has been read for the first time; rejects where that is impossible. */
  readonly ready: Promise<void>;
}

const RETRY_MS = 1000;

/**
 * Keeps the engine's view of the kernel true: events as they come, everything anew after some were lost, and again while the link of the default
 * route is needed and there is none. One reading at a time; events that come meanwhile are told after it, since they may be newer.
 */
export function followKernel(config: { readonly wantsDefaultLink: boolean }, deps: FollowDeps): Following {
  const { kernel, engine, clock, log } = deps;
  const closing = new AbortController();
  let reading: Promise<void> | undefined;
  let again = false;
  let waiting: KernelEvent[] = [];
  let timer: Timer | undefined;

  const readOnce = async (): Promise<void> => {
    const { signal } = closing;
    const [links, addresses, routes] = await Promise.all([kernel.links(signal), kernel.addresses(signal), kernel.routes(signal)]);
    signal.throwIfAborted();
    engine.kernelDump(links, addresses, routes);
  };
  const later = (): void => {
    timer ??= clock.after(RETRY_MS, () => {
      timer = undefined;
      read();
    });
  };
  const finish = (): void => {
    reading = undefined;
    if (closing.signal.aborted) return;
    const events = waiting;
    waiting = [];
    for (const event of events) engine.kernelEvent(event);
    if (again) read();
    else if (config.wantsDefaultLink && engine.world.defaultLink === undefined) later();
  };
  const read = (): void => {
    again = reading !== undefined;
    reading ??= readOnce()
      .catch((error: unknown) => {
        if (closing.signal.aborted) return;
        log.error("links and addresses not read, tried again", { error: messageOf(error) });
        later();
      })
      .finally(finish);
  };

  const listening = kernel.listen((event) => {
    if (event.type === "overrun") {
      log.warn("kernel events were lost, everything is read again");
      read();
    } else if (reading === undefined) engine.kernelEvent(event);
    else waiting.push(event);
  });
  // The first reading may fail for good (no permission): its error is the caller's.
  const ready = readOnce();
  reading = ready.catch(() => undefined).finally(finish);
  return {
    ready,
    [Symbol.asyncDispose]: async () => {
      closing.abort(new DOMException("closing", "AbortError"));
      timer?.cancel();
      await listening[Symbol.asyncDispose]();
      await reading;
    },
  };
}
