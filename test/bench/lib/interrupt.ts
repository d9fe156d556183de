import { setTimeout as sleep } from "node:timers/promises";
import type { Lab } from "../../lab/lab.js";
import { waitFor } from "../../lab/wait.js";
import { progress, spread, type Parameters } from "./figures.js";

/** What a client of one address noticed. */
export interface Interruption {
  /** The longest silence of the worst protocol, from the last answered probe before to the first answered one after. */
  readonly gapMs: number;
  /** The same for each protocol. */
  readonly gaps: { readonly udp: number; readonly tcp: number; readonly icmp: number };
  /** UDP probes that were sent and never answered: none where only the probe itself was held up. */
  readonly lost: number;
  /** From the event to the first answer by another node. */
  readonly takeoverMs: number;
}

/** Something that is done to the holder of an address. */
export interface Incident {
  readonly vip: string;
  /** Who holds it. */
  readonly holder: string;
  /** Starts it; need not wait for the effect. */
  readonly inject: () => void | Promise<void>;
}

/** How long a probe runs before anything happens: long enough for the client's ARP entry to be an old one, plus a random phase. */
const BEFORE_MS = 1200;
const PHASE_MS = 1000;
/** How long it goes on after the new holder has the address. */
const AFTER_MS = 1000;

/** Probes an address through an incident, until another node has it. */
export async function interrupt(lab: Lab, { vip, holder, inject }: Incident): Promise<Interruption> {
  await using probe = await lab.probe(vip);
  await sleep(BEFORE_MS + Math.random() * PHASE_MS);
  const at = lab.now();
  await inject();
  await takenFrom(lab, vip, holder);
  await sleep(AFTER_MS);
  const { udp, tcp, icmp } = await probe.stop();
  const first = udp.nodes.find((answer) => answer.node !== holder && answer.at > at);
  if (first === undefined) throw new Error(`${vip}: no other node answered within ${Math.round(lab.now() - at)} ms after ${holder} was interrupted`);
  const gaps = { udp: udp.gapMs, tcp: tcp.gapMs, icmp: icmp.gapMs };
  return { gapMs: Math.max(...Object.values(gaps)), gaps, lost: udp.sent - udp.answered, takeoverMs: first.at - at };
}

/** Waits until a node other than this one has the address, looking seldom enough not to load the machine. */
async function takenFrom(lab: Lab, vip: string, holder: string): Promise<void> {
  await waitFor(
    async () => {
      await sleep(100);
      return (await lab.holders(vip)).some((name) => name !== holder);
    },
    20_000,
    `${vip} on another node than ${holder}`,
  );
}

/** The longest silence that a probe sees while nothing happens: what the machine itself adds to every gap. */
export async function undisturbed(lab: Lab, vip: string, ms: number): Promise<number> {
  await using probe = await lab.probe(vip);
  await sleep(ms);
  const { udp, tcp, icmp } = await probe.stop();
  return Math.max(udp.gapMs, tcp.gapMs, icmp.gapMs);
}

/** What is repeated, and how it is told. */
export interface Repeated {
  readonly runs: number;
  readonly name: string;
  /** The most that they should be, ms. */
  readonly budget?: { readonly gap: number; readonly takeover?: number };
  readonly parameters: Parameters;
  readonly once: () => Promise<Interruption>;
}

/** Repeats an incident and reports both of its figures. */
export async function repeat({ runs, name, budget, parameters, once }: Repeated): Promise<void> {
  const seen: Interruption[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const one = await once();
    seen.push(one);
    const gaps = Object.entries(one.gaps).map(([protocol, ms]) => `${protocol} ${Math.round(ms)}`).join(" ");
    progress(`${name} ${Object.values(parameters).join(" ")} ${run}/${runs}: gap ${gaps} ms, ${one.lost} lost, first answer of the new holder after ${Math.round(one.takeoverMs)} ms`);
  }
  spread(`${name}.gap`, seen.map(({ gapMs }) => gapMs), "ms", { ...parameters, budget: budget?.gap });
  spread(`${name}.takeover`, seen.map(({ takeoverMs }) => takeoverMs), "ms", { ...parameters, budget: budget?.takeover });
}
