// hostile.mjs TASKFILE: a BGP peer that misbehaves. It listens on port 179 and plays, for each address of its own that is dialled, the script of that
// address (HostileTask). One line of JSON for each message that comes, and for each end of a connection (HostileLine).
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import type { HostileLine, HostileScript, HostileTask } from "../bgp-hostile.js";

const KEEPALIVE = Buffer.from(`${"ff".repeat(16)}001304`, "hex");
const HEADER = 19;
/** Octets of a message that are printed. */
const SHOWN = 64;
const FLOOD_MS = 2;
/** Messages of a flood, for one line. */
const TOLD_EACH = 100;

const task = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as HostileTask;
let connections = 0;

function say(line: HostileLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Sends the next part of the script with each message that comes; then, where it is so written, keepalives. */
class Play {
  readonly #id = (connections += 1);
  readonly #timers: NodeJS.Timeout[] = [];
  #pending: Buffer = Buffer.alloc(0);
  #next = 0;
  #sent = 0;

  constructor(
    private readonly socket: Socket,
    private readonly address: string,
    private readonly script: HostileScript,
  ) {}

  start(): void {
    this.socket.on("data", (octets: Buffer) => this.#data(octets));
    this.socket.on("error", () => undefined); // a reset is one way for the other side to end it: "close" follows
    this.socket.on("close", () => {
      for (const timer of this.#timers) clearInterval(timer);
      say({ address: this.address, connection: this.#id, closed: true });
    });
  }

  #data(octets: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, octets]);
    while (this.#pending.length >= HEADER) {
      const length = this.#pending.readUInt16BE(16);
      if (this.#pending.length < length) return;
      const body = this.#pending.subarray(HEADER, length);
      say({ address: this.address, connection: this.#id, type: this.#pending[18] ?? 0, body: body.subarray(0, SHOWN).toString("hex") });
      this.#pending = this.#pending.subarray(length);
      this.#play();
    }
  }

  #play(): void {
    const { sends, keepalives = false, flood } = this.script;
    const hex = sends[this.#next];
    if (hex === undefined) return;
    this.#next += 1;
    this.socket.write(Buffer.from(hex, "hex"));
    if (this.#next < sends.length) return;
    if (keepalives) this.#timers.push(setInterval(() => this.socket.write(KEEPALIVE), 1000));
    if (flood === undefined) return;
    // Asks and asks, each time by itself, and reads none of the answers.
    this.socket.pause();
    this.socket.setNoDelay(true);
    const octets = Buffer.from(flood, "hex");
    this.#timers.push(setInterval(() => this.socket.writableNeedDrain || this.socket.write(octets, () => this.#flooded()), FLOOD_MS));
  }

  #flooded(): void {
    this.#sent += 1;
    if (this.#sent % TOLD_EACH === 0) say({ address: this.address, connection: this.#id, flooded: this.#sent });
  }
}

const server = createServer((socket) => {
  const address = socket.localAddress ?? "";
  const script = task[address];
  if (script === undefined) socket.destroy();
  else new Play(socket, address, script).start();
});
server.listen(179, "0.0.0.0", () => console.log('"ready"'));
