import dgram from "node:dgram";
import { familyOf, parseIp } from "../lib/ip.js";
import type { IpAddress } from "../lib/ip.js";
import type { OnDatagram } from "../ports/ssdp.js";

/** Where a socket is bound. A port of 0: one that is free. `zone`: the link of a link-local address. */
export interface BoundAt {
  readonly address: IpAddress;
  readonly port: number;
  readonly zone?: string | undefined;
}

/** A UDP socket of node:dgram. An error after the start goes to `failed`. Rejects with `bind UDP 192.0.2.1:1900`. */
export async function boundSocket({ address, port, zone }: BoundAt, received: OnDatagram, signal: AbortSignal, failed: (error: Error) => void = () => undefined): Promise<dgram.Socket> {
  signal.throwIfAborted();
  const socket = dgram.createSocket({ type: familyOf(address) === 4 ? "udp4" : "udp6", reuseAddr: port !== 0 });
  socket.on("message", (bytes, sender) => {
    const from = parseIp(sender.address.split("%")[0] ?? "");
    if (from !== undefined) received(Uint8Array.from(bytes), from);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      // Stays: without a listener an error after the start (ICMP, a link that is gone) would end the process.
      socket.on("error", (error) => {
        reject(error);
        failed(error);
      });
      socket.bind({ address: zoned(address, zone), port }, resolve);
    });
  } catch (error) {
    await closeSocket(socket);
    throw new Error(`bind UDP ${address}:${port}`, { cause: error });
  }
  return socket;
}

/** Twice is fine. */
export async function closeSocket(socket: dgram.Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    try {
      socket.close(resolve);
    } catch {
      // Closed already.
      resolve();
    }
  });
}

/** `fe80::1%eth0`: what reaches one link only needs its name. */
export function zoned(address: IpAddress, zone: string | undefined): string {
  return zone !== undefined && /^(fe[89ab]|ff02)/.test(address) ? `${address}%${zone}` : address;
}
