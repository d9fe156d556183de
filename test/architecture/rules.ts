import { posix } from "node:path";
import { LAYERS, layerOf, type Effect } from "./layers.js";
import { lineOf, scan, type Scanned, type SourceFile } from "./scan.js";

/** Something that a rule found, for the message of the failed test. */
export interface Violation {
  readonly rule: string;
  readonly text: string;
}

interface Found {
  readonly line: number;
  readonly what: string;
}

interface Rule {
  readonly name: string;
  readonly reason: string;
  readonly applies: (path: string) => boolean;
  readonly check: (file: Scanned, all: ReadonlyMap<string, Scanned>) => readonly Found[];
}

export const MOST_LINES = 350;

const inSrc = (path: string): boolean => path.startsWith("src/");
const everywhere = (): boolean => true;
/** The lab apart from its tests and what only a test of src/linux uses. */
const labProper = (path: string): boolean => path.startsWith("test/lab/") && !/\.test\.ts$|-fixture\.ts$/.test(path);

/** Breaches of all rules in these files, in the order of the files. */
export function check(files: readonly SourceFile[]): readonly Violation[] {
  const all = new Map(files.map((file) => [file.path, scan(file)]));
  const found = [...all.values()].flatMap((file) =>
    RULES.filter(({ applies }) => applies(file.path)).flatMap(({ name, reason, check: run }) =>
      run(file, all).map(({ line, what }) => ({ rule: name, text: `${file.path}:${line}: ${what}\n    ${name}: ${reason}` })),
    ),
  );
  return [...found, ...cycles(all)];
}

/** All rule names, so that a test can tell that each of them was seen to fail. */
export function ruleNames(): readonly string[] {
  return [...RULES.map(({ name }) => name), NO_CYCLES.name];
}

const RULES: readonly Rule[] = [
  {
    name: "known layer",
    reason: "a folder without a line in the layer table is checked by nothing: add one, with a reason",
    applies: inSrc,
    check: ({ path }) => (LAYERS[layerOf(path) ?? ""] === undefined ? [{ line: 1, what: `src/${layerOf(path)} is no layer` }] : []),
  },
  { name: "layers", reason: "who may know whom is what keeps a change in one place (layers.ts says why for each folder)", applies: inSrc, check: wrongLayer },
  { name: "packages", reason: "a package is named with what it is for before it is used (layers.ts)", applies: inSrc, check: wrongPackage },
  {
    name: "relative imports end in .js",
    reason: "that is how Node resolves modules; nothing else resolves the same in all tools",
    applies: everywhere,
    check: ({ imports }) => imports.filter(({ specifier }) => /^\.\.?(\/|$)/.test(specifier) && !/\.m?js$/.test(specifier)).map(({ line, specifier }) => ({ line, what: `imports ${specifier}` })),
  },
  {
    name: "node:ffi stays in linux/native.ts",
    reason: "it is young: behind one small interface it can be replaced by an addon without touching anything else",
    applies: (path) => inSrc(path) && path !== "src/linux/native.ts",
    check: ({ imports }) => imports.filter(({ specifier }) => specifier === "node:ffi").map(({ line }) => ({ line, what: "imports node:ffi" })),
  },
  {
    name: "modes do not know each other",
    reason: "adding or removing a mode must touch no other mode; only the registry modes/index.ts names them",
    applies: (path) => path.startsWith("src/modes/") && path !== "src/modes/index.ts",
    check: otherMode,
  },
  {
    name: "ports have no code",
    reason: "a port is an interface: code in it would be shared by every implementation, fakes included",
    applies: (path) => path.startsWith("src/ports/"),
    check: portCode,
  },
  ...effectRules(),
  word("reads no clock", "time comes from the Clock port, so that a fake clock is all of time; formatting a given time is fine", {
    applies: (path) => inSrc(path) && path !== "src/linux/clock.ts",
    pattern: /(?<![.\w$])(Date\.now\b|new\s+Date\s*(?!\s*\(\s*[^\s)])|Date\s*\(\s*\)|performance\b)/g,
  }),
  word("timers come from the Clock", "a timer of its own is one that no test can move and nobody calls off", {
    applies: (path) => inSrc(path) && path !== "src/linux/clock.ts",
    pattern: /(?<![.\w$])(setTimeout|setInterval|AbortSignal\s*\.\s*timeout)\b|["']node:timers/g,
  }),
  word("chance comes from the Random port", "jitter must be the same in two runs of a test", {
    applies: (path) => inSrc(path) && path !== "src/linux/random.ts",
    pattern: /(?<![.\w$])(Math\s*\.\s*random|randomUUID|randomBytes|randomInt|getRandomValues)\b/g,
  }),
  word("no console", "what happens is logged through the Log port, with fields", { applies: inSrc, pattern: /(?<![.\w$])console\s*\./g }),
  word("only main ends the process", "a lost lease, a bad VIP or a failed call must never end the other VIPs", {
    applies: (path) => inSrc(path) && path !== "src/main.ts",
    pattern: /(?<![.\w$])process\s*\.\s*(exit|exitCode|abort|kill|reallyExit)\b/g,
  }),
  word("no default exports", "a thing has one name everywhere", { applies: everywhere, pattern: /\bexport\s+default\b|\bas\s+default\b/g }),
  word("no enum, no namespace", "unions and `as const` are plain data and vanish at run time", {
    applies: everywhere,
    pattern: /(?<![.\w$])enum\s+[A-Za-z_$]\w*\s*\{|^\s*(?:export\s+|declare\s+)*namespace\s+\w+\s*\{/gm,
  }),
  word("no any", "`unknown` makes the reader check; `any` switches the compiler off", {
    applies: everywhere,
    pattern: /\bas\s+any\b|[:<,|&]\s*any\b(?!\s*[:(.])|\bany\s*\[\s*\]/g,
  }),
  {
    name: "the lab knows nothing of src",
    reason: "the lab tests the built program from outside; code that both share could be wrong on both sides and pass",
    applies: labProper,
    check: ({ path, imports }) => imports.filter(({ specifier }) => resolved(path, specifier)?.startsWith("src/") === true).map(({ line, specifier }) => ({ line, what: `imports ${specifier}` })),
  },
  {
    name: "src knows nothing of test",
    reason: "what is shipped must not depend on what tests it",
    applies: inSrc,
    check: ({ path, imports }) => imports.filter(({ specifier }) => resolved(path, specifier)?.startsWith("src/") === false).map(({ line, specifier }) => ({ line, what: `imports ${specifier}` })),
  },
  {
    name: `at most ${MOST_LINES} lines`,
    reason: "a file much over 300 lines does more than one thing",
    applies: everywhere,
    check: ({ text }) => (linesIn(text) > MOST_LINES ? [{ line: MOST_LINES + 1, what: `has ${linesIn(text)} lines` }] : []),
  },
];

/** A rule against words in the code. */
function word(name: string, reason: string, { applies, pattern }: Pick<Rule, "applies"> & { readonly pattern: RegExp }): Rule {
  const matches = ({ code }: Scanned): readonly Found[] => [...code.matchAll(pattern)].map((match) => ({ line: lineOf(code, match.index + match[0].search(/\S/)), what: match[0].trim() }));
  return { name, reason, applies, check: matches };
}

function effectRules(): readonly Rule[] {
  const words: Readonly<Record<Exclude<Effect, "node">, RegExp>> = {
    timers: /(?<![.\w$])(setTimeout|setInterval|clearTimeout|clearInterval)\b/g,
    turn: /(?<![.\w$])(setImmediate|clearImmediate|queueMicrotask)\b/g,
    process: /(?<![.\w$])process\s*[.[]/g,
    buffer: /(?<![.\w$])Buffer\s*\./g,
  };
  const without = (effect: Effect) => (path: string) => LAYERS[layerOf(path) ?? ""]?.effects.includes(effect) === false;
  return [
    {
      name: "node: modules",
      reason: "what talks to the machine lies in kube, linux, cli and main; all else runs anywhere and is tested with data",
      applies: without("node"),
      check: ({ imports }) => imports.filter(({ specifier }) => specifier.startsWith("node:")).map(({ line, specifier }) => ({ line, what: `imports ${specifier}` })),
    },
    ...(Object.keys(words) as Exclude<Effect, "node">[]).map((effect) =>
      word(`globals: ${effect}`, "what a layer may do besides computing is listed in layers.ts", { applies: without(effect), pattern: words[effect] }),
    ),
  ];
}

/** Path of the file that a relative import means, from the root of the project; undefined for packages. */
function resolved(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts");
}

function wrongLayer({ path, imports }: Scanned): readonly Found[] {
  const own = layerOf(path) ?? "";
  const layer = LAYERS[own];
  if (layer === undefined || layer.imports === "all") return [];
  const allowed = layer.imports;
  return imports.flatMap(({ specifier, line }) => {
    const target = resolved(path, specifier);
    const folder = target === undefined ? undefined : layerOf(target);
    if (target === undefined || folder === undefined || folder === own) return [];
    const file = target.slice("src/".length, -".ts".length);
    return allowed.includes(folder) || allowed.includes(file) ? [] : [{ line, what: `imports ${target}; ${own} may import ${allowed.join(", ") || "nothing"}: ${layer.reason}` }];
  });
}

function wrongPackage({ path, imports }: Scanned): readonly Found[] {
  const packages = LAYERS[layerOf(path) ?? ""]?.packages ?? {};
  return imports.flatMap(({ specifier, line }) => {
    if (specifier.startsWith(".") || specifier.startsWith("node:")) return [];
    const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
    return Object.hasOwn(packages, name) ? [] : [{ line, what: `imports ${specifier}` }];
  });
}

/** A mode is what the registry exports; what else lies in modes/ are parts of modes. */
function otherMode({ path, imports }: Scanned, all: ReadonlyMap<string, Scanned>): readonly Found[] {
  const registry = all.get("src/modes/index.ts");
  const modes = new Set(registry?.imports.map(({ specifier }) => resolved(registry.path, specifier)) ?? []);
  return imports.flatMap(({ specifier, line }) => {
    const target = resolved(path, specifier);
    return target !== undefined && (modes.has(target) || target === "src/modes/index.ts") ? [{ line, what: `imports the mode ${target}` }] : [];
  });
}

function portCode({ code, imports }: Scanned): readonly Found[] {
  const values = imports.filter(({ typeOnly }) => !typeOnly).map(({ line, specifier }) => ({ line, what: `imports values of ${specifier}` }));
  const declared = [...code.matchAll(/^(?:export\s+)?(?:async\s+)?(?:const|let|var|function|class|abstract)\b.*/gm)];
  return [...values, ...declared.map((match) => ({ line: lineOf(code, match.index), what: match[0].trim() }))];
}

function linesIn(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

const NO_CYCLES = { name: "no import cycles", reason: "files that import each other, types included, can only be understood and tested together" };

function cycles(all: ReadonlyMap<string, Scanned>): readonly Violation[] {
  const done = new Set<string>();
  const found: Violation[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push({ rule: NO_CYCLES.name, text: `${[...trail.slice(trail.indexOf(path)), path].join(" -> ")}\n    ${NO_CYCLES.name}: ${NO_CYCLES.reason}` });
      return;
    }
    if (done.has(path)) return;
    done.add(path);
    for (const { specifier } of all.get(path)?.imports ?? []) {
      const target = resolved(path, specifier);
      if (target !== undefined && all.has(target)) visit(target, [...trail, path]);
    }
  };
  for (const path of all.keys()) visit(path, []);
  return found;
}
