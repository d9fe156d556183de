// A pod that says which node it runs on. pod.mjs NAME ADDRESS...: HTTP on 8080, UDP on 9000 (the first 4 bytes come back
// before the name), TCP on 9001 (the name, then the end). The path /source, and a UDP message that starts with "source", get one line
// of JSON instead: who answers, and from where the question came: {"pod","address","port"}, with {"asked"} for UDP, the message.
import { createSocket, type RemoteInfo } from "node:dgram";
import { createServer as createHttp } from "node:http";
import { createServer as createTcp } from "node:net";
import { once } from "node:events";

const [name = "", ...addresses] = process.argv.slice(2);

function sourceLine(address: string | undefined, port: number | undefined, asked?: string): string {
  return `${JSON.stringify({ pod: name, address, port, asked })}\n`;
}

function udpAnswer(message: Buffer, from: RemoteInfo): Buffer {
  const text = message.toString();
  if (text.startsWith("source")) return Buffer.from(sourceLine(from.address, from.port, text));
  return Buffer.concat([message.subarray(0, 4), Buffer.from(name)]);
}

async function listen(address: string): Promise<void> {
  const http = createHttp((request, response) => {
    const { remoteAddress, remotePort } = request.socket;
    response.setHeader("x-client", remoteAddress ?? "");
    response.end(request.url === "/source" ? sourceLine(remoteAddress, remotePort) : `${name}\n`);
  });
  const tcp = createTcp((socket) => {
    socket.on("error", () => undefined); // probes reset their connections
    socket.end(name);
  });
  const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
  udp.on("message", (message, from) => udp.send(udpAnswer(message, from), from.port, from.address, () => undefined));
  http.listen(8080, address);
  tcp.listen({ port: 9001, host: address, backlog: 1024 });
  udp.bind(9000, address);
  await Promise.all([once(http, "listening"), once(tcp, "listening"), once(udp, "listening")]);
}

await Promise.all(addresses.map(listen));
console.log("ready");
