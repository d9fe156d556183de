import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.js";
import type { LabContext } from "./context.js";
import { waitFor } from "./wait.js";

/** BIRD 2 in a namespace of a lab. */
export interface BirdDaemon {
  /** What birdc answers to this command. */
  ctl(command: string): Promise<string>;
  /** Another configuration, without a restart; throws where BIRD does not take it. */
  configure(config: string): Promise<void>;
}

export interface BirdOptions {
  readonly ns: string;
  /** That of its files. */
  readonly name?: string;
  readonly config: string;
  /** What starts it, such as `nice`. */
  readonly first?: readonly string[];
}

/** Starts BIRD in a namespace (a node's name, `lab-rt`, `client`); it ends with the lab. */
export async function startBird(lab: LabContext, { ns, name = `bird-${ns}`, config, first = [] }: BirdOptions): Promise<BirdDaemon> {
  const file = join(lab.dir, name);
  writeFileSync(`${file}.conf`, config);
  const daemon = await lab.spawn(ns, [...first, "bird", "-f", "-c", `${file}.conf`, "-s", `${file}.ctl`, "-P", `${file}.pid`], { name });
  // Its socket is a file: birdc needs no namespace.
  const ctl = async (command: string): Promise<string> => (await run(["birdc", "-s", `${file}.ctl`, command])).stdout;
  await waitFor(async () => daemon.ended !== undefined || (await ctl("show status")).includes("up and running"), 10_000, `BIRD in ${ns}`);
  if (daemon.ended !== undefined) throw new Error(`BIRD in ${ns} does not start: ${daemon.tail()}`);
  return {
    ctl,
    async configure(next) {
      writeFileSync(`${file}.conf`, next);
      const said = await ctl("configure");
      if (!/Reconfigur|Reconfiguration in progress/.test(said)) throw new Error(`BIRD in ${ns} did not take ${next}: ${said}`);
    },
  };
}
