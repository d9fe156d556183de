import dgram from "node:dgram";
import { parseIp, type IpAddress } from "../lib/ip.js";
import type { Dhcp6Local, Dhcp6Sockets } from "../ports/dhcp6.js";
import { DHCP6_CLIENT_PORT, DHCP6_SERVER_PORT } from "../wire/dhcp6/codes.js";

/** RFC 8415 7.1: All_DHCP_Relay_Agents_and_Servers. */
const SERVERS = "ff02::1:2";

/** Sockets on the link of their address: the kernel binds a link-local address to its link, so that other clients of this host have the port on theirs. */
export function createDhcp6Sockets(): Dhcp6Sockets {
  return {
    open: async (local, received) => {
      const socket = await bound(local, received);
      return { send: async (bytes) => send(socket, local, bytes), [Symbol.asyncDispose]: async () => closed(socket) };
    },
  };
}

async function bound({ iface, address }: Dhcp6Local, received: (bytes: Uint8Array, from: IpAddress) => void): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type: "udp6", ipv6Only: true, reuseAddr: true });
  socket.on("message", (bytes, sender) => {
    // With the link behind a percent sign.
    const from = parseIp(sender.address.split("%")[0] ?? "");
    if (from !== undefined) received(Uint8Array.from(bytes), from);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      // Stays: an error after the start (a link that is gone) is the sender's to see, and without a listener it would end the process.
      socket.on("error", reject);
      socket.bind({ address: `${address}%${iface}`, port: DHCP6_CLIENT_PORT }, resolve);
    });
  } catch (error) {
    await closed(socket);
    throw new Error(`bind UDP port ${DHCP6_CLIENT_PORT} of ${address} on ${iface}`, { cause: error });
  }
  return socket;
}

async function send(socket: dgram.Socket, { iface }: Dhcp6Local, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.send(bytes, DHCP6_SERVER_PORT, `${SERVERS}%${iface}`, (error) => {
      if (error === null) resolve();
      else reject(new Error(`send to ${SERVERS} on ${iface}`, { cause: error }));
    });
  });
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
