// answerers.mjs {"iface","groups":[{"vips","intervalMs"}]}: asks by broadcast ARP for every address in its interval, until
// SIGINT; then one line of JSON (AnswerersResult). Every holder answers a broadcast, so two holders are seen as two MACs.
// A reply belongs to the newest request for its address: replies take far less than an interval.
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { RoundBook } from "../raw/rounds.js";
import { AF_PACKET, ipv4Bytes, RawSocket, sockaddrLink } from "../raw/socket.js";
import { monotonicMs } from "../wait.js";

interface Group {
  readonly vips: readonly string[];
  readonly intervalMs: number;
}

const { iface, groups } = JSON.parse(process.argv[2] ?? "{}") as { iface: string; groups: readonly Group[] };
const ETH_P_ARP = 0x0806;
const OP_REQUEST = 1;

function own(): { readonly mac: Buffer; readonly ip: Buffer } {
  const address = networkInterfaces()[iface]?.find(({ family }) => family === "IPv4");
  if (!address) throw new Error(`${iface} has no IPv4 address`);
  return { mac: Buffer.from(address.mac.replaceAll(":", ""), "hex"), ip: ipv4Bytes(address.address) };
}

function ifindex(): number {
  // /sys shows another network namespace's interfaces here; /proc/net follows our own.
  const line = readFileSync("/proc/net/if_inet6", "utf8").split("\n").find((one) => one.trim().split(/\s+/)[5] === iface);
  if (line === undefined) throw new Error(`${iface} has no IPv6 address to find its index by`);
  return Number.parseInt(line.trim().split(/\s+/)[1] ?? "", 16);
}

const self = own();

/** A broadcast ARP request from our own address. */
function arpRequest(target: Buffer): Buffer {
  const frame = Buffer.alloc(42);
  frame.fill(0xff, 0, 6);
  self.mac.copy(frame, 6);
  frame.writeUInt16BE(ETH_P_ARP, 12);
  frame.writeUInt16BE(1, 14); // Ethernet
  frame.writeUInt16BE(0x0800, 16);
  frame[18] = 6;
  frame[19] = 4;
  frame.writeUInt16BE(OP_REQUEST, 20);
  self.mac.copy(frame, 22);
  self.ip.copy(frame, 28);
  target.copy(frame, 38);
  return frame;
}

/** A group's addresses, asked one after the other and spread evenly over the interval. */
class Schedule {
  readonly #books: readonly RoundBook[];
  readonly #frames: readonly Buffer[];
  readonly #step: number;
  #start: number;
  #next = 0;
  refused = 0;

  constructor(books: readonly RoundBook[], intervalMs: number, start: number) {
    this.#books = books;
    this.#frames = books.map(({ vip }) => arpRequest(ipv4Bytes(vip)));
    this.#step = intervalMs / books.length;
    this.#start = start;
  }

  /** Sends what is due. */
  run(socket: RawSocket, now: number): void {
    const late = now - (this.#start + this.#next * this.#step);
    const interval = this.#step * this.#books.length;
    if (late > interval) this.#start += late; // stalled for more than a round: do not ask twice at once
    for (; this.#start + this.#next * this.#step <= now; this.#next += 1) {
      const at = this.#next % this.#books.length;
      const frame = this.#frames[at];
      if (frame === undefined || !socket.send(frame)) this.refused += 1;
      else this.#books[at]?.ask(now);
    }
  }
}

const socket = new RawSocket(AF_PACKET, 0); // protocol 0: nothing arrives before the bind
socket.bind(sockaddrLink(ETH_P_ARP, ifindex()));
const books = new Map<number, RoundBook>();
const started = monotonicMs();
const schedules = groups.map(({ vips, intervalMs }) => {
  const rounds = vips.map((vip) => new RoundBook(vip, intervalMs));
  for (const book of rounds) books.set(ipv4Bytes(book.vip).readUInt32BE(0), book);
  return new Schedule(rounds, intervalMs, started);
});

function take(frame: Buffer): void {
  if (frame.length < 42 || frame.readUInt16BE(12) !== ETH_P_ARP) return;
  const book = books.get(frame.readUInt32BE(28));
  if (!book) return;
  const op = frame.readUInt16BE(20);
  const mac = frame.toString("hex", 22, 28);
  if (op === OP_REQUEST) {
    if (frame.readUInt32BE(28) === frame.readUInt32BE(38)) book.gratuitous(mac, monotonicMs(), "request");
    return;
  }
  const toUs = self.mac.equals(frame.subarray(0, 6)) && self.ip.equals(frame.subarray(38, 42));
  if (toUs) book.reply(mac);
  else book.gratuitous(mac, monotonicMs(), "reply");
}

const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());
console.log("ready");
while (!stopping.signal.aborted) {
  // What has come belongs to what was asked before: first drain, then ask.
  socket.drain(take);
  const now = monotonicMs();
  for (const schedule of schedules) schedule.run(socket, now);
  await sleep(1);
}
const ended = monotonicMs();
await sleep(20);
socket.drain(take);
const perVip = [...books.values()].map((book) => book.result(ended));
const worstOverlapMs = Math.max(0, ...perVip.map(({ overlapMs }) => overlapMs));
const refused = schedules.reduce((sum, schedule) => sum + schedule.refused, 0);
process.stdout.write(`${JSON.stringify({ perVip, worstOverlapMs, started, ended, refused })}\n`, () => process.exit(0));
