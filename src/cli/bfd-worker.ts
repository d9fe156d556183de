import { setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { messageOf } from "../lib/errors.js";
import { createClock } from "../linux/clock.js";
import { errnoName } from "../linux/errors.js";
import { createNative, type Native } from "../linux/native.js";
import { createRandom } from "../linux/random.js";
import { createUdp } from "../linux/udp.js";
import { BfdSessions } from "../modes/bfd.js";
import type { BfdReport, BfdSession } from "../ports/bfd.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogFields } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { Udp } from "../ports/udp.js";
import type { FromBfdThread, ToBfdThread } from "./bfd-messages.js";

/** The lowest of the real-time ones: before everything that is not real-time, in whatever container it runs. */
const REALTIME = 1;
/** Nice value, where that is not allowed: before the other threads of this process. */
const NICE = -15;

export interface BfdWorkerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly udp: Udp;
  readonly log: Log;
  post(message: FromBfdThread): void;
}

/** Does what the main thread asks for, and tells it what happens. Returns what takes its messages. */
export function serveBfd(deps: BfdWorkerDeps): (message: ToBfdThread) => void {
  const bfd = new BfdSessions(deps);
  const sessions = new Map<number, BfdSession>();
  const end = async (): Promise<void> => {
    sessions.clear();
    await bfd[Symbol.asyncDispose]();
    deps.post({ type: "ended" });
  };
  return (message) => {
    switch (message.type) {
      case "open": {
        const { id } = message;
        const moved = (report: BfdReport): void => deps.post({ type: "report", id, report, ageMs: deps.clock.now() - report.since });
        sessions.set(id, bfd.openCounted(message, { moved, changed: () => {} }));
        return;
      }
      case "timing":
        sessions.get(message.id)?.setTiming(message.timing);
        return;
      case "close":
        sessions.get(message.id)?.[Symbol.dispose]();
        sessions.delete(message.id);
        return;
      case "end":
        void end();
    }
  };
}

/** The whole of the thread: everything that it has is its own. */
export function runBfdWorker(): void {
  const port = parentPort;
  if (port === null) throw new Error("this runs in a thread of its own");
  const post = (message: FromBfdThread): void => port.postMessage(message);
  const log = logBy(post, {});
  const native = createNative();
  goFirst(native, log);
  const random = createRandom();
  const clock = createClock();
  const udp = createUdp({ native, log, random });
  const take = serveBfd({ clock, random, log, udp, post });
  port.on("message", take);
}

/** Of this thread alone: on Linux both belong to a thread. */
function goFirst(native: Pick<Native, "realtime">, log: Log): void {
  const result = native.realtime(REALTIME);
  if (result >= 0) return;
  log.info("bfd has no real-time priority: a node that is busy may hold it up", { needs: "CAP_SYS_NICE", error: errnoName(-result) });
  try {
    setPriority(0, NICE);
  } catch (error) {
    log.debug("bfd has no priority at all", { error: messageOf(error) });
  }
}

function logBy(post: (message: FromBfdThread) => void, base: LogFields): Log {
  const write =
    (level: "debug" | "info" | "warn" | "error") =>
    (message: string, fields: LogFields = {}): void =>
      post({ type: "log", level, message, fields: { ...base, ...fields } });
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error"), with: (fields) => logBy(post, { ...base, ...fields }) };
}
