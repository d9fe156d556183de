// dhcp-hostile.mjs {"floodPerTick"}: a DHCP server that means harm. Answers every message of a client with one of each bad answer below, by broadcast, and
// sends so many datagrams of noise to the clients' port every 10 ms. Until it is killed.
import { createSocket } from "node:dgram";

const { floodPerTick } = JSON.parse(process.argv[2] ?? "{}") as { floodPerTick: number };

const COOKIE = Buffer.from("63825363", "hex");
const [OP, YIADDR, SNAME, FILE, OPTIONS] = [0, 16, 44, 108, 240] as const;

/** A reply to `asked` with these options, for this address. */
function reply(asked: Buffer, address: readonly number[], options: string): Buffer {
  const header = Buffer.alloc(OPTIONS);
  asked.copy(header, 0, 0, SNAME);
  header[OP] = 2;
  Buffer.from(address).copy(header, YIADDR);
  COOKIE.copy(header, 236);
  return Buffer.concat([header, Buffer.from(options.replaceAll(" ", ""), "hex"), Buffer.alloc(60)]);
}

const SERVER = "36040a4d0064";
const LEASE = "330400000064";
const FREE = [10, 77, 0, 180];

function badAnswers(asked: Buffer): readonly Buffer[] {
  const offer = (options: string, address: readonly number[] = FREE): Buffer => reply(asked, address, options);
  const overloaded = offer(`350102 340103 ${SERVER} ff`);
  overloaded.fill(0xfa, SNAME, FILE + 128);
  return [
    offer(`350102 ${SERVER} ${LEASE} ff`).subarray(0, 100),
    offer(`350102 ${SERVER} ${LEASE} ff`).subarray(0, OPTIONS + 5), // cut short in an option
    Buffer.concat([offer("").subarray(0, OPTIONS), Buffer.from("3501020cff", "hex")]), // a name of 255 octets that is not there
    overloaded,
    offer(`350102 ${SERVER} 3303000064 ff`), // a lease time of three octets
    offer(`350102 ${SERVER} 330400000000 ff`), // a lease of no time
    offer(`350102 ${LEASE} ff`), // nobody's
    offer(`350102 ${SERVER} ${LEASE} ff`, [239, 1, 1, 1]),
    offer(`350102 ${SERVER} ${LEASE} ff`, [127, 0, 0, 1]),
    offer(`350102 ${SERVER} ${LEASE} ff`, [10, 77, 0, 100]), // its own
    offer(`350105 ${SERVER} ${LEASE} ff`), // an ACK that nobody asked for
    offer(`350106 ${SERVER} ff`), // a NAK to a DISCOVER, or of another server
    offer("ff"),
  ];
}

const socket = createSocket({ type: "udp4", reuseAddr: true });
let noise = 0;
socket.on("message", (asked) => {
  for (const bad of badAnswers(asked)) socket.send(bad, 68, "255.255.255.255");
});
socket.bind(67, () => {
  socket.setBroadcast(true);
  setInterval(() => {
    for (let i = 0; i < floodPerTick; i += 1) {
      noise += 1;
      socket.send(Buffer.alloc(noise % 1400, noise % 256), 68, "255.255.255.255");
    }
  }, 10);
  console.log("ready");
});
