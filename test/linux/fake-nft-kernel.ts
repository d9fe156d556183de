import { encodeMessage, NLMSG_DONE, type NetlinkMessage } from "../../src/wire/netlink/message.js";
import { decodeRule, NFT_NEWGEN, NFT_NEWRULE } from "../../src/wire/netlink/nft.js";
import { numberField } from "../../src/wire/netlink/nft-expression.js";
import { encodeAttributes } from "../../src/wire/netlink/attribute.js";
import { joinBytes } from "../../src/linux/netlink-socket.js";
import { ack, type Incoming } from "./fake-native.js";

const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const DELTABLE = 0xa02;
const NEWRULE = 0xa06;
const GETRULE = 0xa07;
const DELRULE = 0xa08;
const GETGEN = 0xa10;
const ENOENT = 2;
const NLM_F_ACK = 4;
const NLM_F_DUMP_INTR = 0x10;

interface Stored {
  readonly handle: number;
  readonly chain: string;
  readonly payload: Uint8Array;
}

/** The rules of one table, and batches that take effect as a whole or not at all. */
export class FakeNftKernel {
  rules: readonly Stored[] = [];
  generation = 1;
  /** Batches that took effect. */
  batches = 0;
  /** The errno with which the next batches are refused, one for each; 0 = not. */
  readonly refusals: number[] = [];
  /** The next dumps that say that the rules changed meanwhile. */
  interrupted = 0;
  /** No answer comes back. */
  deaf = false;
  /** Called before each batch: somebody else may change something. */
  before: () => void = () => undefined;
  #handle = 0;

  readonly answer = (messages: readonly NetlinkMessage[]): readonly Incoming[] => {
    const [first] = messages;
    if (first === undefined || this.deaf) return [];
    if (first.type === BATCH_BEGIN) return this.#batch(first, messages);
    if (first.type === GETGEN) return [this.#message(first, NFT_NEWGEN, joinBytes([new Uint8Array(4), encodeAttributes([numberField(1, this.generation)])])), ack(first)];
    if (first.type === GETRULE) return this.#dump(first);
    throw new Error(`message ${first.type}`);
  };

  /** The rules of a chain, as many as there are. */
  count(chain: string): number {
    return this.rules.filter((rule) => rule.chain === chain).length;
  }

  /** Somebody else replaces every rule by one that says the same. */
  renumber(): void {
    this.rules = this.rules.map(({ chain, payload }) => ({ chain, payload, handle: (this.#handle += 1) }));
    this.generation += 1;
  }

  #batch(begin: NetlinkMessage, messages: readonly NetlinkMessage[]): readonly Incoming[] {
    this.before();
    const refusal = this.refusals.shift() ?? 0;
    if (refusal !== 0) return [ack(begin, refusal)];
    // A batch that is for one generation has an attribute in its first message.
    if (begin.payload.length > 4 && new DataView(begin.payload.buffer).getUint32(8) !== this.generation) return [ack(begin, 85)];
    if (messages.at(-1)?.type !== BATCH_END) throw new Error("a batch without an end");
    let rules = this.rules;
    for (const message of messages.slice(1, -1)) {
      const next = this.#apply(rules, message);
      if (next === undefined) return [ack(message, ENOENT)];
      rules = next;
    }
    this.rules = rules;
    this.generation += 1;
    this.batches += 1;
    return messages.filter(({ flags }) => (flags & NLM_F_ACK) !== 0).map((message) => ack(message));
  }

  #apply(rules: readonly Stored[], { type, payload }: NetlinkMessage): readonly Stored[] | undefined {
    if (type === DELTABLE) return [];
    if (type !== NEWRULE && type !== DELRULE) return rules;
    const { chain, handle } = decodeRule(payload);
    if (type === NEWRULE) return [...rules, { chain, payload, handle: (this.#handle += 1) }];
    const number = new DataView(handle.buffer).getUint32(4);
    if (number === 0) return rules.filter((rule) => rule.chain !== chain);
    return rules.some((rule) => rule.handle === number) ? rules.filter((rule) => rule.handle !== number) : undefined;
  }

  #dump(request: NetlinkMessage): readonly Incoming[] {
    const { chain } = decodeRule(request.payload);
    const shown = this.rules.filter((rule) => rule.chain === chain).map(({ handle, payload }) => {
      const withHandle = joinBytes([payload, encodeAttributes([{ type: 3, data: Uint8Array.of(0, 0, 0, 0, 0, 0, handle >> 8, handle & 255) }])]);
      return this.#message(request, NFT_NEWRULE, withHandle);
    });
    const interrupted = this.interrupted > 0;
    if (interrupted) this.interrupted -= 1;
    return [...shown, encodeMessage({ ...request, type: NLMSG_DONE, flags: interrupted ? NLM_F_DUMP_INTR : 0, payload: new Uint8Array(4) })];
  }

  #message(request: NetlinkMessage, type: number, payload: Uint8Array): Uint8Array {
    return encodeMessage({ ...request, type, flags: 0, payload });
  }
}
