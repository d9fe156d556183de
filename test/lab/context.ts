import type { CommandOptions, Finished } from "./command.js";
import type { LabProcess, SpawnOptions } from "./process.js";
import type { LabNode } from "./topology.js";

/** What the parts of a lab (probes, daemons) use of it. */
export interface LabContext {
  readonly dir: string;
  readonly nodes: readonly LabNode[];
  node(which: string | number): LabNode;
  exec(ns: string, argv: readonly string[], options?: CommandOptions): Promise<Finished>;
  spawn(ns: string, argv: readonly string[], options?: SpawnOptions): Promise<LabProcess>;
  spawnProgram(ns: string, program: string, args: readonly string[], options?: SpawnOptions): Promise<LabProcess>;
  built(name: string): string;
}
