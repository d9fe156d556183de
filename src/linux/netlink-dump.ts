import { decodeAck, decodeDone, type Ack } from "../wire/netlink/ack.js";
import {
  encodeMessage,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
} from "../wire/netlink/message.js";
import { KernelError } from "./errors.js";
import type { Native } from "./native.js";
import { EAGAIN, EINTR, ETIMEDOUT, openNetlink, RECEIVE_BUFFER_SIZE, receiveOffLoop, type NetlinkRequest } from "./netlink-socket.js";

/** A table that changes all the time is dumped again this often before it is an error. */
const ATTEMPTS = 20;
/** A dump of ours never takes so long; it keeps a thread of the pool from waiting for ever. */
const TIMEOUT_SECONDS = 5;
const SEQ = 1;

/**
 * All messages of one table, dumped again while the kernel says that it changed meanwhile. Each attempt has a socket of its own, so nothing of a
 * dump that was given up can get into the next. `signal` is looked at between reads. Throws KernelError, DecodeError or `signal.reason`.
 */
export async function dump(native: Native, request: NetlinkRequest, signal: AbortSignal): Promise<readonly NetlinkMessage[]> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const messages = await dumpOnce(native, request, signal);
    if (messages !== undefined) return messages;
  }
  throw new KernelError(request.tried, EINTR, `the table changed during each of ${ATTEMPTS} dumps`);
}

/** Undefined where the table changed meanwhile. */
async function dumpOnce(native: Native, request: NetlinkRequest, signal: AbortSignal): Promise<readonly NetlinkMessage[] | undefined> {
  signal.throwIfAborted();
  const fd = openNetlink(native, { groups: 0, receiveBuffer: undefined, receiveTimeoutSeconds: TIMEOUT_SECONDS, protocol: request.protocol });
  try {
    const { type, flags, payload } = request;
    const bytes = encodeMessage({ type, flags: flags | NLM_F_REQUEST | NLM_F_DUMP, seq: SEQ, portId: 0, payload: payload() });
    const written = await native.writeOffLoop(fd, bytes);
    if (written < 0) throw new KernelError(request.tried, -written);
    return await readAll(native, { fd, tried: request.tried, signal });
  } finally {
    native.close(fd);
  }
}

interface Reading {
  readonly fd: number;
  readonly tried: string;
  readonly signal: AbortSignal;
}

async function readAll(native: Native, { fd, tried, signal }: Reading): Promise<readonly NetlinkMessage[] | undefined> {
  const buffer = new Uint8Array(RECEIVE_BUFFER_SIZE);
  const messages: NetlinkMessage[] = [];
  for (;;) {
    signal.throwIfAborted();
    const received = await receiveOffLoop(native, fd, buffer);
    if ("errno" in received) {
      if (received.errno === EINTR) continue;
      throw new KernelError(tried, received.errno === EAGAIN ? ETIMEDOUT : received.errno, "reading the dump");
    }
    messages.push(...received.messages.filter((message) => message.seq === SEQ));
    const last = messages.at(-1);
    if (last === undefined || !isEnd(last)) continue;
    throwIfRefused(last.type === NLMSG_DONE ? decodeDone(last) : decodeAck(last), tried);
    if (messages.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0)) return undefined;
    return messages.slice(0, -1);
  }
}

function isEnd({ type }: NetlinkMessage): boolean {
  return type === NLMSG_DONE || type === NLMSG_ERROR;
}

function throwIfRefused(ack: Ack, tried: string): void {
  if (ack.errno !== 0) throw new KernelError(tried, ack.errno, ack.text);
}
