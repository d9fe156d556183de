import type { IpAddress } from "../../src/lib/ip.js";
import type { Udp, UdpDatagram, UdpReceiver, UdpRoute, UdpSender } from "../../src/ports/udp.js";

/** A datagram that was sent. */
export interface Sent {
  readonly route: UdpRoute;
  readonly bytes: Uint8Array;
}

/** An error as the kernel's have: with a code. */
export function udpError(code: string): Error {
  return Object.assign(new Error(`udp: ${code}`), { code });
}

/** UDP in memory. Links have the number that `links` says; what arrives waits until the receiver is drained or `deliver` is called. */
export class FakeUdp implements Udp {
  readonly sent: Sent[] = [];
  readonly links = new Map<string, number>([["eth0", 2]]);
  /** Thrown by the next sends, one each; undefined: that one goes out. */
  readonly sendErrors: (Error | undefined)[] = [];
  /** Thrown by `receive` as long as it is set. */
  receiveError: Error | undefined;
  openSenders = 0;
  readonly #receivers = new Map<string, (datagram: UdpDatagram) => void>();
  readonly #waiting: (readonly [name: string, datagram: UdpDatagram])[] = [];

  get openReceivers(): readonly string[] {
    return [...this.#receivers.keys()];
  }

  receive({ port, family }: { readonly port: number; readonly family: number }, onDatagram: (datagram: UdpDatagram) => void): UdpReceiver {
    if (this.receiveError !== undefined) throw this.receiveError;
    const name = `${port}/${family}`;
    if (this.#receivers.has(name)) throw udpError("EADDRINUSE");
    this.#receivers.set(name, onDatagram);
    return { drain: () => this.deliver(), [Symbol.asyncDispose]: async () => void this.#receivers.delete(name) };
  }

  connect(route: UdpRoute): UdpSender {
    const linkIndex = route.iface === undefined ? undefined : this.links.get(route.iface);
    if (route.iface !== undefined && linkIndex === undefined) throw udpError("ENODEV");
    this.openSenders += 1;
    let open = true;
    return {
      linkIndex,
      send: (bytes) => {
        const error = this.sendErrors.shift();
        if (error !== undefined) throw error;
        this.sent.push({ route, bytes });
      },
      [Symbol.dispose]: () => {
        if (open) this.openSenders -= 1;
        open = false;
      },
    };
  }

  /** A datagram that the kernel has and nobody has read yet. */
  arrive(port: number, fields: Partial<UdpDatagram> & { readonly source: IpAddress; readonly bytes: Uint8Array }): void {
    const datagram: UdpDatagram = { destination: "10.0.0.1" as IpAddress, linkIndex: 2, ttl: 255, ...fields };
    this.#waiting.push([`${port}/${fields.source.includes(":") ? 6 : 4}`, datagram]);
  }

  /** The poll: hands on what has arrived. */
  deliver(): void {
    for (const [name, datagram] of this.#waiting.splice(0)) this.#receivers.get(name)?.(datagram);
  }
}
