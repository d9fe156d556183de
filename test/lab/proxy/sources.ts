import type { LabContext } from "../context.js";
import { lastJson } from "../probe.js";
import type { LabProcess } from "../process.js";
import { POD_PORTS } from "../service-plane.js";

/** What came of one question to an address. */
export interface SourceSample {
  /** When it was asked, in ms of `lab.now()`. */
  readonly at: number;
  readonly vip: string;
  readonly protocol: "tcp" | "udp";
  /** `refused`: a TCP reset or ICMP port unreachable came back; `silent`: nothing in time. */
  readonly outcome: "answered" | "refused" | "silent";
  /** The pod that answered, and the address and port of the client as it saw them. */
  readonly pod?: string;
  readonly address?: string;
  readonly port?: number;
}

/** What the program `sources` does. */
export interface SourceTask {
  readonly targets: readonly { readonly vip: string; readonly protocol: "tcp" | "udp"; readonly port: number }[];
  readonly intervalMs: number;
  /** Ends by itself after so many; otherwise at SIGINT. */
  readonly rounds?: number;
  /** An answer that comes later is none, in ms. */
  readonly patienceMs: number;
  /** Ask by UDP from a new port each time. Otherwise the same port asks on and on, as a flow does. */
  readonly freshPorts: boolean;
}

/** How an address is asked. */
export interface AskOptions {
  /** By UDP. Default: by TCP. */
  readonly udp?: boolean;
  /** Where it is asked from. Default `client`. */
  readonly from?: string;
  /** The port of the Service. Default 80 for TCP and 9000 for UDP. */
  readonly port?: number;
}

/** Asks an address so many times, each from a new port, 5 ms apart; waits at most a second for each answer. */
export async function ask(lab: LabContext, vip: string, { udp = false, from = "client", port, times = 1 }: AskOptions & { readonly times?: number } = {}): Promise<readonly SourceSample[]> {
  const target = { vip, protocol: udp ? "udp" : "tcp", port: port ?? (udp ? POD_PORTS.udp : 80) } as const;
  const task: SourceTask = { targets: [target], intervalMs: 5, rounds: times, patienceMs: 1000, freshPorts: true };
  const { stdout } = await lab.exec(from, [process.execPath, "--disable-warning=ExperimentalWarning", lab.built("lab/sources.mjs"), JSON.stringify(task)]);
  return (JSON.parse(stdout.slice(stdout.indexOf("{"))) as { readonly samples: readonly SourceSample[] }).samples;
}

/** The client's address as the pod behind this address sees it, and which pod that is; undefined where nobody answers within a second. */
export async function sourceSeen(lab: LabContext, vip: string, options: AskOptions = {}): Promise<{ readonly pod: string; readonly address: string } | undefined> {
  const [sample] = await ask(lab, vip, options);
  return sample?.pod === undefined || sample.address === undefined ? undefined : { pod: sample.pod, address: sample.address };
}

/** How addresses are asked again and again. */
export interface SourceProbeOptions {
  /** IPv4 and IPv6 addresses; each is asked by TCP at port 80 and by UDP at 9000. */
  readonly vips: readonly string[];
  /** From one round to the next, in ms. Default 20. */
  readonly intervalMs?: number;
  /** Default `client`. */
  readonly from?: string;
}

/** A running source probe. */
export interface SourceProbe extends AsyncDisposable {
  readonly process: LabProcess;
  /** Ends it; returns every question with what came of it, in the order of asking. */
  stop(): Promise<readonly SourceSample[]>;
}

/** Asks addresses for the source that their pods see, by TCP (new connections) and by UDP (one flow for each address); resolves when it asks. */
export async function startSourceProbe(lab: LabContext, { vips, intervalMs = 20, from = "client" }: SourceProbeOptions): Promise<SourceProbe> {
  const targets = vips.flatMap((vip) => [{ vip, protocol: "tcp", port: 80 } as const, { vip, protocol: "udp", port: POD_PORTS.udp } as const]);
  const task: SourceTask = { targets, intervalMs, patienceMs: 400, freshPorts: false };
  const program = await lab.spawnProgram(from, "sources", [JSON.stringify(task)]);
  await program.waitFor(/^ready$/);
  return {
    process: program,
    async stop() {
      await program.stop("SIGINT");
      return (lastJson(program) as { readonly samples: readonly SourceSample[] }).samples;
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
    },
  };
}

/** The answered questions after `since` (`lab.now()`) for which the pod saw another address than one of these. */
export function foreignSources(samples: readonly SourceSample[], own: readonly string[], since = 0): readonly SourceSample[] {
  return samples.filter(({ at, outcome, address = "" }) => at >= since && outcome === "answered" && !own.includes(address));
}
