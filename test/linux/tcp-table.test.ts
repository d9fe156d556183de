import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { IpAddress } from "../../src/lib/ip.js";
import { createNative } from "../../src/linux/native.js";
import { createTcpTable, othersOf } from "../../src/linux/tcp-table.js";
import type { TcpSocket } from "../../src/wire/netlink/sock-diag.js";
import { waitFor } from "../lab/wait.js";

const children: ChildProcess[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** Another process that runs this and says a line when it is ready. */
async function other(script: string): Promise<{ readonly pid: number; readonly said: string }> {
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const [chunk] = (await once(child.stdout ?? child, "data")) as [Buffer];
  return { pid: child.pid ?? 0, said: chunk.toString().trim() };
}

const server = (host: string): string => `const s = require("node:net").createServer(() => {}).listen(0, ${JSON.stringify(host)}, () => console.log(s.address().port))`;
const client = (host: string, port: number): string => `require("node:net").connect(${port}, ${JSON.stringify(host)}, () => console.log("connected"))`;
const signal = (): AbortSignal => new AbortController().signal;

test.each(["127.0.0.1", "::1"])("a connection of another process with a peer is seen, with who has it (%s)", async (host) => {
  const table = createTcpTable({ native: createNative() });
  const router = await other(server(host));
  const peer = { address: host as IpAddress, port: Number(router.said) };
  expect(await table.others(peer, signal())).toEqual([]);
  const bird = await other(client(host, peer.port));
  const found = await table.others(peer, signal());
  expect(found).toContainEqual({ local: { address: host, port: expect.any(Number) as number }, remote: peer, process: expect.stringContaining(`(${bird.pid})`) as string });
});

test("our own connections are not among them, neither of their ends", async () => {
  const table = createTcpTable({ native: createNative() });
  const router = await other(server("127.0.0.1"));
  const peer = { address: "127.0.0.1" as IpAddress, port: Number(router.said) };
  const socket = connect(peer.port, peer.address);
  await once(socket, "connect");
  expect(await table.others(peer, signal())).toEqual([]);
  socket.destroy();
});

test("one that dialled in to a listener of both families counts by the port that it was let in on", async () => {
  const table = createTcpTable({ native: createNative() });
  const speaker = await other('const s = require("node:net").createServer(() => {}).listen(0, "::", () => console.log(s.address().port))');
  const dialler = await other(client("127.0.0.1", Number(speaker.said)));
  const peer = { address: "127.0.0.1" as IpAddress, port: Number(speaker.said) };
  await waitFor(async () => (await table.others(peer, signal())).length === 2, 5000, "both ends");
  const owners = (await table.others(peer, signal())).map((one) => one.process).join();
  expect(owners).toContain(`(${speaker.pid})`);
  expect(owners).toContain(`(${dialler.pid})`);
});

test("connections with other addresses and ports do not count", () => {
  const ip = (text: string): IpAddress => text as IpAddress;
  const socket = (inode: number, localPort: number, remote: string, remotePort: number): TcpSocket => ({ inode, local: { address: ip("192.0.2.5"), port: localPort }, remote: { address: ip(remote), port: remotePort } });
  const all = [socket(1, 40_000, "192.0.2.1", 179), socket(2, 179, "192.0.2.1", 50_000), socket(3, 40_001, "192.0.2.1", 22), socket(4, 40_002, "192.0.2.2", 179), socket(5, 40_003, "192.0.2.1", 179)];
  expect(othersOf(all, { address: ip("192.0.2.1"), port: 179 }, new Set([5])).map(({ inode }) => inode)).toEqual([1, 2]);
});

test("a port that is taken here and has no connection is none", async () => {
  const listening = createServer().listen(0, "127.0.0.1");
  servers.push(listening);
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;
  expect(await createTcpTable({ native: createNative() }).others({ address: "127.0.0.1" as IpAddress, port }, signal())).toEqual([]);
});
