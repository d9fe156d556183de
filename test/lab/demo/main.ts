// demo.mjs [--keep] [--control FD] [--api FD]: the demo, run inside the lab wrapper by scripts/demo.mjs.
// On the control descriptor the caller writes a line of JSON (see keep.ts); its end means stop. On the API descriptor it listens for kubectl.
import { parseArgs } from "node:util";
import { openControl } from "./control.js";
import { keep } from "./keep.js";
import { Stage } from "./stage.js";
import { tell } from "./story.js";

const INTERRUPTED = 130;

async function perform(stage: Stage, keeping: (() => Promise<void>) | undefined): Promise<number> {
  const { screen } = stage;
  try {
    await tell(stage);
    screen.say("", screen.paint.green("The demo went well: the VIP answered before and after each failover, on exactly one node."));
  } catch (error) {
    screen.say("", screen.paint.red(`The demo failed: ${error instanceof Error ? error.message : String(error)}`), stage.tails());
    return 1;
  }
  await keeping?.();
  return 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: "boolean", default: false }, control: { type: "string" }, api: { type: "string" } } });
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => stopping.abort());
  const control = openControl(values.control, stopping);
  await using stage = new Stage();
  stage.screen.say("", stage.screen.paint.bold("vip: an address that outlives the node which holds it"));
  const stopped = new Promise<number>((resolve) => stopping.signal.addEventListener("abort", () => resolve(INTERRUPTED), { once: true }));
  const keeping = values.keep ? async () => await keep(stage, { control, apiFd: Number(values.api), signal: stopping.signal }) : undefined;
  return await Promise.race([perform(stage, keeping), stopped]);
}

process.exit(await main());
