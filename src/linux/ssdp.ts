import type dgram from "node:dgram";
import { familyOf, parseIp, type IpAddress } from "../lib/ip.js";
import type { Ssdp, SsdpPlace, SsdpSearcher } from "../ports/ssdp.js";
import { SSDP_GROUP, SSDP_GROUP_LINK_LOCAL, SSDP_PORT } from "../wire/ssdp.js";
import { boundSocket, closeSocket, zoned } from "./datagrams.js";

/** UPnP Device Architecture 2.0, 1.3.2: a search stays in the site. */
const TTL = 2;
const GROUPS = { 4: parseIp(SSDP_GROUP) as IpAddress, 6: parseIp(SSDP_GROUP_LINK_LOCAL) as IpAddress };

/** SSDP over UDP sockets. */
export function createSsdp(): Ssdp {
  return {
    searcher: async (at, received, signal) => {
      const socket = await boundSocket({ address: at.address, port: 0 }, received, signal);
      try {
        socket.setMulticastInterface(interfaceOf(at));
        socket.setMulticastTTL(TTL);
        // What this node's own devices answer is of no interest.
        socket.setMulticastLoopback(false);
      } catch (error) {
        await closeSocket(socket);
        throw new Error(`search from ${at.address}`, { cause: error });
      }
      return searcherOn(socket, at);
    },
    listen: async (at, received, signal) => {
      const group = GROUPS[familyOf(at.address)];
      // Bound to the group, so that nothing comes that was sent to this host alone.
      const socket = await boundSocket({ address: group, port: SSDP_PORT, zone: at.iface }, received, signal);
      try {
        socket.addMembership(group, interfaceOf(at));
      } catch (error) {
        await closeSocket(socket);
        throw new Error(`hear ${group} on the link of ${at.address}`, { cause: error });
      }
      return { [Symbol.asyncDispose]: async () => closeSocket(socket) };
    },
  };
}

function searcherOn(socket: dgram.Socket, { address, iface }: SsdpPlace): SsdpSearcher {
  return {
    send: async (bytes, to, signal) => {
      signal.throwIfAborted();
      const host = zoned(to === "group" ? GROUPS[familyOf(address)] : to, iface);
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

/** How node:dgram wants a link named: by an address of it, in IPv6 by its name. */
function interfaceOf({ address, iface }: SsdpPlace): string {
  return familyOf(address) === 4 ? address : `::%${iface}`;
}
