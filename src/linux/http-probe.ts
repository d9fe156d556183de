import net from "node:net";
import type { HttpProbe } from "../ports/http-probe.js";

/** A status line is shorter; what has none within so many bytes is no HTTP. */
const LINE_LIMIT = 1024;
/** RFC 9112 4. */
const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)[ \r\n]/;

/**
 * Health questions over plain sockets, a connection for each: only the status counts, so that the connection is dropped once that is known.
 * Not node:http: that takes 2.5 times the CPU, and with hundreds of ports that is what matters; a kept-alive connection saves next to nothing on
 * loopback, and does not show that the server still accepts one.
 */
export function createHttpProbe(): HttpProbe {
  return {
    status: async (port, signal) => {
      signal.throwIfAborted();
      const socket = net.connect({ host: "127.0.0.1", port });
      const aborted = (): void => void socket.destroy();
      signal.addEventListener("abort", aborted);
      try {
        return await statusFrom(socket, port);
      } catch (error) {
        // Aborted is not failed.
        signal.throwIfAborted();
        throw new Error(`GET http://127.0.0.1:${port}/healthz`, { cause: error });
      } finally {
        signal.removeEventListener("abort", aborted);
        // A reset leaves no TIME_WAIT behind, of which there would be a thousand and more.
        socket.resetAndDestroy();
      }
    },
  };
}

async function statusFrom(socket: net.Socket, port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (part: string) => {
      text += part;
      const status = STATUS_LINE.exec(text)?.[1];
      if (status !== undefined) resolve(Number(status));
      else if (text.includes("\n") || text.length > LINE_LIMIT) reject(new Error("no HTTP answer"));
    });
    // Stays: an error after the answer is of no interest, but without a listener here it would end the process.
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("closed without an answer")));
    socket.write(`GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nuser-agent: vip-health\r\nconnection: close\r\n\r\n`);
  });
}
