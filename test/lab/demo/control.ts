import { Socket } from "node:net";

/** What only the outside of the lab's namespaces knows. */
export interface Outside {
  /** A process of these namespaces, by its number outside of them: nsenter's target. */
  readonly pid: number;
  /** A folder that both sides see; the caller removes it. */
  readonly dir: string;
}

/** Reads what the caller says on a descriptor: one line of JSON, and an end that means stop. Undefined where there is no caller. */
export function openControl(fd: string | undefined, stopping: AbortController): Promise<Outside> | undefined {
  if (fd === undefined) return undefined;
  return new Promise((resolve) => {
    let text = "";
    const socket = new Socket({ fd: Number(fd), readable: true, writable: false });
    socket.on("data", (part: Buffer) => {
      text += part.toString();
      if (text.endsWith("\n")) resolve(JSON.parse(text) as Outside);
    });
    socket.on("error", () => stopping.abort());
    socket.on("close", () => stopping.abort());
  });
}
