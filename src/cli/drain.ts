import type { NodeReport } from "../core/explain.js";
import { DRAIN } from "../core/node-standing.js";
import { VIP_HOST } from "../core/status.js";
import { createClusterReader, type ClusterReader } from "../kube/lease-list.js";
import { createClock } from "../linux/clock.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import { apiConnection, type ApiOptions } from "./api-connection.js";
import { askDaemons, bodyOf, saidError, type ControlPlace } from "./control-client.js";
import { EXIT, type CommandIo, type OutputFormat } from "./io.js";
import { table } from "./table.js";

export interface DrainOptions extends ControlPlace, ApiOptions {
  readonly output: OutputFormat;
  /** Calls it off. */
  readonly undo: boolean;
}

/** One key, or one Service, and where it went. */
export interface Moved {
  readonly key: string;
  readonly from: string;
  /** Empty: nobody has it. */
  readonly to: string;
}

/** What a command that moves VIPs tells. */
export interface MovesReport {
  readonly done: string;
  readonly moved: readonly Moved[];
  /** What is still where it was to go away from. */
  readonly stays: readonly string[];
}

/** Handing over takes a second where somebody answers; who does not is left out, and another is asked. */
const SETTLE_MS = 8000;
/** Without a move for so long there is none to come. */
const QUIET_MS = 2500;
/** Many keys take longer: they go on to move when the command has ended. */
const REBALANCE_MS = 60_000;
const POLL_MS = 200;
const SHOWN = 20;

/**
 * `vip drain [node]`: the VIPs of a node are handed over, make before break, and stay away until it is called off. Without a name the daemons of this node are
 * asked, who forget it when they end; with one, the Node gets an annotation, which lasts. JSON: MovesReport.
 */
export async function runDrain(node: string | undefined, options: DrainOptions, io: CommandIo): Promise<number> {
  const clock = createClock();
  try {
    const report = node === undefined ? await drainHere(options, clock) : await drainThere(node, options, clock);
    io.out(options.output === "json" ? JSON.stringify(report, undefined, 2) : movesText(report));
    return report.stays.length === 0 || options.undo ? EXIT.ok : EXIT.notServed;
  } catch (error) {
    return saidError(error, options.output, io);
  }
}

/** `vip rebalance`: all members spread the keys evenly now. JSON: MovesReport. */
export async function runRebalance(options: ControlPlace & { readonly output: OutputFormat }, io: CommandIo): Promise<number> {
  const clock = createClock();
  try {
    const before = await owners(options);
    const answers = await askDaemons("/v1/rebalance", options, "POST");
    // Of two daemons on a node one serves the control plane alone.
    const willing = answers.filter(({ status }) => status === 200);
    for (const answer of willing.length > 0 ? [] : answers) bodyOf(answer);
    const end = clock.now() + REBALANCE_MS;
    const after = await untilQuiet(async () => owners(options), { clock, ms: REBALANCE_MS });
    const done = clock.now() < end ? "the keys are spread evenly" : "the keys are being spread evenly: not all has moved yet, and it goes on";
    const report: MovesReport = { done, moved: movesOf(before.holders, after.holders), stays: [] };
    io.out(options.output === "json" ? JSON.stringify(report, undefined, 2) : movesText(report));
    return EXIT.ok;
  } catch (error) {
    return saidError(error, options.output, io);
  }
}

interface Owners {
  /** By key. */
  readonly holders: ReadonlyMap<string, string>;
  readonly mine: readonly string[];
}

async function owners(place: ControlPlace): Promise<Owners> {
  const reports = (await askDaemons("/v1/status", place)).map((answer) => bodyOf(answer) as NodeReport);
  const all = reports.flatMap(({ ownership }) => ownership);
  return { holders: new Map(all.map(({ key, holder }) => [key, holder])), mine: all.flatMap(({ key, mine }) => (mine ? [key] : [])) };
}

async function drainHere(options: DrainOptions, clock: Clock): Promise<MovesReport> {
  const before = await owners(options);
  for (const answer of await askDaemons(options.undo ? "/v1/undrain" : "/v1/drain", options, "POST")) bodyOf(answer);
  if (options.undo) return { done: "this node takes part again; VIPs come back as they are spread, not at once", moved: [], stays: [] };
  const after = await untilQuiet(async () => owners(options), { clock, ms: SETTLE_MS, enough: ({ mine }) => mine.length === 0 });
  return { done: "this node is drained until `vip drain --undo`, or until its daemon ends", moved: movesOf(before.holders, after.holders), stays: after.mine };
}

async function drainThere(node: string, options: DrainOptions, clock: Clock): Promise<MovesReport> {
  await using reader = createClusterReader(apiConnection(options), { clock, log: SILENT });
  const signal = new AbortController().signal;
  const before = await hosts(reader, signal);
  await reader.patchNode(node, { annotations: { [DRAIN]: options.undo ? null : "true" } }, signal);
  if (options.undo) return { done: `node ${node} takes part again; VIPs come back as they are spread, not at once`, moved: [], stays: [] };
  const on = (found: ReadonlyMap<string, string>): readonly string[] => [...found].flatMap(([key, host]) => (host === node ? [key] : []));
  const after = await untilQuiet(async () => hosts(reader, signal), { clock, ms: SETTLE_MS, enough: (found) => on(found).length === 0 });
  return { done: `node ${node} is drained until \`vip drain --undo ${node}\` (annotation ${DRAIN})`, moved: movesOf(before, after), stays: on(after) };
}

/** Which node says of each Service that it holds it. */
async function hosts(reader: Pick<ClusterReader, "services">, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const services = await reader.services(signal);
  return new Map(services.flatMap(({ namespace, name, annotations }) => (annotations[VIP_HOST] === undefined ? [] : [[`${namespace}/${name}`, annotations[VIP_HOST]] as const])));
}

const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, with: () => SILENT };

interface Until<T> {
  readonly clock: Clock;
  readonly ms: number;
  readonly enough?: (now: T) => boolean;
}

/** Asks again and again until it is enough, nothing has changed for a while, or time is up; what was seen last. */
async function untilQuiet<T extends object>(ask: () => Promise<T>, { clock, ms, enough }: Until<T>): Promise<T> {
  const end = clock.now() + ms;
  let last = await ask();
  let changedAt = clock.now();
  while (clock.now() < end && clock.now() < changedAt + QUIET_MS && enough?.(last) !== true) {
    await new Promise<void>((resolve) => clock.after(POLL_MS, resolve));
    const next = await ask();
    if (textOf(next) !== textOf(last)) changedAt = clock.now();
    last = next;
  }
  return last;
}

function textOf(value: object): string {
  return JSON.stringify(value, (_key, part: unknown) => (part instanceof Map ? [...part] : part));
}

/** What is held by another than before; a key that is gone went nowhere. */
export function movesOf(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly Moved[] {
  const moved: Moved[] = [];
  for (const [key, from] of before) {
    const to = after.get(key);
    if (to !== undefined && to !== from && from !== "") moved.push({ key, from, to });
  }
  return moved.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** What the commands print. */
export function movesText({ done, moved, stays }: MovesReport): string {
  const lines = [done];
  if (moved.length > 0) lines.push("", ...table(["MOVED", "FROM", "TO"], moved.slice(0, SHOWN).map(({ key, from, to }) => [key, from, to === "" ? "(nobody)" : to])));
  if (moved.length > SHOWN) lines.push(`and ${moved.length - SHOWN} more (-o json has all)`);
  if (moved.length === 0) lines.push("nothing has moved");
  if (stays.length > 0) lines.push("", `! still here, for no other node takes it: ${stays.slice(0, SHOWN).join(", ")}${stays.length > SHOWN ? ` and ${stays.length - SHOWN} more` : ""}`);
  return lines.join("\n");
}
