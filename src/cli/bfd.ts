import { getAsset, isSea } from "node:sea";
import { Worker } from "node:worker_threads";
import { messageOf } from "../lib/errors.js";
import { BfdSessions } from "../modes/bfd.js";
import type { Bfd } from "../ports/bfd.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { Udp } from "../ports/udp.js";
import { BfdThread, type BfdThreadHandle, type BfdThreadListener } from "./bfd-thread.js";

/** The program of the thread, as build.mjs puts it into the executable. */
const ASSET = "bfd-worker.cjs";
/** A few sessions need little; what a thread may grow to, MB. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 } as const;

export interface BfdDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly udp: Udp;
}

/** BFD in a thread of its own in the executable; run from its sources, in this one. */
export function createBfd(deps: BfdDeps): Bfd {
  if (!isSea()) return new BfdSessions(deps);
  return new BfdThread({ ...deps, start: (listener) => startBfdThread(getAsset(ASSET, "utf8"), listener) });
}

/** Starts the thread from the text of its program. */
export function startBfdThread(source: string, listener: BfdThreadListener): BfdThreadHandle {
  const worker = new Worker(source, { eval: true, name: "vip-bfd", argv: [], env: {}, resourceLimits: LIMITS });
  let wanted = true;
  let why = "exit";
  worker.on("message", (message) => listener.message(message as Parameters<BfdThreadListener["message"]>[0]));
  worker.once("error", (error) => {
    why = messageOf(error);
  });
  worker.once("exit", () => {
    if (wanted) listener.failed(why);
  });
  return {
    post: (message) => worker.postMessage(message, []),
    end: async () => {
      wanted = false;
      await worker.terminate();
    },
  };
}
