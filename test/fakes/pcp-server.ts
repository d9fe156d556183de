import { ipFromBytes, ipToBytes, parseIp, type IpAddress } from "../../src/lib/ip.js";
import type { PcpListener, PcpPath, PcpSockets } from "../../src/ports/pcp.js";
import type { OnDatagram } from "../../src/ports/ssdp.js";
import { OpenSockets } from "./open-sockets.js";

/** How a fake server behaves; all of it may be changed while it runs. */
export interface PcpServerOptions {
  /** What it knows; what it does not, it passes over, or refuses in NAT-PMP's words where `refusesNewer`. */
  readonly dialects?: readonly ("pcp" | "nat-pmp")[];
  readonly refusesNewer?: boolean;
  /** Answers everything with this result. */
  readonly result?: number;
  /** The external port that it gives in place of the wanted one. */
  readonly instead?: number;
  /** The longest lease that it gives, s. */
  readonly longest?: number;
  readonly answers?: boolean;
  /** Octets that it sends before its own answer. */
  readonly before?: readonly Uint8Array[];
}

const PROTOCOLS: Readonly<Record<number, string>> = { 6: "TCP", 17: "UDP" };

/** A next hop with PCP and NAT-PMP in memory. */
export class FakePcpServer {
  /** `TCP 80` -> `10.77.0.200:80 3600`. */
  readonly mappings = new Map<string, string>();
  readonly #nonces = new Map<string, string>();
  /** Every datagram that came, in hex, with its sender. */
  readonly heard: { readonly from: IpAddress; readonly hex: string }[] = [];
  readonly opened = new OpenSockets();
  options: PcpServerOptions = { dialects: [] };
  readonly #listeners = new Set<OnDatagram>();
  #bornAt: number;

  constructor(
    readonly host: IpAddress,
    private readonly now: () => number,
    readonly external = parseIp("198.51.100.7") as IpAddress,
  ) {
    this.#bornAt = now();
  }

  readonly sockets: PcpSockets = {
    connect: async (path, listener, signal) => {
      signal.throwIfAborted();
      return { send: async (bytes) => this.#take(bytes, path, listener), ...this.opened.open() };
    },
    listen: async (_at, received, signal) => {
      signal.throwIfAborted();
      this.#listeners.add(received);
      return this.opened.open(() => this.#listeners.delete(received));
    },
  };

  /** Loses everything, silently. */
  restart(): void {
    this.mappings.clear();
    this.#nonces.clear();
    this.#bornAt = this.now();
  }

  /** Any datagram to all hosts of the link. */
  announce(from = this.host): void {
    for (const received of this.#listeners) received(Uint8Array.of(2, 0x80, 0, 0), from);
  }

  get epoch(): number {
    return Math.floor((this.now() - this.#bornAt) / 1000);
  }

  #take(bytes: Uint8Array, { from, to }: PcpPath, listener: PcpListener): void {
    if (to !== this.host) throw new Error(`asked as ${to}`);
    this.heard.push({ from, hex: Buffer.from(bytes).toString("hex") });
    if (this.options.answers === false) return;
    const dialect = bytes[0] === 2 ? "pcp" : "nat-pmp";
    for (const other of this.options.before ?? []) listener.received(other);
    if (this.options.dialects?.includes(dialect) !== false) listener.received(dialect === "pcp" ? this.#pcp(bytes, from) : this.#natPmp(bytes, from));
    else if (this.options.refusesNewer === true) listener.received(this.#oldHeader(0x80 | (bytes[1] ?? 0), 1, 8));
  }

  #pcp(bytes: Uint8Array, from: IpAddress): Uint8Array {
    const request = new DataView(bytes.buffer, bytes.byteOffset);
    const out = Uint8Array.from(bytes);
    const answer = new DataView(out.buffer);
    out[1] = 0x80 | (bytes[1] ?? 0);
    out.fill(0, 12, 24);
    answer.setUint32(8, this.epoch);
    const client = ipFromBytes(bytes.slice(from.includes(":") ? 8 : 20, 24));
    out[3] = this.options.result ?? (client === from ? 0 : 12);
    if (bytes[1] !== 1 || out[3] !== 0) return out;
    const protocol = PROTOCOLS[bytes[36] ?? 0] ?? "";
    const target = `${from}:${request.getUint16(40)}`;
    const nonce = Buffer.from(bytes.slice(24, 36)).toString("hex");
    const known = this.#nonces.get(`${protocol} ${target}`);
    if (known !== undefined && known !== nonce) {
      out[3] = 2;
      return out;
    }
    const { port, seconds } = this.#mapped(protocol, target, { wanted: request.getUint16(42), seconds: request.getUint32(4) });
    if (seconds === 0) this.#nonces.delete(`${protocol} ${target}`);
    else this.#nonces.set(`${protocol} ${target}`, nonce);
    answer.setUint32(4, seconds);
    answer.setUint16(42, port);
    if (!from.includes(":")) out.set(ipToBytes(this.external), 56);
    return out;
  }

  #natPmp(bytes: Uint8Array, from: IpAddress): Uint8Array {
    const opcode = bytes[1] ?? 0;
    const out = this.#oldHeader(0x80 | opcode, this.options.result ?? 0, opcode === 0 ? 12 : 16);
    if (opcode === 0) out.set(ipToBytes(this.external), 8);
    else {
      const request = new DataView(bytes.buffer, bytes.byteOffset);
      const answer = new DataView(out.buffer);
      const target = `${from}:${request.getUint16(4)}`;
      const { port, seconds } = this.#mapped(opcode === 2 ? "TCP" : "UDP", target, { wanted: request.getUint16(6), seconds: request.getUint32(8) });
      answer.setUint16(8, request.getUint16(4));
      answer.setUint16(10, port);
      answer.setUint32(12, seconds);
    }
    return this.options.result === undefined ? out : out.slice(0, 8);
  }

  #oldHeader(opcode: number, result: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    const view = new DataView(out.buffer);
    view.setUint8(1, opcode);
    view.setUint16(2, result);
    view.setUint32(4, this.epoch);
    return out;
  }

  #mapped(protocol: string, target: string, { wanted, seconds }: { readonly wanted: number; readonly seconds: number }): { readonly port: number; readonly seconds: number } {
    for (const [key, value] of this.mappings) if (key.startsWith(`${protocol} `) && value.startsWith(`${target} `)) this.mappings.delete(key);
    if (seconds === 0) return { port: 0, seconds };
    const port = this.options.instead ?? wanted;
    const given = Math.min(seconds, this.options.longest ?? 86_400);
    this.mappings.set(`${protocol} ${port}`, `${target} ${given}`);
    return { port, seconds: given };
  }
}
