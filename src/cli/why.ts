import type { EventReport, KnownReport, ServiceReport, StepReport } from "../core/explain-service.js";
import type { FailureReport } from "../core/explain-failure.js";
import { askDaemons, bodyOf, saidError, type ControlPlace } from "./control-client.js";
import { EXIT, type CommandIo, type OutputFormat } from "./io.js";
import { age, shortTime, wrap } from "./table.js";

export interface WhyOptions extends ControlPlace {
  readonly output: OutputFormat;
}

/** Events shown as text; JSON has all. */
const EVENTS_SHOWN = 8;

/**
 * `vip why <namespace>/<service>`. JSON: `{ "service", "processes": [ServiceReport] }`. Exit code: 0 served here or elsewhere, 1 error, 2 not served as far
 * as this node knows, 3 no such Service.
 */
export async function runWhy(service: string, options: WhyOptions, io: CommandIo): Promise<number> {
  try {
    const [namespace, name, ...more] = service.split("/");
    if (namespace === undefined || namespace === "" || name === undefined || name === "" || more.length > 0) throw new Error(`"${service}": expected <namespace>/<service>, such as default/web`);
    const answers = await askDaemons(`/v1/why/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`, options);
    const reports = telling(answers.map((answer) => bodyOf(answer) as ServiceReport));
    io.out(options.output === "json" ? JSON.stringify({ service, processes: reports }, undefined, 2) : reports.map(whyText).join("\n\n"));
    return exitOf(reports);
  } catch (error) {
    return saidError(error, options.output, io);
  }
}

/** A process that serves no Services has nothing to say where another one does. */
function telling(reports: readonly ServiceReport[]): readonly ServiceReport[] {
  const asked = reports.filter(({ type }) => type !== "notAsked");
  return asked.length > 0 ? asked : reports;
}

function exitOf(reports: readonly ServiceReport[]): number {
  const served = reports.some((report) => report.type === "known" && ["here", "elsewhere"].includes(report.verdict.kind));
  if (served) return EXIT.ok;
  return reports.every(({ type }) => type === "unknown") ? EXIT.unknown : EXIT.notServed;
}

/** What `vip why` prints of one process. */
export function whyText(report: ServiceReport): string {
  switch (report.type) {
    case "unknown":
      return unknownText(report);
    case "notAsked":
      return `${report.service}: node ${report.node}: ${report.reason}`;
    case "known":
      return knownText(report);
  }
}

function unknownText({ service, node, near, known }: ServiceReport & { readonly type: "unknown" }): string {
  const head = `${service}: no such Service is known on node ${node} (${known} ${known === 1 ? "is" : "are"})`;
  return near.length === 0 ? head : [`${head}; did you mean:`, ...near.map((key) => `  ${key}`)].join("\n");
}

function knownText(report: KnownReport): string {
  const blocks = [
    wrap(`${report.service}: ${verdictText(report.verdict)}`, 2),
    report.steps.flatMap(stepLines),
    [`in the API: ${report.api.ingress.join(", ") || "no address"}; ${report.api.node === null ? "no node named" : `node ${report.api.node}`}`],
    failureLines(report.lastFailure),
    eventLines(report.events),
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function verdictText({ text, since, but }: KnownReport["verdict"]): string {
  const moment = since === null ? "" : `, since ${shortTime(since.at)} (${age(since.seconds)})`;
  return `${text}${moment}${but === "" ? "" : `, but ${but}`}`;
}

const MARKS = { passed: "ok", pending: "..", refused: "NO" } as const;
/** Where the observed values begin. */
const COLUMN = 18;

function stepLines({ rule, outcome, observed, next, code }: StepReport): readonly string[] {
  // That another node holds it is how it should be.
  const mark = code === "notOwner" ? "->" : MARKS[outcome];
  const lines = wrap(`${observed}${code === null ? "" : ` [${code}]`}`, COLUMN, `  ${mark}  ${rule}`.padEnd(COLUMN));
  return next === null ? lines : [...lines, ...nextLines(next)];
}

/** A command stands on a line of its own and is not cut, so that it can be copied. */
function nextLines(next: string): readonly string[] {
  const at = next.search(/\bkubectl /);
  const indent = " ".repeat(COLUMN);
  const lines = wrap(at === -1 ? next : next.slice(0, at).trimEnd(), COLUMN, `${indent}next: `);
  return at === -1 ? lines : [...lines, `${indent}  ${next.slice(at)}`];
}

function failureLines(failure: FailureReport | null): readonly string[] {
  if (failure === null) return [];
  const { text, times, last, cleared } = failure;
  const state = cleared === null ? "not over" : `over since ${age(cleared.seconds)} ago`;
  return wrap(`last failure: ${age(last.seconds)} ago, ${times === 1 ? "once" : `${times} times`}, ${state}: ${text}`, 2);
}

function eventLines(events: readonly EventReport[]): readonly string[] {
  if (events.length === 0) return [];
  const lines = events.slice(0, EVENTS_SHOWN).flatMap(({ at, what, state, detail }) => wrap(`${what} ${state}${detail === "" ? "" : `: ${detail}`}`, 4, `  ${shortTime(at.at)} (${age(at.seconds)} ago)  `));
  return ["what happened, newest first:", ...lines];
}
