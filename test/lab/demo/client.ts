// demo-client.mjs ADDRESS: asks an address by UDP every 20 ms and prints a line whenever another node answers (its name), or
// none for 150 ms (`-`). It lives in the client's namespace, so it is also a way into it.
import { createSocket } from "node:dgram";
import { monotonicMs } from "../wait.js";

const [vip = ""] = process.argv.slice(2);
const SILENCE_MS = 150;

let shown = "";
let heardAt = monotonicMs();

function show(who: string): void {
  if (who === shown) return;
  shown = who;
  console.log(who);
}

const socket = createSocket("udp4");
socket.on("error", () => undefined); // ICMP errors while nobody holds the address: that is silence
socket.on("message", (message) => {
  heardAt = monotonicMs();
  show(message.subarray(4).toString());
});
socket.bind(0);
setInterval(() => {
  socket.send(Buffer.alloc(4), 9000, vip, () => undefined);
  if (monotonicMs() - heardAt > SILENCE_MS) show("-");
}, 20);
