import { Server } from "node:net";

/** What only the outside of the lab's namespaces knows or has. */
export interface Outside {
  /** A process of these namespaces, by its number outside of them: nsenter's target. */
  readonly pid: number;
  /** A folder that both sides see; the caller removes it. */
  readonly dir: string;
  /** Listens in the network outside. */
  readonly server: Server;
}

/** Takes what scripts/demo.mjs sends over the IPC channel, whose end means stop. Undefined where something else started us. */
export function openControl(stopping: AbortController): Promise<Outside> | undefined {
  if (process.channel === undefined) return undefined;
  process.once("disconnect", () => stopping.abort());
  return new Promise((resolve) => {
    process.once("message", (message, server) => {
      if (server instanceof Server) resolve({ ...(message as Omit<Outside, "server">), server });
    });
  });
}
