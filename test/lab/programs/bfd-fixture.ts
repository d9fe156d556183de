// One BFD session, as the executable runs it: in a thread whose program is the file WORKER. Prints a line of JSON for each change of its state, and
// says AdminDown on SIGTERM. Usage: bfd-fixture WORKER '{"target":...,"timing":...}' [SPIN_MS]
// With SPIN_MS the main thread computes for so long, lets others in for a moment, and so on.
import { readFileSync } from "node:fs";
import { startBfdThread } from "../../../src/cli/bfd.js";
import { BfdThread } from "../../../src/cli/bfd-thread.js";
import type { BfdTiming } from "../../../src/lib/bgp-peer.js";
import { createClock } from "../../../src/linux/clock.js";
import type { BfdTarget } from "../../../src/ports/bfd.js";
import type { Log } from "../../../src/ports/log.js";

const [, , worker = "", text = "{}", spin = "0"] = process.argv;
const { target, timing } = JSON.parse(text) as { readonly target: BfdTarget; readonly timing: BfdTiming };
const clock = createClock();
const say = (line: Readonly<Record<string, unknown>>): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const write =
  (level: string) =>
  (message: string, fields = {}): void =>
    say({ level, message, ...fields });
const log: Log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error"), with: () => log };

const source = readFileSync(worker, "utf8");
const bfd = new BfdThread({ clock, log, start: (listener) => startBfdThread(source, listener) });
const session = bfd.open(target, timing, (report) => say({ report }));
let stopped = false;
let turns = 0;

function turn(): void {
  if (stopped) return;
  const until = clock.now() + Number(spin);
  while (clock.now() < until);
  turns += 1;
  say({ turns });
  setImmediate(turn);
}

if (spin !== "0") turn();
process.once("SIGTERM", () => {
  stopped = true;
  say({ last: session.report() });
  void bfd[Symbol.asyncDispose]().then(() => say({ ended: true }));
});
