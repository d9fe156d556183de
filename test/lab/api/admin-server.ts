import { rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AdminCalls } from "./admin-calls.js";

/** Serves the admin calls on a unix socket: POST /<call> with a JSON list of arguments, answered by the JSON of the result. */
export async function openAdmin(path: string, calls: AdminCalls): Promise<AsyncDisposable> {
  await rm(path, { force: true });
  const server = createServer((request, response) => void answer(calls, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return {
    [Symbol.asyncDispose]: async () =>
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(calls: AdminCalls, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (code: number, value: unknown): void => void response.writeHead(code, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(value ?? null));
  try {
    const parts: Buffer[] = [];
    // Without an encoding set, parts are Buffers.
    for await (const part of request) parts.push(part as Buffer);
    const name = (request.url ?? "/").slice(1);
    if (request.method !== "POST" || !Object.hasOwn(calls, name)) {
      send(404, { error: `no admin call ${request.method ?? ""} ${name}` });
      return;
    }
    const given: unknown = parts.length === 0 ? [] : JSON.parse(Buffer.concat(parts).toString("utf8"));
    const list = Array.isArray(given) ? (given as readonly unknown[]) : [given];
    // The typed client is the only caller: arguments are taken as they come.
    const call = calls[name as keyof AdminCalls] as (...of: readonly unknown[]) => unknown;
    send(200, await call(...list.map((item) => item ?? undefined)));
  } catch (error) {
    send(500, { error: error instanceof Error ? error.message : String(error) });
  }
}
