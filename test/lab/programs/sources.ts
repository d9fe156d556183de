// sources.mjs SOURCETASK: asks addresses from where their pods see the question come (pod.ts), again and again until SIGINT or for some
// rounds; then one line of JSON, {"samples"} (SourceSample).
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { SourceSample, SourceTask } from "../proxy/sources.js";
import { monotonicMs } from "../wait.js";

type Target = SourceTask["targets"][number];
type Came = Pick<SourceSample, "outcome" | "pod" | "address" | "port">;

interface Answer {
  readonly pod: string;
  readonly address: string;
  readonly port: number;
  readonly asked?: string;
}

const task = JSON.parse(process.argv[2] ?? "{}") as SourceTask;

function answered(text: string): Came {
  const { pod, address, port } = JSON.parse(text) as Answer;
  return { outcome: "answered", pod, address, port };
}

/** One question by TCP. */
async function askTcp({ vip, port }: Target): Promise<Came> {
  return await new Promise((resolve) => {
    const socket = connect({ host: vip, port });
    let text = "";
    const end = (came: Came): void => {
      clearTimeout(timer);
      resolve(came);
      socket.resetAndDestroy(); // leaves no TIME_WAIT behind
    };
    const timer = setTimeout(() => end({ outcome: "silent" }), task.patienceMs);
    socket.on("error", (error: NodeJS.ErrnoException) => end({ outcome: error.code === "ECONNREFUSED" || error.code === "ECONNRESET" ? "refused" : "silent" }));
    socket.on("data", (data) => {
      text += data.toString();
      const body = text.split("\r\n\r\n")[1] ?? "";
      if (body.endsWith("\n")) end(answered(body));
    });
    socket.write("GET /source HTTP/1.0\r\n\r\n");
  });
}

/** One port that asks by UDP; a connected one is told of refusals. */
class Flow {
  readonly #waiting = new Map<string, (came: Came) => void>();
  readonly #socket: UdpSocket;
  readonly #ready: Promise<unknown>;

  constructor({ vip, port }: Target) {
    this.#socket = createSocket(vip.includes(":") ? "udp6" : "udp4");
    this.#socket.on("message", (message) => this.#waiting.get((JSON.parse(message.toString()) as Answer).asked ?? "")?.(answered(message.toString())));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNREFUSED") return;
      for (const end of this.#waiting.values()) end({ outcome: "refused" });
    });
    this.#socket.connect(port, vip);
    this.#ready = once(this.#socket, "connect");
  }

  /** One question; `name` tells its answer from others. */
  async ask(name: string): Promise<Came> {
    await this.#ready;
    return await new Promise((resolve) => {
      const end = (came: Came): void => {
        clearTimeout(timer);
        this.#waiting.delete(name);
        resolve(came);
      };
      const timer = setTimeout(() => end({ outcome: "silent" }), task.patienceMs);
      this.#waiting.set(name, end);
      this.#send(name, true);
    });
  }

  close(): void {
    this.#socket.close();
  }

  #send(name: string, again: boolean): void {
    this.#socket.send(name, (error) => {
      // The kernel hands the refusal of an earlier packet to the next send, which then sends nothing.
      if (error !== null && again) this.#send(name, false);
    });
  }
}

async function askFresh(target: Target, name: string): Promise<Came> {
  const flow = new Flow(target);
  const came = await flow.ask(name);
  flow.close();
  return came;
}

const flows = new Map(task.freshPorts ? [] : task.targets.filter(({ protocol }) => protocol === "udp").map((target) => [target, new Flow(target)]));

async function question(target: Target, round: number): Promise<SourceSample> {
  const at = monotonicMs();
  const name = `source ${round}`;
  const came = await (target.protocol === "tcp" ? askTcp(target) : (flows.get(target)?.ask(name) ?? askFresh(target, name)));
  return { at, vip: target.vip, protocol: target.protocol, ...came };
}

const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());
console.log("ready");
const asked: Promise<SourceSample>[] = [];
const started = monotonicMs();
for (let round = 0; !stopping.signal.aborted && round < (task.rounds ?? Infinity); round += 1) {
  for (const target of task.targets) asked.push(question(target, round));
  await sleep(Math.max(0, started + (round + 1) * task.intervalMs - monotonicMs()));
}
const samples = await Promise.all(asked);
process.stdout.write(`${JSON.stringify({ samples })}\n`, () => process.exit(0));
