import { lastJson } from "./probe.js";
import type { LabContext } from "./context.js";
import { API_NS } from "./topology.js";

/** Whose Service is changed, and by whom. */
export interface HammerOptions {
  readonly service: string;
  readonly kubeconfig: string;
  /** At most so many updates a second. Default 1,000. */
  readonly perSecond?: number;
}

/** What a hammer has done. */
export interface Hammered {
  readonly updates: number;
  readonly ms: number;
}

/** A client that changes one Service again and again. */
export interface Hammer extends AsyncDisposable {
  stop(): Promise<Hammered>;
}

/** Starts a client, in a process of its own, that changes an annotation of one Service through the API as fast as it can. */
export async function hammer(lab: LabContext, { service, kubeconfig, perSecond = 1000 }: HammerOptions): Promise<Hammer> {
  const program = await lab.spawnProgram(API_NS, "hammer", [JSON.stringify({ service, kubeconfig, perSecond })]);
  await program.waitFor(/^ready$/);
  return {
    async stop() {
      await program.stop("SIGINT");
      return lastJson(program) as Hammered;
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
    },
  };
}
