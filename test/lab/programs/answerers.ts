// answerers.mjs {"iface","groups":[{"vips","intervalMs"}]}: asks by broadcast ARP (IPv4) or multicast Neighbor Solicitation
// (IPv6) for every address in its interval, until SIGINT; then one line of JSON (AnswerersResult). Every holder answers, so two
// holders are seen as two MACs. A reply belongs to the newest request for its address: replies take far less than an interval.
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { ArpAsker } from "../raw/arp-asker.js";
import type { Asker, Self } from "../raw/asker.js";
import { NdAsker } from "../raw/nd-asker.js";
import { RoundBook } from "../raw/rounds.js";
import { AF_PACKET, ipv4Bytes, ipv6Bytes, RawSocket, sockaddrLink } from "../raw/socket.js";
import { monotonicMs } from "../wait.js";

interface Group {
  readonly vips: readonly string[];
  readonly intervalMs: number;
}

/** An asker with the socket that it asks by. */
interface Channel {
  readonly asker: Asker;
  readonly socket: RawSocket;
}

const { iface, groups } = JSON.parse(process.argv[2] ?? "{}") as { iface: string; groups: readonly Group[] };

function own(family: "IPv4" | "IPv6"): Self {
  const address = networkInterfaces()[iface]?.find((one) => one.family === family && !one.address.startsWith("fe80:"));
  if (!address) throw new Error(`${iface} has no ${family} address`);
  const ip = family === "IPv4" ? ipv4Bytes(address.address) : ipv6Bytes(address.address);
  return { mac: Buffer.from(address.mac.replaceAll(":", ""), "hex"), ip };
}

function ifindex(): number {
  // /sys shows another network namespace's interfaces here; /proc/net follows our own.
  const line = readFileSync("/proc/net/if_inet6", "utf8").split("\n").find((one) => one.trim().split(/\s+/)[5] === iface);
  if (line === undefined) throw new Error(`${iface} has no IPv6 address to find its index by`);
  return Number.parseInt(line.trim().split(/\s+/)[1] ?? "", 16);
}

function openChannel(asker: Asker): Channel {
  const socket = new RawSocket(AF_PACKET, 0); // protocol 0: nothing arrives before the bind
  socket.bind(sockaddrLink(asker.etherType, ifindex()));
  return { asker, socket };
}

function isV6(vip: string): boolean {
  return vip.includes(":");
}

/** A group's addresses, asked one after the other and spread evenly over the interval. */
class Schedule {
  readonly #books: readonly RoundBook[];
  readonly #frames: readonly { readonly socket: RawSocket; readonly bytes: Buffer }[];
  readonly #step: number;
  #start: number;
  #next = 0;
  refused = 0;

  constructor(books: readonly RoundBook[], intervalMs: number, start: number) {
    this.#books = books;
    this.#frames = books.map(({ vip }) => {
      const { asker, socket } = channelOf(vip);
      return { socket, bytes: asker.request(vip) };
    });
    this.#step = intervalMs / books.length;
    this.#start = start;
  }

  /** Sends what is due. */
  run(now: number): void {
    const late = now - (this.#start + this.#next * this.#step);
    const interval = this.#step * this.#books.length;
    if (late > interval) this.#start += late; // stalled for more than a round: do not ask twice at once
    for (; this.#start + this.#next * this.#step <= now; this.#next += 1) {
      const at = this.#next % this.#books.length;
      const frame = this.#frames[at];
      if (frame === undefined || !frame.socket.send(frame.bytes)) this.refused += 1;
      else this.#books[at]?.ask(now);
    }
  }
}

const vips = groups.flatMap((group) => group.vips);
const arp = vips.every(isV6) ? undefined : openChannel(new ArpAsker(own("IPv4")));
const nd = vips.some(isV6) ? openChannel(new NdAsker(own("IPv6"))) : undefined;
const channels = [arp, nd].filter((channel) => channel !== undefined);
const books = new Map<string, RoundBook>();

function channelOf(vip: string): Channel {
  const channel = isV6(vip) ? nd : arp;
  if (channel === undefined) throw new Error(`no socket to ask for ${vip}`);
  return channel;
}

function drain(): void {
  for (const { asker, socket } of channels) socket.drain((frame) => asker.take(frame, books));
}

const started = monotonicMs();
const schedules = groups.map(({ vips: asked, intervalMs }) => {
  const rounds = asked.map((vip) => new RoundBook(vip, intervalMs));
  for (const book of rounds) books.set((isV6(book.vip) ? ipv6Bytes(book.vip) : ipv4Bytes(book.vip)).toString("hex"), book);
  return new Schedule(rounds, intervalMs, started);
});

const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());
console.log("ready");
while (!stopping.signal.aborted) {
  // What has come belongs to what was asked before: first drain, then ask.
  drain();
  const now = monotonicMs();
  for (const schedule of schedules) schedule.run(now);
  await sleep(1);
}
const ended = monotonicMs();
await sleep(20);
drain();
const perVip = [...books.values()].map((book) => book.result(ended));
const worstOverlapMs = Math.max(0, ...perVip.map(({ overlapMs }) => overlapMs));
const refused = schedules.reduce((sum, schedule) => sum + schedule.refused, 0);
process.stdout.write(`${JSON.stringify({ perVip, worstOverlapMs, started, ended, refused })}\n`, () => process.exit(0));
