import { decodeAck, decodeDone, type Ack } from "../wire/netlink/ack.js";
import { encodeMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, type NetlinkMessage } from "../wire/netlink/message.js";
import { batchBegin, batchEnd, NETLINK_NETFILTER, type NftRequest } from "../wire/netlink/nft.js";
import { KernelError } from "./errors.js";
import type { Native } from "./native.js";
import { EAGAIN, EINTR, ENOBUFS, joinBytes, nextSequence, RECEIVE_BUFFER_SIZE, receiveNow } from "./netlink-socket.js";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x8_0000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;

/** A transaction is one datagram, and none may be larger than this. One rule has about 450 octets. */
const TRANSACTION_OCTETS = 32 * 1024 * 1024;
/** Of a transaction that is refused every message may be answered. */
const WAITING_OCTETS = 8 * 1024 * 1024;
/** Rules that change all the time are dumped again this often before it is an error. */
const ATTEMPTS = 20;

const ENOENT = 2;
const EINVAL = 22;
const EPROTONOSUPPORT = 93;
const EOPNOTSUPP = 95;
const EAFNOSUPPORT = 97;

/**
 * What the kernel answers where a part of nf_tables is neither built in nor a module that it can load: no nfnetlink (EPROTONOSUPPORT), no nf_tables (EINVAL
 * to a question, EOPNOTSUPP to a transaction), no family inet (EAFNOSUPPORT), no chain type or expression of that name (ENOENT).
 */
const MISSING: ReadonlySet<number> = new Set([ENOENT, EINVAL, EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT]);
const MISSING_TEXT = "the kernel may lack nf_tables (CONFIG_NF_TABLES, NF_TABLES_INET, NFT_NAT, NFT_NUMGEN; Linux 5.2 or later)";

/** Asks nf_tables of this network namespace. One call at a time; none can be given up in its middle. All throw KernelError and DecodeError. */
export class NftSocket implements Disposable {
  readonly #native: Native;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(RECEIVE_BUFFER_SIZE);
  #seq = 0;

  private constructor(native: Native, fd: number) {
    this.#native = native;
    this.#fd = fd;
  }

  static open(native: Native): NftSocket {
    const fd = native.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd < 0) throw nftError("open a netlink socket for nf_tables", { errno: -fd });
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK]) native.setsockopt(fd, SOL_NETLINK, option, int32(1));
    // FORCE needs CAP_NET_ADMIN in the first user namespace; without it the limit net.core.wmem_max holds.
    const forced = native.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, int32(TRANSACTION_OCTETS)) >= 0;
    if (!forced) native.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, int32(TRANSACTION_OCTETS));
    native.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(WAITING_OCTETS));
    // Any port id, no groups.
    const bound = native.bind(fd, Uint8Array.of(AF_NETLINK, ...new Uint8Array(11)));
    if (bound >= 0) return new NftSocket(native, fd);
    native.close(fd);
    throw nftError("bind a netlink socket for nf_tables", { errno: -bound });
  }

  /** All of it, or nothing. With `generation`, ERESTART where the rules of this host have changed since. */
  async transact(requests: readonly NftRequest[], options: { readonly tried: string; readonly generation?: number | undefined }): Promise<void> {
    const inBatch = requests.map((request, n) => (n === requests.length - 1 ? { ...request, flags: request.flags | NLM_F_ACK } : request));
    const seqs = await this.#write([batchBegin(options.generation), ...inBatch, batchEnd()], options.tried);
    // The kernel has done it all inside the write. Where it refuses, the first answer says why and the rest follows from that.
    const expected = seqs.at(-2);
    let confirmed = false;
    for (const message of this.#answers(options.tried)) {
      if (message.type !== NLMSG_ERROR || !seqs.includes(message.seq)) continue;
      const ack = decodeAck(message);
      if (ack.errno !== 0) throw nftError(options.tried, ack);
      confirmed ||= message.seq === expected;
    }
    if (!confirmed) throw new KernelError(options.tried, ENOBUFS, "the acknowledgement was lost");
  }

  /** All answers to a question, asked again while the kernel says that the rules changed meanwhile. */
  async dump(request: NftRequest, tried: string): Promise<readonly NetlinkMessage[]> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const messages = await this.#ask({ ...request, flags: request.flags | NLM_F_DUMP }, tried);
      if (messages.every(({ flags }) => (flags & NLM_F_DUMP_INTR) === 0)) return messages.slice(0, -1);
    }
    throw new KernelError(tried, EINTR, `the rules changed during each of ${ATTEMPTS} dumps`);
  }

  /** The answers to a question that is no dump. */
  async get(request: NftRequest, tried: string): Promise<readonly NetlinkMessage[]> {
    return (await this.#ask({ ...request, flags: request.flags | NLM_F_ACK }, tried)).slice(0, -1);
  }

  [Symbol.dispose](): void {
    this.#native.close(this.#fd);
  }

  /** What the kernel answers, the end of the dump or the acknowledgement included. */
  async #ask(request: NftRequest, tried: string): Promise<readonly NetlinkMessage[]> {
    const [seq] = await this.#write([request], tried);
    const messages: NetlinkMessage[] = [];
    // Each read makes the kernel prepare the next part, so there is always one to read until the last.
    for (const message of this.#answers(tried)) {
      if (message.seq !== seq) continue;
      messages.push(message);
      if (message.type !== NLMSG_DONE && message.type !== NLMSG_ERROR) continue;
      const end = message.type === NLMSG_DONE ? decodeDone(message) : decodeAck(message);
      if (end.errno !== 0) throw nftError(tried, end);
      return messages;
    }
    throw new KernelError(tried, ENOBUFS, "the answer was lost");
  }

  /** Writes all as one datagram and gives their sequence numbers. The write waits for other transactions, so it runs on another thread. */
  async #write(requests: readonly NftRequest[], tried: string): Promise<readonly number[]> {
    const seqs: number[] = [];
    const messages = requests.map(({ type, flags, payload }) => {
      this.#seq = nextSequence(this.#seq);
      seqs.push(this.#seq);
      return encodeMessage({ type, flags: flags | NLM_F_REQUEST, seq: this.#seq, portId: 0, payload });
    });
    const written = await this.#native.writeOffLoop(this.#fd, joinBytes(messages));
    if (written < 0) throw nftError(tried, { errno: -written });
    return seqs;
  }

  /** All that waits on the socket. */
  *#answers(tried: string): Generator<NetlinkMessage, void, undefined> {
    for (;;) {
      const received = receiveNow(this.#native, this.#fd, this.#buffer);
      if ("messages" in received) yield* received.messages;
      else if (received.errno === EAGAIN) return;
      // ENOBUFS is said once; what was not lost still follows.
      else if (received.errno !== ENOBUFS && received.errno !== EINTR) throw new KernelError(tried, received.errno, "reading the answer");
    }
  }
}

function nftError(tried: string, { errno, text }: Pick<Ack, "errno"> & Partial<Ack>): KernelError {
  return new KernelError(tried, errno, text ?? (MISSING.has(errno) ? MISSING_TEXT : undefined));
}

function int32(value: number): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setInt32(0, value, true);
  return new Uint8Array(bytes.buffer);
}
