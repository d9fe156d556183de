// A pod that says which node it runs on. pod.mjs NAME ADDRESS...: HTTP on 8080, UDP on 9000 (the first 4 bytes come back
// before the name), TCP on 9001 (the name, then the end).
import { createSocket } from "node:dgram";
import { createServer as createHttp } from "node:http";
import { createServer as createTcp } from "node:net";
import { once } from "node:events";

const [name = "", ...addresses] = process.argv.slice(2);

async function listen(address: string): Promise<void> {
  const http = createHttp((request, response) => {
    response.setHeader("x-client", request.socket.remoteAddress ?? "");
    response.end(`${name}\n`);
  });
  const tcp = createTcp((socket) => {
    socket.on("error", () => undefined); // probes reset their connections
    socket.end(name);
  });
  const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
  udp.on("message", (message, from) => udp.send(Buffer.concat([message.subarray(0, 4), Buffer.from(name)]), from.port, from.address, () => undefined));
  http.listen(8080, address);
  tcp.listen({ port: 9001, host: address, backlog: 1024 });
  udp.bind(9000, address);
  await Promise.all([once(http, "listening"), once(tcp, "listening"), once(udp, "listening")]);
}

await Promise.all(addresses.map(listen));
console.log("ready");
