import type { NodeFacts } from "./facts.js";
import { changes } from "./facts.js";
import { cut, painter, wrap, type Paint } from "./paint.js";

/** Where the demo is shown. */
export interface Screen extends Disposable {
  readonly paint: Paint;
  /** True on a terminal that can be drawn on again. */
  readonly live: boolean;
  /** Prints lines that stay. */
  say(...lines: readonly string[]): void;
  /** Prints an explanation, broken into lines; what starts with a dash hangs from it. */
  explain(text: string): void;
  /** Shows how things are now. */
  show(facts: readonly NodeFacts[]): void;
}

/** What a screen is made for. */
export interface ScreenOptions {
  readonly vip: string;
  /** Seconds since the start of the demo. */
  readonly seconds: () => number;
}

const WIDEST = 100;

/** A screen for stdout: a table that updates in place on a terminal, else a line for each change. */
export function openScreen(options: ScreenOptions): Screen {
  const able = process.stdout.isTTY && process.env["TERM"] !== "dumb";
  const colours = able && (process.env["NO_COLOR"] ?? "") === "";
  return able ? new LiveScreen(options, painter(colours)) : new PlainScreen(options, painter(false));
}

class PlainScreen implements Screen {
  readonly live = false;
  #before = new Map<string, NodeFacts>();

  constructor(
    private readonly options: ScreenOptions,
    readonly paint: Paint,
  ) {}

  say(...lines: readonly string[]): void {
    for (const line of lines) console.log(line);
  }

  explain(text: string): void {
    this.say(...paragraph(text, WIDEST));
  }

  show(facts: readonly NodeFacts[]): void {
    const stamp = `${this.options.seconds().toFixed(2).padStart(7)} s`;
    for (const now of facts) {
      for (const change of changes(this.#before.get(now.node), now, this.options.vip)) this.say(`${stamp}  ${now.node}  ${change}`);
    }
    this.#before = new Map(facts.map((now) => [now.node, now]));
  }

  [Symbol.dispose](): void {
    // Nothing is drawn that would have to be put right.
  }
}

class LiveScreen implements Screen {
  readonly live = true;
  #facts: readonly NodeFacts[] = [];
  #drawn: readonly string[] = [];

  constructor(
    private readonly options: ScreenOptions,
    readonly paint: Paint,
  ) {
    process.stdout.write("\u001b[?25l");
  }

  say(...lines: readonly string[]): void {
    process.stdout.write(`${this.#up()}\u001b[J${lines.map((line) => `${line}\n`).join("")}${this.#table()}`);
  }

  explain(text: string): void {
    this.say(...paragraph(text, Math.min(this.#width(), WIDEST)).map(this.paint.dim));
  }

  show(facts: readonly NodeFacts[]): void {
    this.#facts = facts;
    const up = this.#up();
    const before = this.#drawn.join("\n");
    const table = this.#table();
    if (this.#drawn.join("\n") !== before) process.stdout.write(up + table);
  }

  [Symbol.dispose](): void {
    process.stdout.write("\u001b[?25h");
  }

  #up(): string {
    return this.#drawn.length === 0 ? "" : `\r\u001b[${this.#drawn.length}A`;
  }

  #width(): number {
    return process.stdout.getWindowSize()[0] || 80;
  }

  #table(): string {
    const { vip, seconds } = this.options;
    this.#drawn = this.#facts.length === 0 ? [] : tableLines({ facts: this.#facts, vip, paint: this.paint, width: this.#width(), seconds: seconds() });
    return this.#drawn.map((line) => `${line}\u001b[K\n`).join("");
  }
}

function paragraph(text: string, width: number): string[] {
  const hang = text.startsWith("- ") ? "     " : "   ";
  return wrap(text, width - hang.length).map((line, at) => `${at === 0 ? "   " : hang}${line}`);
}

interface Table {
  readonly facts: readonly NodeFacts[];
  readonly vip: string;
  readonly paint: Paint;
  readonly width: number;
  readonly seconds: number;
}

/** The table: a rule with the time, a heading and a line for each node. */
export function tableLines({ facts, vip, paint: p, width, seconds }: Table): string[] {
  const heading = ["node", "process", "Lease", "has VIP", "lifetime", "answers", "last log message"];
  const rows = facts.map((one) => [
    one.node,
    one.process,
    one.leaseHolder ? "holder" : "",
    one.holdsVip ? "yes" : "",
    one.lifetimeSeconds === undefined ? "" : `${one.lifetimeSeconds} s left`,
    one.answersClient ? "yes" : "",
    one.log.at(-1) ?? "",
  ]);
  const widths = heading.map((title, at) => Math.max(title.length, ...rows.map((row) => (at === 6 ? 0 : (row[at] ?? "").length))));
  const fit = (row: readonly string[]): string => cut(row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd(), width - 3);
  const rule = `─── ${seconds.toFixed(0)} s ─── VIP ${vip} `.padEnd(Math.min(width - 1, WIDEST), "─");
  return ["", p.dim(rule), p.dim(` ${fit(heading)}`), ...rows.map((row, at) => ` ${tint(facts[at], p)(fit(row))}`)];
}

function tint(one: NodeFacts | undefined, p: Paint): (text: string) => string {
  if (one === undefined) return p.dim;
  if (one.holdsVip) return one.alive ? p.green : p.yellow;
  return one.alive ? (text) => text : p.red;
}
