import type { LabContext } from "./context.js";
import type { LabProcess } from "./process.js";

/** BFD packets of one sender that one namespace has received. */
export interface BfdGaps {
  readonly packets: number;
  /** The longest time between two of them, as the kernel took them from the wire, ms. */
  readonly longestMs: number;
  /** Those that said another state than Up. */
  readonly notUp: number;
}

/** Writes down which BFD packets come in to a namespace. */
export interface BfdCapture extends AsyncDisposable {
  /** Ends it. By the address of the sender. */
  stop(): Promise<ReadonlyMap<string, BfdGaps>>;
}

/** Starts to write down the packets of BFD over one hop that come by `eth0`. */
export async function captureBfd(lab: LabContext, ns: string): Promise<BfdCapture> {
  const argv = ["tcpdump", "-i", "eth0", "-n", "-tt", "-l", "--direction=in", "udp port 3784"];
  const tcpdump: LabProcess = await lab.spawn(ns, argv, { name: `bfd-${ns}` });
  await tcpdump.waitFor(/listening on eth0/, 10_000);
  return {
    async stop() {
      await tcpdump.stop("SIGINT");
      return gapsOf(tcpdump.lines());
    },
    async [Symbol.asyncDispose]() {
      await tcpdump[Symbol.asyncDispose]();
    },
  };
}

/** `1700000000.123456 IP 10.77.0.11.50000 > 10.77.0.1.3784: BFDv1, Control, State Up, Flags: [none], length: 24` */
const LINE = /^(\d+\.\d+) IP6? (\S+)\.\d+ > \S+\.3784: BFDv1, Control, State (\w+)/;

function gapsOf(lines: readonly string[]): ReadonlyMap<string, BfdGaps> {
  const gaps = new Map<string, BfdGaps>();
  const last = new Map<string, number>();
  for (const line of lines) {
    const [, seconds, from = "", state] = LINE.exec(line) ?? [];
    if (seconds === undefined) continue;
    const at = Number(seconds) * 1000;
    const { packets, longestMs, notUp } = gaps.get(from) ?? { packets: 0, longestMs: 0, notUp: 0 };
    gaps.set(from, { packets: packets + 1, longestMs: Math.max(longestMs, at - (last.get(from) ?? at)), notUp: notUp + (state === "Up" ? 0 : 1) });
    last.set(from, at);
  }
  return gaps;
}
