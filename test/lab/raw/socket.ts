import ffi from "node:ffi";

// Raw sockets for the programs of the lab, by node:ffi on libc. They are drained on a timer and never waited for,
// so nothing of the event loop is touched. Linux on x64 and arm64.
const { functions: libc } = ffi.dlopen(null, {
  socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
  bind: { arguments: ["int32", "buffer", "int32"], return: "int32" },
  connect: { arguments: ["int32", "buffer", "int32"], return: "int32" },
  send: { arguments: ["int32", "buffer", "uint64", "int32"], return: "int64" },
  recv: { arguments: ["int32", "buffer", "uint64", "int32"], return: "int64" },
  setsockopt: { arguments: ["int32", "int32", "int32", "buffer", "int32"], return: "int32" },
  close: { arguments: ["int32"], return: "int32" },
  __errno_location: { arguments: [], return: "pointer" },
});

/** Address families and socket types, as in the kernel's headers. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_PACKET = 17;
export const SOCK_RAW = 3;
const SOCK_NONBLOCK_CLOEXEC = 0x800 | 0x80000;
const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;

function errno(): number {
  return ffi.getInt32(libc.__errno_location(), 0);
}

function check(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${errno()}`);
  return result;
}

/** A raw socket that never blocks. */
export class RawSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(2048);

  constructor(family: number, protocol: number) {
    this.#fd = check(libc.socket(family, SOCK_RAW | SOCK_NONBLOCK_CLOEXEC, protocol), `socket(${family}, SOCK_RAW, ${protocol})`);
    const size = Buffer.alloc(4);
    size.writeInt32LE(8 << 20);
    check(libc.setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4), "SO_RCVBUFFORCE");
  }

  /** Binds to a sockaddr. */
  bind(address: Buffer): void {
    check(libc.bind(this.#fd, address, address.length), "bind");
  }

  /** Connects to a sockaddr. */
  connect(address: Buffer): void {
    check(libc.connect(this.#fd, address, address.length), "connect");
  }

  /** Sends a packet; false when the kernel refused it (no route, queue full ...). */
  send(packet: Buffer): boolean {
    return libc.send(this.#fd, packet, BigInt(packet.length), MSG_DONTWAIT) >= 0n;
  }

  /** Takes all packets that wait; the bytes are only valid during the call. */
  drain(each: (packet: Buffer) => void): void {
    for (;;) {
      const length = Number(libc.recv(this.#fd, this.#buffer, BigInt(this.#buffer.length), MSG_DONTWAIT));
      if (length < 0) {
        const code = errno();
        if (code === 11) return; // EAGAIN: nothing waits
        if (code === 4) continue; // EINTR
        // A pending error of the socket (host unreachable, network down) was read and is gone: the packets behind it still wait.
        if (code >= 100 && code <= 113) continue;
        throw new Error(`recv: errno ${code}`);
      }
      each(this.#buffer.subarray(0, length));
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

/** sockaddr_ll for an interface and an Ethernet type. */
export function sockaddrLink(etherType: number, ifindex: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(etherType, 2);
  address.writeInt32LE(ifindex, 4);
  return address;
}

/** sockaddr_in or sockaddr_in6 for an address given as its 4 or 16 bytes. */
export function sockaddrInternet(bytes: Buffer): Buffer {
  const v6 = bytes.length === 16;
  const address = Buffer.alloc(v6 ? 28 : 16);
  address.writeUInt16LE(v6 ? AF_INET6 : AF_INET, 0);
  bytes.copy(address, v6 ? 8 : 4);
  return address;
}

/** The bytes of an IPv4 address. */
export function ipv4Bytes(text: string): Buffer {
  return Buffer.from(text.split(".").map(Number));
}

/** The bytes of an IPv6 address without an embedded IPv4 one. */
export function ipv6Bytes(text: string): Buffer {
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = groups(tail ?? "");
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  const bytes = Buffer.alloc(16);
  all.forEach((group, at) => bytes.writeUInt16BE(group, at * 2));
  return bytes;
}
