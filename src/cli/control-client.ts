import { readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { messageOf } from "../lib/errors.js";
import { CONTROL_DIRECTORY } from "./control-socket.js";
import { EXIT, type CommandIo, type OutputFormat } from "./io.js";

const TIMEOUT_MS = 5000;

/** Where commands look for daemons. */
export interface ControlPlace {
  /** One socket, instead of all of the directory. */
  readonly socket?: string | undefined;
  /** Default /run/vip. */
  readonly directory?: string | undefined;
}

/** What one daemon said. */
export interface ControlAnswer {
  readonly socket: string;
  readonly status: number;
  readonly body: unknown;
}

/** Nobody answers. The message says where we looked and what to do. */
export class NoDaemon extends Error {
  readonly code = "noDaemon";
  constructor(place: string, tried: readonly string[]) {
    const seen = tried.length === 0 ? `there is no vip*.sock in ${place}` : tried.join("; ");
    super(
      `no vip answers here: ${seen}\n` +
        "Is vip running on this node? Where it runs as a pod, ask inside of it:\n" +
        "  kubectl -n kube-system exec <pod of vip on the node> -- vip status\n" +
        "or ask the API instead, from anywhere: vip status --cluster",
    );
    this.name = "NoDaemon";
  }
}

/** Asks every daemon of this node. Throws NoDaemon where none answers. */
export async function askDaemons(path: string, place: ControlPlace, method: "GET" | "POST" = "GET"): Promise<readonly ControlAnswer[]> {
  const directory = place.directory ?? CONTROL_DIRECTORY;
  const sockets = place.socket === undefined ? socketsOf(directory) : [place.socket];
  const answers: ControlAnswer[] = [];
  const tried: string[] = [];
  for (const outcome of await Promise.all(sockets.map(async (socket) => askOne(socket, path, method)))) {
    if (typeof outcome === "string") tried.push(outcome);
    else answers.push(outcome);
  }
  if (answers.length === 0) throw new NoDaemon(place.socket ?? directory, tried);
  return answers;
}

/** Tells an error in the format that was asked for; the exit code for it. */
export function saidError(error: unknown, output: OutputFormat, io: CommandIo): number {
  if (output === "json") io.out(JSON.stringify({ error: messageOf(error) }, undefined, 2));
  else io.err(error instanceof NoDaemon ? error.message : `vip: ${messageOf(error)}`);
  return EXIT.error;
}

/** The body of an answer, as this version of the program makes it; anything but 200 is an error of the daemon. */
export function bodyOf({ socket, status, body }: ControlAnswer): unknown {
  if (status === 200) return body;
  const text = typeof body === "object" && body !== null && "error" in body ? String(body.error) : JSON.stringify(body);
  throw new Error(`${socket}: ${status}: ${text}`);
}

function socketsOf(directory: string): readonly string[] {
  try {
    const names = readdirSync(directory).filter((name) => /^vip(-\d+)?\.sock$/.test(name));
    return names.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1)).map((name) => join(directory, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** The answer, or why there is none. */
async function askOne(socket: string, path: string, method: string): Promise<ControlAnswer | string> {
  try {
    const { status, text } = await get(socket, path, method);
    return { socket, status, body: parsed(text) };
  } catch (error) {
    return `${socket}: ${messageOf(error)}`;
  }
}

async function get(socketPath: string, path: string, method: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method, agent: false, timeout: TIMEOUT_MS }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject).on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }));
    });
    asked.on("timeout", () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    asked.on("error", reject).end();
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error("the answer is not JSON", { cause: error });
  }
}
