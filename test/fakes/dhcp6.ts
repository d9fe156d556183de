import type { IpAddress } from "../../src/lib/ip.js";
import type { Dhcp6Local, Dhcp6Socket, Dhcp6Sockets } from "../../src/ports/dhcp6.js";

interface Open {
  readonly local: Dhcp6Local;
  readonly received: (bytes: Uint8Array, from: IpAddress) => void;
}

/** Sockets of DHCPv6 clients in memory. */
export class FakeDhcp6Sockets implements Dhcp6Sockets {
  /** By the link that they were sent on. */
  readonly sent: { readonly iface: string; readonly bytes: Uint8Array }[] = [];
  /** Thrown by the next `open` or `send`, one each. */
  readonly errors: Error[] = [];
  readonly #open = new Set<Open>();

  get locals(): readonly Dhcp6Local[] {
    return [...this.#open].map(({ local }) => local);
  }

  async open(local: Dhcp6Local, received: Open["received"]): Promise<Dhcp6Socket> {
    this.#fail();
    const open: Open = { local, received };
    this.#open.add(open);
    return {
      send: async (bytes) => {
        this.#fail();
        this.sent.push({ iface: local.iface, bytes });
      },
      [Symbol.asyncDispose]: async () => void this.#open.delete(open),
    };
  }

  /** A datagram for every client of a link. */
  deliver(iface: string, bytes: Uint8Array, from: IpAddress): void {
    for (const { local, received } of this.#open) if (local.iface === iface) received(bytes, from);
  }

  #fail(): void {
    const error = this.errors.shift();
    if (error !== undefined) throw error;
  }
}
