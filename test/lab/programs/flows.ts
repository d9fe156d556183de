// flows.mjs {"vip","count","intervalMs"}: keeps `count` TCP connections to HTTP at this address and asks on each of them, the next question `intervalMs` after
// the last answer, until SIGINT; then one line of JSON: { flows: [{ node, answered, longestGapMs, end }] }. A connection that ends is not made again.
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../wait.js";

const { vip, count, intervalMs } = JSON.parse(process.argv[2] ?? "{}") as { readonly vip: string; readonly count: number; readonly intervalMs: number };
const REQUEST = `GET / HTTP/1.1\r\nHost: ${vip}\r\n\r\n`;

interface Flow {
  node: string | undefined;
  answered: number;
  longestGapMs: number;
  /** How the connection ended by itself; undefined: it did not. */
  end: string | undefined;
}

const stopping = new AbortController();

/** One connection, from the first question to its end; `answered` is called once. */
function keep(flow: Flow, answered: () => void): Socket {
  const socket = connect({ host: vip, port: 80, noDelay: true });
  let asked = monotonicMs();
  let text = "";
  socket.on("connect", () => socket.write(REQUEST));
  socket.on("data", (data) => {
    text += data.toString();
    const body = /\r\n\r\n[^]*?(n\d+)\n/.exec(text);
    if (body === null) return;
    text = "";
    flow.node ??= body[1];
    flow.answered += 1;
    flow.longestGapMs = Math.max(flow.longestGapMs, monotonicMs() - asked);
    answered();
    void sleep(intervalMs).then(() => {
      asked = monotonicMs();
      if (!socket.destroyed && !stopping.signal.aborted) socket.write(REQUEST);
    });
  });
  socket.on("error", (error: NodeJS.ErrnoException) => (flow.end ??= error.code ?? error.message));
  socket.on("close", () => {
    if (!stopping.signal.aborted) flow.end ??= "closed";
  });
  stopping.signal.addEventListener("abort", () => {
    // A question without an answer is a gap, too.
    if (flow.end === undefined) flow.longestGapMs = Math.max(flow.longestGapMs, monotonicMs() - asked - intervalMs);
    socket.destroy();
  });
  return socket;
}

const flows = Array.from({ length: count }, (): Flow => ({ node: undefined, answered: 0, longestGapMs: 0, end: undefined }));
await Promise.all(flows.map(async (flow) => new Promise<void>((resolve) => keep(flow, resolve))));
console.log("ready");
// A signal is nothing to wait for by itself, once all connections are gone.
const waiting = setInterval(() => undefined, 60_000);
await new Promise<void>((resolve) => process.once("SIGINT", () => resolve()));
clearInterval(waiting);
stopping.abort();
console.log(JSON.stringify({ flows }));
