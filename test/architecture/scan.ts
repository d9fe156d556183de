/** A source file as text. */
export interface SourceFile {
  /** From the root of the project: `src/core/plan.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type`, `export type`: nothing of it is there at run time. */
  readonly typeOnly: boolean;
}

export interface Scanned extends SourceFile {
  /** The text without comments, and with the contents of strings, templates and regular expressions blanked. Offsets and lines stay. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** What was recognised at one place: how far it goes, and what stays of it. */
interface Piece {
  readonly end: number;
  readonly kept: string;
}

/** Reads a file without a parser: enough to find imports and identifiers, and not to take a comment or a string for either. */
export function scan(file: SourceFile): Scanned {
  const strings = new Map<number, string>();
  const code = blank(file.text, strings);
  return { ...file, code, imports: importsOf(code, strings) };
}

/** Line of an offset, from 1. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function blank(text: string, strings: Map<number, string>): string {
  let code = "";
  // Open braces of `${` in templates: how deep we are in each of them.
  const templates: number[] = [];
  let at = 0;
  while (at < text.length) {
    const piece = pieceAt(text, at, { code, templates, strings });
    code += piece.kept;
    at = piece.end;
  }
  return code;
}

interface State {
  readonly code: string;
  readonly templates: number[];
  readonly strings: Map<number, string>;
}

function pieceAt(text: string, at: number, { code, templates, strings }: State): Piece {
  const char = text.charAt(at);
  const two = text.slice(at, at + 2);
  if (two === "//") return blanked(text, at, endOf(text, "\n", at));
  if (two === "/*") return blanked(text, at, endOf(text, "*/", at + 2) + 2);
  if (char === '"' || char === "'") return quoted(text, at, strings);
  if (char === "`") return template(text, at, templates);
  if (char === "/" && regexMayFollow(code)) return regex(text, at);
  const depth = templates.at(-1);
  if (depth !== undefined && char === "{") templates[templates.length - 1] = depth + 1;
  if (depth !== undefined && char === "}") {
    if (depth === 0) {
      templates.pop();
      return template(text, at, templates);
    }
    templates[templates.length - 1] = depth - 1;
  }
  return { end: at + 1, kept: char };
}

function endOf(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from);
  return found === -1 ? text.length : found;
}

function spaces(text: string): string {
  return text.replaceAll(/[^\n]/g, " ");
}

function blanked(text: string, start: number, end: number): Piece {
  return { end: Math.min(end, text.length), kept: spaces(text.slice(start, end)) };
}

function quoted(text: string, start: number, strings: Map<number, string>): Piece {
  const quote = text.charAt(start);
  let end = start + 1;
  while (end < text.length && text.charAt(end) !== quote) end += text.charAt(end) === "\\" ? 2 : 1;
  const inside = text.slice(start + 1, end);
  strings.set(start, inside);
  return { end: end + 1, kept: `${quote}${spaces(inside)}${quote}` };
}

/** The text of a template from a backtick or the `}` of a substitution on, up to its end or the next `${`. */
function template(text: string, start: number, templates: number[]): Piece {
  let end = start + 1;
  while (end < text.length) {
    if (text.charAt(end) === "\\") end += 1;
    else if (text.charAt(end) === "`") return { end: end + 1, kept: `${text.charAt(start)}${spaces(text.slice(start + 1, end))}\`` };
    else if (text.startsWith("${", end)) {
      templates.push(0);
      return { end: end + 2, kept: `${text.charAt(start)}${spaces(text.slice(start + 1, end))}\${` };
    }
    end += 1;
  }
  return { end, kept: spaces(text.slice(start)) };
}

/** After a value a slash divides; after an operator, an opening bracket or a keyword it begins a regular expression. */
function regexMayFollow(code: string): boolean {
  const before = code.trimEnd();
  return before === "" || /[(,=:[!&|?{};+\-*%<>~^]$/.test(before) || /\b(return|typeof|case|in|of|await|yield|void)$/.test(before);
}

function regex(text: string, start: number): Piece {
  let end = start + 1;
  let inClass = false;
  while (end < text.length && text.charAt(end) !== "\n" && (inClass || text.charAt(end) !== "/")) {
    const char = text.charAt(end);
    if (char === "[") inClass = true;
    if (char === "]") inClass = false;
    end += char === "\\" ? 2 : 1;
  }
  return { end: end + 1, kept: `/${spaces(text.slice(start + 1, end))}/` };
}

// `import … from "x"`, `export … from "x"`, `import "x"`, `import("x")`, `require("x")`. What stands in between has no quote and no semicolon.
const IMPORT = /(?<![.\w$])(?:(?:import|export)\b[^;"'`()=]*?\bfrom\s*|import\s*|import\s*\(\s*|require\s*\(\s*)(?=["'])/g;

function importsOf(code: string, strings: ReadonlyMap<number, string>): readonly Import[] {
  return [...code.matchAll(IMPORT)].flatMap((match) => {
    const specifier = strings.get(match.index + match[0].length);
    if (specifier === undefined) return [];
    return [{ specifier, line: lineOf(code, match.index), typeOnly: /^(import|export)\s+type\b/.test(match[0]) }];
  });
}
