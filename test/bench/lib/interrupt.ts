import { setTimeout as sleep } from "node:timers/promises";
import type { Lab } from "../../lab/lab.js";
import { waitFor } from "../../lab/wait.js";
import { progress, spread, type Parameters } from "./figures.js";

/** What a client of one address noticed. */
export interface Interruption {
  /** The longest silence of the worst protocol, from the last answered probe before to the first answered one after. */
  readonly gapMs: number;
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
  return { gapMs: Math.max(udp.gapMs, tcp.gapMs, icmp.gapMs), takeoverMs: first.at - at };
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

/** What is repeated, and how it is told. */
export interface Repeated {
  readonly runs: number;
  readonly name: string;
  /** Most that the gap and the time to the first answer should be, ms. */
  readonly budget?: number;
  readonly parameters: Parameters;
  readonly once: () => Promise<Interruption>;
}

/** Repeats an incident and reports both of its figures. */
export async function repeat({ runs, name, budget, parameters, once }: Repeated): Promise<void> {
  const seen: Interruption[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const one = await once();
    seen.push(one);
    progress(`${name} ${Object.values(parameters).join(" ")} ${run}/${runs}: gap ${Math.round(one.gapMs)} ms, first answer of the new holder after ${Math.round(one.takeoverMs)} ms`);
  }
  const more = { ...parameters, ...(budget === undefined ? {} : { budget }) };
  spread(`${name}.gap`, seen.map(({ gapMs }) => gapMs), "ms", more);
  spread(`${name}.takeover`, seen.map(({ takeoverMs }) => takeoverMs), "ms", more);
}
