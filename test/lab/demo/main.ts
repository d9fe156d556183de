// demo.mjs [--keep]: the demo, run inside the lab wrapper by scripts/demo.mjs (see control.ts for what is said between the two).
import { parseArgs } from "node:util";
import { openControl } from "./control.js";
import { keep } from "./keep.js";
import { Stage } from "./stage.js";
import { tell } from "./story.js";

const INTERRUPTED = 130;

async function perform(stage: Stage): Promise<number> {
  const { screen } = stage;
  try {
    await tell(stage);
    screen.say("", screen.paint.green("The demo went well: the VIP answered before and after each failover, on exactly one node."));
    return 0;
  } catch (error) {
    screen.say("", screen.paint.red(`The demo failed: ${error instanceof Error ? error.message : String(error)}`), stage.tails());
    return 1;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
  const stopping = new AbortController();
  const { signal } = stopping;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => stopping.abort());
  const control = openControl(stopping);
  await using stage = new Stage();
  stage.screen.say("", stage.screen.paint.bold("vip: an address that outlives the node which holds it"));
  const stopped = new Promise<number>((resolve) => signal.addEventListener("abort", () => resolve(INTERRUPTED), { once: true }));
  const code = await Promise.race([perform(stage), stopped]);
  if (code === 0 && values.keep) await keep(stage, { control, signal });
  return code;
}

process.exit(await main());
