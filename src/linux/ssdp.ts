import dgram from "node:dgram";
import { parseIp, type IpAddress } from "../lib/ip.js";
import type { OnDatagram, Ssdp, SsdpSearcher } from "../ports/ssdp.js";
import { SSDP_GROUP, SSDP_PORT } from "../wire/ssdp.js";

/** UPnP Device Architecture 2.0, 1.3.2: a search stays in the site. */
const TTL = 2;

/** SSDP over UDP sockets. */
export function createSsdp(): Ssdp {
  return {
    searcher: async (address, received, signal) => {
      const socket = await bound({ address, port: 0 }, received, signal);
      try {
        socket.setMulticastInterface(address);
        socket.setMulticastTTL(TTL);
        // What this node's own devices answer is of no interest.
        socket.setMulticastLoopback(false);
      } catch (error) {
        await closed(socket);
        throw new Error(`search from ${address}`, { cause: error });
      }
      return searcherOn(socket, address);
    },
    listen: async (address, received, signal) => {
      // Bound to the group, so that nothing comes that was sent to this host alone.
      const socket = await bound({ address: SSDP_GROUP, port: SSDP_PORT }, received, signal);
      try {
        socket.addMembership(SSDP_GROUP, address);
      } catch (error) {
        await closed(socket);
        throw new Error(`hear ${SSDP_GROUP} on the link of ${address}`, { cause: error });
      }
      return { [Symbol.asyncDispose]: async () => closed(socket) };
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
    [Symbol.asyncDispose]: async () => closed(socket),
  };
}

async function bound(at: { readonly address: string; readonly port: number }, received: OnDatagram, signal: AbortSignal): Promise<dgram.Socket> {
  signal.throwIfAborted();
  const socket = dgram.createSocket({ type: "udp4", reuseAddr: at.port !== 0 });
  socket.on("message", (bytes, { address }) => {
    const from = parseIp(address);
    if (from !== undefined) received(Uint8Array.from(bytes), from);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      // Stays: an error after the start (ICMP, a link that is gone) is the sender's to see, and without a listener it would end the process.
      socket.on("error", reject);
      socket.bind(at, resolve);
    });
  } catch (error) {
    await closed(socket);
    throw new Error(`bind UDP ${at.address}:${at.port}`, { cause: error });
  }
  return socket;
}

/** Twice is fine. */
async function closed(socket: dgram.Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    try {
      socket.close(resolve);
    } catch {
      // Closed already.
      resolve();
    }
  });
}
