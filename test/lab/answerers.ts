import type { LabContext } from "./context.js";
import { lastJson } from "./probe.js";
import type { LabProcess } from "./process.js";

/** How often who is asked. */
export interface AnswerersOptions {
  /** From one request for an address to the next, in ms. Default 20. */
  readonly intervalMs?: number;
  /** Addresses asked more often than the others. */
  readonly often?: { readonly vips: readonly string[]; readonly intervalMs: number };
  /** Where the requests come from. Default `client`. */
  readonly from?: string;
}

/** What kind of packet tells of an address without being asked: ARP, or a Neighbor Advertisement. */
export type GratuitousOp = "request" | "reply" | "advertisement";

/** Who answered for one address. Times are milliseconds of the machine's monotonic clock (`lab.now()`). */
export interface VipAnswerers {
  readonly vip: string;
  readonly rounds: number;
  readonly answeredRounds: number;
  /** Replies by MAC. */
  readonly macs: Readonly<Record<string, number>>;
  /** Who answered when, in order: a new entry when the answering MACs changed (`MAC` or `MAC+MAC`). */
  readonly holders: readonly { readonly macs: string; readonly from: number; readonly to: number }[];
  /** The longest run of rounds in which two MACs answered, each round counted as one interval. */
  readonly overlapMs: number;
  /** The longest silence between two answered rounds, by the times of sending; about the interval when there was none. */
  readonly longestGapMs: number;
  /** From the last answered round to the end. */
  readonly silentAtEndMs: number;
  /** Gratuitous ARP packets or unsolicited Neighbor Advertisements seen, the first 1,000. */
  readonly gratuitous: readonly { readonly mac: string; readonly at: number; readonly op: GratuitousOp }[];
}

/** Who answered for all addresses. */
export interface AnswerersResult {
  readonly perVip: readonly VipAnswerers[];
  readonly worstOverlapMs: number;
  readonly started: number;
  readonly ended: number;
  /** Requests that the socket refused, because its queue was full; rounds without a request are not counted. */
  readonly refused: number;
}

/** A running watch on who answers. */
export interface Answerers extends AsyncDisposable {
  readonly process: LabProcess;
  /** Ends it and returns what it saw. */
  stop(): Promise<AnswerersResult>;
}

/** Starts asking for these addresses, by ARP or Neighbor Solicitation; resolves when the first requests go out. */
export async function startAnswerers(lab: LabContext, vips: readonly string[], options: AnswerersOptions): Promise<Answerers> {
  const { intervalMs = 20, often, from = "client" } = options;
  const others = often === undefined ? vips : vips.filter((vip) => !often.vips.includes(vip));
  const groups = [{ vips: others, intervalMs }, ...(often === undefined ? [] : [often])].filter((group) => group.vips.length > 0);
  const program = await lab.spawnProgram(from, "answerers", [JSON.stringify({ iface: "eth0", groups })]);
  await program.waitFor(/^ready$/);
  return {
    process: program,
    async stop() {
      await program.stop("SIGINT");
      return lastJson(program) as AnswerersResult;
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
    },
  };
}
