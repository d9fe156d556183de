// probe.mjs {"vip","intervalMs"}: every interval a UDP packet, an ICMP echo and a new TCP connection to one address, until
// SIGINT; then one line of JSON (ProbeResult). UDP and TCP answers name the node (see pod.ts).
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ProtocolResult } from "../probe.js";
import { AF_INET, AF_INET6, ipv4Bytes, ipv6Bytes, RawSocket, sockaddrInternet } from "../raw/socket.js";
import { monotonicMs } from "../wait.js";

const { vip, intervalMs } = JSON.parse(process.argv[2] ?? "{}") as { vip: string; intervalMs: number };
const v6 = vip.includes(":");
// A connection that is not made in this time is not an answer; the kernel's own second SYN comes after 1 s.
const TCP_PATIENCE = 400;

/** What was sent and answered in one protocol. */
class Track {
  readonly #sent: number[] = [];
  readonly #answered = new Set<number>();
  readonly #nodes: { node: string; at: number }[] = [];

  send(round: number, now: number): void {
    this.#sent[round] = now;
  }

  answer(round: number, node?: string): void {
    if (this.#sent[round] === undefined || this.#answered.has(round)) return;
    this.#answered.add(round);
    if (node !== undefined && node !== "" && this.#nodes.at(-1)?.node !== node) this.#nodes.push({ node, at: monotonicMs() });
  }

  result(ended: number): ProtocolResult {
    const times = [...this.#answered].map((round) => this.#sent[round] ?? 0).sort((a, b) => a - b);
    let gap = { gapMs: 0, gapStart: times[0] ?? 0 };
    times.forEach((at, index) => {
      const before = times[index - 1] ?? at;
      if (at - before > gap.gapMs) gap = { gapMs: at - before, gapStart: before };
    });
    const silentAtEndMs = ended - (times.at(-1) ?? this.#sent[0] ?? ended);
    const lost = Math.max(-1, ...this.#answered) + 1 - times.length;
    return { sent: this.#sent.length, answered: times.length, lost, ...gap, silentAtEndMs, nodes: this.#nodes };
  }
}

async function openUdp(track: Track): Promise<(round: number) => void> {
  const socket = createSocket(v6 ? "udp6" : "udp4");
  socket.on("error", () => undefined); // ICMP errors while nobody holds the address: the round stays unanswered
  socket.on("message", (message) => track.answer(message.readUInt32BE(0), message.subarray(4).toString()));
  socket.bind(0);
  await once(socket, "listening");
  return (round) => {
    const packet = Buffer.alloc(4);
    packet.writeUInt32BE(round);
    // Not connected: after an ICMP error a connected socket would refuse the next packet.
    socket.send(packet, 9000, vip, () => undefined);
  };
}

function echoRequest(id: number, round: number): Buffer {
  const packet = Buffer.alloc(16);
  packet[0] = v6 ? 128 : 8;
  packet.writeUInt16BE(id, 4);
  packet.writeUInt16BE(round & 0xffff, 6);
  packet.writeUInt32BE(round, 8);
  if (v6) return packet; // the kernel fills in the checksum
  let sum = 0;
  for (let at = 0; at < packet.length; at += 2) sum += packet.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.writeUInt16BE(~sum & 0xffff, 2);
  return packet;
}

function openIcmp(track: Track): { send(round: number): void; drain(): void } {
  const socket = new RawSocket(v6 ? AF_INET6 : AF_INET, v6 ? 58 : 1);
  socket.connect(sockaddrInternet(v6 ? ipv6Bytes(vip) : ipv4Bytes(vip)));
  const id = process.pid & 0xffff;
  return {
    send: (round) => void socket.send(echoRequest(id, round)),
    drain: () => socket.drain((packet) => {
      const icmp = v6 ? packet : packet.subarray(((packet[0] ?? 0) & 15) * 4);
      if (icmp.length < 12 || icmp[0] !== (v6 ? 129 : 0) || icmp.readUInt16BE(4) !== id) return;
      track.answer(icmp.readUInt32BE(8));
    }),
  };
}

function openTcp(track: Track): (round: number) => void {
  return (round) => {
    const socket: Socket = connect({ host: vip, port: 9001 });
    const timer = setTimeout(() => socket.destroy(), TCP_PATIENCE);
    socket.on("error", () => undefined); // refused or unreachable: the round stays unanswered
    socket.once("data", (data) => {
      track.answer(round, data.toString());
      socket.resetAndDestroy(); // leaves no TIME_WAIT behind
    });
    socket.once("close", () => clearTimeout(timer));
  };
}

const tracks = { udp: new Track(), icmp: new Track(), tcp: new Track() };
const sendUdp = await openUdp(tracks.udp);
const icmp = openIcmp(tracks.icmp);
const sendTcp = openTcp(tracks.tcp);
const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());
console.log("ready");

const started = monotonicMs();
for (let round = 0; !stopping.signal.aborted; round += 1) {
  const now = monotonicMs();
  for (const track of Object.values(tracks)) track.send(round, now);
  sendUdp(round);
  icmp.send(round);
  sendTcp(round);
  await sleep(Math.max(0, started + (round + 1) * intervalMs - monotonicMs()));
  icmp.drain();
}
const ended = monotonicMs();
await sleep(50); // answers to the last round
icmp.drain();
const results = Object.fromEntries(Object.entries(tracks).map(([protocol, track]) => [protocol, track.result(ended)]));
process.stdout.write(`${JSON.stringify({ vip, started, ended, ...results })}\n`, () => process.exit(0));
