import { parseIp, type IpAddress } from "../lib/ip.js";
import type { PcpSockets } from "../ports/pcp.js";
import { PCP_CLIENT_PORT, PCP_SERVER_PORT } from "../wire/pcp.js";
import { boundSocket, closeSocket, zoned } from "./datagrams.js";

/** RFC 6887 14.1.1: all hosts of a link. */
const ALL_HOSTS = { 4: parseIp("224.0.0.1") as IpAddress, 6: parseIp("ff02::1") as IpAddress };

/** PCP and NAT-PMP over UDP sockets. */
export function createPcpSockets(): PcpSockets {
  return {
    connect: async ({ from, to, iface }, listener, signal) => {
      const socket = await boundSocket({ address: from, port: 0 }, (bytes) => listener.received(bytes), signal, (error) => listener.failed(error));
      const what = `ask ${to} from ${from}`;
      try {
        await new Promise<void>((resolve, reject) => {
          socket.once("error", reject);
          socket.connect(PCP_SERVER_PORT, zoned(to, iface), () => {
            socket.off("error", reject);
            resolve();
          });
        });
      } catch (error) {
        await closeSocket(socket);
        throw new Error(what, { cause: error });
      }
      return {
        send: async (bytes) =>
          new Promise<void>((resolve, reject) => {
            socket.send(bytes, (error) => {
              if (error === null) resolve();
              else reject(new Error(what, { cause: error }));
            });
          }),
        [Symbol.asyncDispose]: async () => closeSocket(socket),
      };
    },
    listen: async ({ iface, family }, received, signal) => {
      const socket = await boundSocket({ address: ALL_HOSTS[family], port: PCP_CLIENT_PORT, zone: iface }, received, signal);
      return { [Symbol.asyncDispose]: async () => closeSocket(socket) };
    },
  };
}
