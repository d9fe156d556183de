import { once } from "node:events";
import http, { type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { createClock } from "../../src/linux/clock.js";
import { createHttp } from "../../src/linux/http.js";
import type { HttpRequest } from "../../src/ports/http.js";

const never = new AbortController().signal;
const client = createHttp({ clock: createClock() });

async function serving(listener: RequestListener): Promise<string> {
  const server = http.createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
}

function get(url: string, part: Partial<HttpRequest> = {}): HttpRequest {
  return { url, method: "GET", headers: {}, body: "", from: undefined, limit: 1000, timeoutMs: 2000, ...part };
}

test("a request is sent from the address that was asked for, with its body, and the answer comes as it is", async () => {
  let from = "";
  const url = await serving((request, response) => {
    from = request.socket.remoteAddress ?? "";
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => response.writeHead(500, { location: "http://127.0.0.9/" }).end(`${request.method} ${request.headers["x-a"] as string} ${body}`));
  });
  const answer = await client.request(get(url, { method: "POST", headers: { "x-a": "1" }, body: "é", from: parseIp("127.0.0.7") as IpAddress }), never);
  expect(answer).toEqual({ status: 500, body: "POST 1 é", location: "http://127.0.0.9/" });
  expect(from).toBe("127.0.0.7");
});

test("an answer beyond the limit is cut off, though it has no end", async () => {
  const url = await serving((_request, response) => void response.write("x".repeat(5000)));
  await expect(client.request(get(url), never)).rejects.toMatchObject({ code: "size", message: `GET ${url}: an answer of more than 1000 octets` });
});

test("an answer that drips is not waited for longer than the limit, which is for all of it", async () => {
  const url = await serving((_request, response) => void response.write("x"));
  await expect(client.request(get(url, { timeoutMs: 50 }), never)).rejects.toMatchObject({ code: "timeout" });
});

test("nobody there, or no such address here: the reason of the system", async () => {
  await expect(client.request(get("http://127.0.0.1:1/"), never)).rejects.toMatchObject({ code: "network", message: "GET http://127.0.0.1:1/: ECONNREFUSED" });
  const url = await serving((_request, response) => void response.end());
  await expect(client.request(get(url, { from: parseIp("192.0.2.77") as IpAddress }), never)).rejects.toMatchObject({ code: "network", message: expect.stringContaining("EADDRNOTAVAIL") as unknown });
});

test("aborted, it ends with the reason", async () => {
  const url = await serving(() => undefined);
  const abort = new AbortController();
  const asked = client.request(get(url), abort.signal);
  const reason = new DOMException("no more", "AbortError");
  abort.abort(reason);
  await expect(asked).rejects.toBe(reason);
});
