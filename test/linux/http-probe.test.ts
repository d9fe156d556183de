import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { messageOf } from "../../src/lib/errors.js";
import { createHttpProbe } from "../../src/linux/http-probe.js";
import { serve } from "../kube/support.js";

const never = new AbortController().signal;

interface TestPort {
  readonly port: number;
  readonly sockets: ReadonlySet<Socket>;
}

/** A server on 127.0.0.1 that does `act` with each connection that has sent something. */
async function listening(act: (socket: Socket) => void): Promise<TestPort> {
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined); // Resets are what this client does.
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => act(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

async function closed({ sockets }: TestPort): Promise<void> {
  await expect.poll(() => sockets.size, { timeout: 2000 }).toBe(0);
}

async function refusalOf(probing: Promise<number>): Promise<string> {
  return await probing.then((status) => `${status}`, messageOf);
}

describe("an HTTP server", () => {
  test.each([200, 204, 302, 404, 503])("that says %d", async (status) => {
    const paths: string[] = [];
    await using server = await serve(({ method, path, headers }, response) => {
      paths.push(`${method} ${path} ${headers.host}`);
      response.writeHead(status).end();
    });
    const port = Number(new URL(server.url).port);
    expect(await createHttpProbe().status(port, never)).toBe(status);
    expect(paths).toEqual([`GET /healthz 127.0.0.1:${port}`]);
    await expect.poll(() => server.sockets.size).toBe(0);
  });

  test.each<readonly [string, readonly string[], number]>([
    ["HTTP/1.0", ["HTTP/1.0 200 OK\r\n\r\n"], 200],
    ["no reason phrase", ["HTTP/1.1 503\r\n\r\n"], 503],
    ["in pieces", ["HT", "TP/1.1 2", "0", "0 OK\r\n"], 200],
  ])("that answers: %s", async (_name, parts, expected) => {
    const server = await listening((socket) => {
      socket.setNoDelay(true);
      let sending = Promise.resolve();
      for (const part of parts) sending = sending.then(async () => new Promise((resolve) => void socket.write(part, () => setImmediate(resolve))));
    });
    expect(await createHttpProbe().status(server.port, never)).toBe(expected);
    await closed(server);
  });

  test("whose body has no end is left after the status", async () => {
    const server = await listening((socket) => {
      const pour = (): void => {
        while (!socket.destroyed && socket.write("x".repeat(1000)));
        socket.once("drain", pour);
      };
      socket.write("HTTP/1.1 200 OK\r\n\r\n", pour);
    });
    expect(await createHttpProbe().status(server.port, never)).toBe(200);
    await closed(server);
  });
});

describe("no HTTP answer", () => {
  test("a port on which nobody listens", async () => {
    const message = await refusalOf(createHttpProbe().status(1, never));
    expect(message).toBe("GET http://127.0.0.1:1/healthz: connect ECONNREFUSED 127.0.0.1:1");
  });

  test.each<readonly [string, (socket: Socket) => void, string]>([
    ["closed without a word", (socket) => void socket.end(), "closed without an answer"],
    ["closed in the middle of the line", (socket) => void socket.end("HTTP/1.1 20"), "closed without an answer"],
    ["another protocol", (socket) => void socket.write("SSH-2.0-OpenSSH_9.2\r\n"), "no HTTP answer"],
    ["a status that is none", (socket) => void socket.write("HTTP/1.1 2000 OK\r\n"), "no HTTP answer"],
    ["a line without an end", (socket) => void socket.write("x".repeat(5000)), "no HTTP answer"],
  ])("%s", async (_name, act, expected) => {
    const server = await listening(act);
    expect(await refusalOf(createHttpProbe().status(server.port, never))).toBe(`GET http://127.0.0.1:${server.port}/healthz: ${expected}`);
    await closed(server);
  });

  test("a reset", async () => {
    const server = await listening((socket) => void socket.resetAndDestroy());
    expect(await refusalOf(createHttpProbe().status(server.port, never))).toContain("ECONNRESET");
  });

  test("silence ends with the signal, by its reason, and the connection with it", async () => {
    let asked = 0;
    const server = await listening(() => void (asked += 1));
    const abort = new AbortController();
    const probing = createHttpProbe().status(server.port, abort.signal);
    await expect.poll(() => asked).toBe(1);
    const reason = new Error("too late");
    abort.abort(reason);
    await expect(probing).rejects.toBe(reason);
    await expect(createHttpProbe().status(server.port, abort.signal)).rejects.toBe(reason);
    await closed(server);
    expect(asked).toBe(1);
  });
});
