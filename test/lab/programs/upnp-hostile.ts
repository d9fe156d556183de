// upnp-hostile.mjs {"address","router","perTick"}: a device on the LAN that means harm. Until it is killed it announces gateways without end to all hosts, in its own name
// and (with net.ipv4.ip_nonlocal_bind) in the router's, answers every search with as many, and serves a different bad description at each address that is asked for.
import { createSocket, type Socket } from "node:dgram";
import { createServer, type ServerResponse } from "node:http";

const GROUP = "239.255.255.250";
const SSDP = 1900;
const HTTP = 5000;
const TICK_MS = 10;
/** Answers to one search, of which a node sends ten. */
const ANSWERS = 100;
const IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
const MEGABYTE = "<a>".repeat(350_000);

const { address, router, perTick } = JSON.parse(process.argv[2] ?? "{}") as { readonly address: string; readonly router: string; readonly perTick: number };

let count = 0;

function message(first: string, header: string, location: string, more = ""): Buffer {
  return Buffer.from(`${first}\r\n${header}: ${IGD}\r\nUSN: uuid:evil-${count}::${IGD}\r\nLOCATION: ${location}\r\nBOOTID.UPNP.ORG: ${count}\r\n${more}\r\n`);
}

const notify = (location: string, kind = "alive"): Buffer => message("NOTIFY * HTTP/1.1", "NT", location, `NTS: ssdp:${kind}\r\n`);
const answer = (location: string): Buffer => message("HTTP/1.1 200 OK", "ST", location);

/** Everything that a datagram may be, one after the other. */
function announcement(host: string): Buffer {
  count += 1;
  switch (count % 8) {
    case 0:
      return Buffer.alloc(count % 1400, count % 256);
    case 1:
      return notify("http://10.77.0.2:5000/elsewhere.xml");
    case 2:
      return notify(`http://${host}:${HTTP}/${count}.xml`, "byebye");
    case 3:
      return Buffer.concat([notify(`http://${host}:${HTTP}/${count}.xml`), Buffer.alloc(9000, 0x61)]);
    case 4:
      return notify("http://10.77.0.1:5000/rootDesc.xml");
    default:
      return notify(`http://${host}:${HTTP}/${count}.xml`);
  }
}

function open(from: string, use: (socket: Socket) => void): void {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  // A full queue is no reason to stop.
  socket.on("error", () => undefined);
  socket.bind({ address: from }, () => {
    socket.setMulticastInterface(address);
    use(socket);
  });
}

/** Nobody hears what a socket has no room for. */
function flood(socket: Socket, host: string): void {
  for (let i = 0; i < perTick; i += 1) socket.send(announcement(host), SSDP, GROUP, () => undefined);
}

for (const host of [address, router]) open(host, (socket) => setInterval(() => flood(socket, host), TICK_MS));

open(address, (out) => {
  const listener = createSocket({ type: "udp4", reuseAddr: true });
  listener.on("message", (bytes, { address: asker, port }) => {
    if (!bytes.toString("latin1").startsWith("M-SEARCH")) return;
    for (let i = 0; i < ANSWERS; i += 1) {
      count += 1;
      out.send(answer(`http://${address}:${HTTP}/${count}.xml`), port, asker, () => undefined);
    }
  });
  listener.bind({ address: GROUP, port: SSDP }, () => listener.addMembership(GROUP, address));
});

/** Writes for as long as somebody reads. */
function endless(response: ServerResponse, part: string, everyMs: number): void {
  const timer = setInterval(() => {
    if (response.writableLength < MEGABYTE.length) response.write(part);
  }, everyMs);
  response.on("close", () => clearInterval(timer));
}

const descriptions: readonly ((response: ServerResponse) => void)[] = [
  (response) => endless(response, MEGABYTE, 1),
  (response) => response.writeHead(302, { location: "http://10.77.0.2:5000/rootDesc.xml" }).end(),
  (response) => response.end("<a>".repeat(10_000)),
  (response) => response.end("<root><device><deviceType>d</deviceType></device></root>"),
  (response) => response.writeHead(404).end(),
  (response) => endless(response, "<", 100),
];
let asked = 0;
const server = createServer((_request, response) => descriptions[(asked += 1) % descriptions.length]?.(response));
server.listen(HTTP, address, () => console.log("ready"));
