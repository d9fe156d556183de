// stranger.mjs {"ifindex","mac","claims","everyMs","answerAll"}: a host that is no node. Announces these addresses as its own
// again and again until it is killed, and says when each time, as {"at": ms}; with answerAll it answers every ARP request, probes too (proxy ARP).
import { setTimeout as sleep } from "node:timers/promises";
import { claimOf } from "../raw/claims.js";
import { AF_PACKET, RawSocket, sockaddrLink } from "../raw/socket.js";
import { monotonicMs } from "../wait.js";

const ETH_P_ARP = 0x0806;
const OP_REQUEST = 1;
const OP_REPLY = 2;

interface Task {
  readonly ifindex: number;
  readonly mac: string;
  readonly claims: readonly string[];
  readonly everyMs: number;
  readonly answerAll: boolean;
}

const task = JSON.parse(process.argv[2] ?? "{}") as Task;
const mac = Buffer.from(task.mac.replaceAll(":", ""), "hex");
const claims = task.claims.map((address) => claimOf(address, mac));

function answered(request: Buffer): Buffer | undefined {
  if (request.length < 42 || request.readUInt16BE(20) !== OP_REQUEST) return undefined;
  // A gratuitous request asks nothing.
  if (request.readUInt32BE(28) === request.readUInt32BE(38)) return undefined;
  const reply = Buffer.from(request.subarray(0, 42));
  request.copy(reply, 0, 6, 12);
  mac.copy(reply, 6);
  reply.writeUInt16BE(OP_REPLY, 20);
  mac.copy(reply, 22);
  request.copy(reply, 28, 38, 42);
  request.copy(reply, 32, 22, 32);
  return reply;
}

using socket = new RawSocket(AF_PACKET, 0);
socket.bind(sockaddrLink(ETH_P_ARP, task.ifindex));
console.log("ready");
for (let next = monotonicMs(); ; ) {
  socket.drain((frame) => {
    const reply = task.answerAll ? answered(frame) : undefined;
    if (reply !== undefined) socket.send(reply);
  });
  if (claims.length > 0 && monotonicMs() >= next) {
    const at = monotonicMs();
    for (const claim of claims) if (!socket.send(claim)) throw new Error("the interface refused the frame");
    console.log(JSON.stringify({ at }));
    next += task.everyMs;
  }
  await sleep(1);
}
