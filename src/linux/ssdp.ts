import type dgram from "node:dgram";
import { parseIp, type IpAddress } from "../lib/ip.js";
import type { Ssdp, SsdpSearcher } from "../ports/ssdp.js";
import { SSDP_GROUP, SSDP_PORT } from "../wire/ssdp.js";
import { boundSocket, closeSocket } from "./datagrams.js";

/** UPnP Device Architecture 2.0, 1.3.2: a search stays in the site. */
const TTL = 2;
const GROUP = parseIp(SSDP_GROUP) as IpAddress;

/** SSDP over UDP sockets. */
export function createSsdp(): Ssdp {
  return {
    searcher: async (address, received, signal) => {
      const socket = await boundSocket({ address, port: 0 }, received, signal);
      try {
        socket.setMulticastInterface(address);
        socket.setMulticastTTL(TTL);
        // What this node's own devices answer is of no interest.
        socket.setMulticastLoopback(false);
      } catch (error) {
        await closeSocket(socket);
        throw new Error(`search from ${address}`, { cause: error });
      }
      return searcherOn(socket, address);
    },
    listen: async (address, received, signal) => {
      // Bound to the group, so that nothing comes that was sent to this host alone.
      const socket = await boundSocket({ address: GROUP, port: SSDP_PORT }, received, signal);
      try {
        socket.addMembership(SSDP_GROUP, address);
      } catch (error) {
        await closeSocket(socket);
        throw new Error(`hear ${SSDP_GROUP} on the link of ${address}`, { cause: error });
      }
      return { [Symbol.asyncDispose]: async () => closeSocket(socket) };
    },
  };
}

function searcherOn(socket: dgram.Socket, address: IpAddress): SsdpSearcher {
  return {
    send: async (bytes, to, signal) => {
      signal.throwIfAborted();
      const host = to === "group" ? SSDP_GROUP : to;
      await new Promise<void>((resolve, reject) => {
        socket.send(bytes, SSDP_PORT, host, (error) => {
          if (error === null) resolve();
          else reject(new Error(`search from ${address} at ${host}`, { cause: error }));
        });
      });
    },
    [Symbol.asyncDispose]: async () => closeSocket(socket),
  };
}
