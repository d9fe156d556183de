// send.mjs IFINDEX HEX: sends one whole Ethernet frame out of this interface and says when, as {"at": ms}.
import { AF_PACKET, RawSocket, sockaddrLink } from "../raw/socket.js";
import { monotonicMs } from "../wait.js";

const [ifindex = "", hex = ""] = process.argv.slice(2);
using socket = new RawSocket(AF_PACKET, 0);
socket.bind(sockaddrLink(0, Number(ifindex)));
const at = monotonicMs();
if (!socket.send(Buffer.from(hex, "hex"))) throw new Error(`interface ${ifindex} refused the frame`);
console.log(JSON.stringify({ at }));
