// demo-client.mjs ADDRESS: asks an address by UDP every 20 ms and prints a line whenever another node answers (its name), or
// none to eight questions (`-`). It lives in the client's namespace, so it is also a way into it.
import { createSocket } from "node:dgram";

const [vip = ""] = process.argv.slice(2);
// Counted, not timed: on a busy machine this program may itself be late.
const UNANSWERED = 8;

let shown = "";
let unanswered = 0;

function show(who: string): void {
  if (who === shown) return;
  shown = who;
  console.log(who);
}

const socket = createSocket("udp4");
socket.on("error", () => undefined); // ICMP errors while nobody holds the address: that is silence
socket.on("message", (message) => {
  unanswered = 0;
  show(message.subarray(4).toString());
});
socket.bind(0);
setInterval(() => {
  socket.send(Buffer.alloc(4), 9000, vip, () => undefined);
  unanswered += 1;
  if (unanswered > UNANSWERED) show("-");
}, 20);
