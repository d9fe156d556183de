import { messageOf } from "../lib/errors.js";
import { Drive } from "../machine/drive.js";
import { pcpExchangeStart, pcpExchangeStep, type PcpExchangeAction, type PcpExchangeEvent, type PcpPace } from "../machine/pcp-exchange.js";
import type { PcpPath, PcpSockets } from "../ports/pcp.js";
import { DecodeError } from "../wire/reader.js";
import { RouterError, type RouterDeps } from "./upnp-router.js";

export interface PcpExchangeDeps extends RouterDeps {
  readonly pcp: PcpSockets;
}

/** A request, and what counts as its answer. */
export interface PcpAsk<T> {
  readonly path: PcpPath;
  readonly pace: PcpPace;
  /** All are sent each time: of several dialects one may be understood. */
  readonly datagrams: readonly Uint8Array[];
  /** Undefined for what answers something else. May throw DecodeError. */
  readonly accept: (bytes: Uint8Array) => T | undefined;
}

/** Asks until there is an answer, on a socket of its own. Throws RouterError `timeout` or `network`, or the reason of `signal`. */
export async function exchange<T>({ path, pace, datagrams, accept }: PcpAsk<T>, deps: PcpExchangeDeps, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = deferred<T>();
  // It may fail before it is waited for.
  promise.catch(() => undefined);
  const failed = (error: unknown): void => reject(new RouterError("network", messageOf(error), { cause: error }));
  const aborted = (): void => reject(signal.reason);
  const received = (bytes: Uint8Array): void => {
    try {
      const answer = accept(bytes);
      if (answer !== undefined) resolve(answer);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      deps.refused("datagram");
    }
  };
  signal.throwIfAborted();
  await using socket = await deps.pcp.connect(path, { received, failed }, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new RouterError("network", messageOf(error), { cause: error });
  });
  const send = async (): Promise<void> => {
    for (const bytes of datagrams) await socket.send(bytes, signal);
  };
  const drive = new Drive(
    {
      start: pcpExchangeStart(),
      step: (state, event: PcpExchangeEvent, now) => pcpExchangeStep(state, event, now, pace),
      tick: (): PcpExchangeEvent => ({ type: "tick", random: deps.random.float() }),
      act: ({ type }: PcpExchangeAction) => {
        if (type === "send") void send().catch(failed);
        else reject(new RouterError("timeout", `no answer of ${path.to} to ${path.from}`));
      },
      moved: () => undefined,
    },
    deps.clock,
  );
  signal.addEventListener("abort", aborted);
  if (signal.aborted) aborted();
  else drive.send({ type: "tick", random: deps.random.float() });
  try {
    return await promise;
  } finally {
    drive.stop();
    signal.removeEventListener("abort", aborted);
  }
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
