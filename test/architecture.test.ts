import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { LAYERS, layerOf } from "./architecture/layers.js";
import { check, ruleNames } from "./architecture/rules.js";
import { scan, type SourceFile } from "./architecture/scan.js";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const WORTH_A_LOOK = 300;

function sources(folder: string): readonly SourceFile[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".ts")).map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1));
  return paths.toSorted().map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

const src = sources("src");
const tests = sources("test");

describe("this project", () => {
  test("breaks no rule", () => {
    const long = [...src, ...tests].map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 })).filter(({ lines }) => lines > WORTH_A_LOOK);
    const listed = long.map(({ path, lines }) => `${path} (${lines})`).join(", ");
    console.info(`architecture: ${src.length} files in src, ${tests.length} in test; over ${WORTH_A_LOOK} lines: ${listed === "" ? "none" : listed}`);
    const violations = check([...src, ...tests]);
    expect(violations, violations.map(({ text }) => text).join("\n")).toEqual([]);
  });

  // A pattern that finds no files would make every rule pass.
  test("was looked at: src, test, each layer, and their imports", () => {
    expect(src.length).toBeGreaterThan(60);
    expect(tests.length).toBeGreaterThan(80);
    const seen = new Set(src.map(({ path }) => layerOf(path)));
    expect(seen).toEqual(new Set(Object.keys(LAYERS)));
    const imports = src.flatMap((file) => scan(file).imports);
    expect(imports.length).toBeGreaterThan(200);
    expect(imports.filter(({ specifier }) => specifier.startsWith("node:")).length).toBeGreaterThan(10);
  });
});

describe("the scanner", () => {
  const rows: readonly { readonly name: string; readonly text: string; readonly imports: readonly string[] }[] = [
    { name: "one line", text: 'import { a } from "./a.js";', imports: ["./a.js"] },
    { name: "several lines", text: 'import {\n  a, // "./no.js"\n  b,\n} from "./a.js";', imports: ["./a.js"] },
    { name: "types", text: 'import type { A } from "./a.js";\nexport type { B } from "./b.js";', imports: ["./a.js", "./b.js"] },
    { name: "side effects, on demand, as a type, everything", text: 'import "./a.js"; await import("./b.js"); type C = import("./c.js").C; export * from "./d.js";', imports: ["./a.js", "./b.js", "./c.js", "./d.js"] },
    { name: "namespaces and defaults", text: "import * as a from './a.js';\nimport b, { c } from './b.js';", imports: ["./a.js", "./b.js"] },
    { name: "comments", text: '// import "./a.js"\n/* import "./b.js"\n*/ import "./c.js";', imports: ["./c.js"] },
    { name: "strings", text: "const a = 'import \"./a.js\"'; const b = \"// \"; import \"./c.js\";", imports: ["./c.js"] },
    { name: "templates", text: 'const a = `import "./a.js" ${b ? `${{ c: "}" }.c} import "./b.js"` : await import("./c.js")} //`; import "./d.js";', imports: ["./c.js", "./d.js"] },
    { name: "regular expressions", text: 'const a = /["\'`/*]/.test(b) ? 1 / 2 : c / d; import "./a.js";', imports: ["./a.js"] },
    { name: "an escaped quote", text: 'const a = "\\"import"; import "./a.js";', imports: ["./a.js"] },
    { name: "an export that has no from", text: 'export const from = 1; export function f() { return "./a.js"; }', imports: [] },
  ];
  test.each(rows)("finds imports: $name", ({ text, imports }) => {
    const scanned = scan({ path: "src/lib/a.ts", text });
    expect(scanned.imports.map(({ specifier }) => specifier)).toEqual(imports);
    expect(scanned.code.length).toBe(text.length);
  });

  test("loses no code to a comment or a string that it did not see the end of", () => {
    for (const file of src) {
      const { code } = scan(file);
      expect(code.split("\n").length, file.path).toBe(file.text.split("\n").length);
      expect(code.split("}").length, `${file.path}: braces`).toBe(code.split("{").length);
    }
  });
});

interface Breach {
  readonly rule: string;
  readonly files: Readonly<Record<string, string>>;
}

const BREACHES: Readonly<Record<string, Breach>> = {
  "a folder that no layer names": { rule: "known layer", files: { "src/utils/a.ts": "export const a = 1;" } },
  "lib imports the core": { rule: "layers", files: { "src/lib/a.ts": 'import { plan } from "../core/plan.js";' } },
  "wire imports a port": { rule: "layers", files: { "src/wire/netlink/a.ts": 'import type { Log } from "../../ports/log.js";' } },
  "machine imports a port": { rule: "layers", files: { "src/machine/a.ts": 'import type { Clock } from "../ports/clock.js";' } },
  "the core imports kube": { rule: "layers", files: { "src/core/a.ts": 'import { createKube } from "../kube/kube.js";' } },
  "a mode imports the engine": { rule: "layers", files: { "src/modes/a.ts": 'import { Engine } from "../core/engine.js";' } },
  "kube imports linux": { rule: "layers", files: { "src/kube/a.ts": 'import { createClock } from "../linux/clock.js";' } },
  "linux imports the core, on demand": { rule: "layers", files: { "src/linux/a.ts": 'const core = await import("../core/plan.js");' } },
  "an imported type of a wrong layer": { rule: "layers", files: { "src/lib/a.ts": 'type P = import("../core/plan.js").Plan;' } },
  "a package that is not on the list": { rule: "packages", files: { "src/wire/a.ts": 'import { parse } from "fast-xml-parser";' } },
  "a package of another layer": { rule: "packages", files: { "src/core/a.ts": 'import pino from "pino";' } },
  "a built-in without its prefix": { rule: "packages", files: { "src/lib/a.ts": 'import { readFileSync } from "fs";' } },
  "an import without suffix": { rule: "relative imports end in .js", files: { "src/lib/a.ts": 'import { b } from "./b";' } },
  "an import of a .ts file, in a test": { rule: "relative imports end in .js", files: { "test/lib/a.ts": 'import { b } from "./b.ts";' } },
  "a folder as import": { rule: "relative imports end in .js", files: { "src/lib/a.ts": 'import { b } from "..";' } },
  "ffi elsewhere in linux": { rule: "node:ffi stays in linux/native.ts", files: { "src/linux/a.ts": 'import { dlopen } from "node:ffi";' } },
  "a mode that uses another": {
    rule: "modes do not know each other",
    files: { "src/modes/index.ts": 'export { a } from "./arp.js";\nexport { b } from "./bgp.js";', "src/modes/bgp.ts": 'import { a } from "./arp.js";', "src/modes/arp.ts": "" },
  },
  "a part of modes that uses a mode": {
    rule: "modes do not know each other",
    files: { "src/modes/index.ts": 'export { a } from "./arp.js";', "src/modes/lifetimes.ts": 'import { a } from "./arp.js";', "src/modes/arp.ts": "" },
  },
  "a mode that uses the registry": { rule: "modes do not know each other", files: { "src/modes/arp.ts": 'import { b } from "./index.js";', "src/modes/index.ts": "" } },
  "a function in a port": { rule: "ports have no code", files: { "src/ports/a.ts": "export function f(): void {}" } },
  "a constant in a port": { rule: "ports have no code", files: { "src/ports/a.ts": "export const A = 1;" } },
  "a port that imports values": { rule: "ports have no code", files: { "src/ports/a.ts": 'import { parseIp } from "../lib/ip.js";' } },
  "node: in the core": { rule: "node: modules", files: { "src/core/a.ts": 'import { createHash } from "node:crypto";' } },
  "a timer in machine": { rule: "globals: timers", files: { "src/machine/a.ts": "setTimeout(f, 1);" } },
  "a turn of the loop in a mode": { rule: "globals: turn", files: { "src/modes/a.ts": "queueMicrotask(f);" } },
  "the environment in config": { rule: "globals: process", files: { "src/config/a.ts": 'const home = process.env["HOME"];' } },
  "Buffer in a codec": { rule: "globals: buffer", files: { "src/wire/a.ts": "const b = Buffer.from([1]);" } },
  "the time of day": { rule: "reads no clock", files: { "src/core/a.ts": "const now = Date.now();" } },
  "a new Date without argument": { rule: "reads no clock", files: { "src/kube/a.ts": "const now = new Date();" } },
  "a new Date without brackets": { rule: "reads no clock", files: { "src/kube/a.ts": "const now = new Date;" } },
  "the monotonic clock": { rule: "reads no clock", files: { "src/cli/a.ts": "const now = performance.now();" } },
  "a timer in kube": { rule: "timers come from the Clock", files: { "src/kube/a.ts": "const t = setTimeout(f, 1);" } },
  "a timer in a signal": { rule: "timers come from the Clock", files: { "src/cli/a.ts": "const s = AbortSignal.timeout(1);" } },
  "chance in the core": { rule: "chance comes from the Random port", files: { "src/core/a.ts": "const r = Math.random();" } },
  "chance of another kind": { rule: "chance comes from the Random port", files: { "src/kube/a.ts": 'import { randomUUID } from "node:crypto";' } },
  "console": { rule: "no console", files: { "src/cli/a.ts": 'console.log("x");' } },
  "the end of the process in a command": { rule: "only main ends the process", files: { "src/cli/a.ts": "process.exit(1);" } },
  "an exit code in a command": { rule: "only main ends the process", files: { "src/cli/a.ts": "process.exitCode = 1;" } },
  "a default export": { rule: "no default exports", files: { "src/lib/a.ts": "export default 1;" } },
  "a default export by another way": { rule: "no default exports", files: { "test/a.ts": "const a = 1;\nexport { a as default };" } },
  "an enum": { rule: "no enum, no namespace", files: { "src/lib/a.ts": "export const enum Color { Red }" } },
  "a namespace": { rule: "no enum, no namespace", files: { "test/a.ts": "export namespace A {\n}" } },
  "a cast to any": { rule: "no any", files: { "src/lib/a.ts": "const a = b as any;" } },
  "an argument of type any": { rule: "no any", files: { "test/a.ts": "function f(a: any): void {}" } },
  "a list of any": { rule: "no any", files: { "src/lib/a.ts": "const a: Map<string, any> = b;" } },
  "the lab uses src": { rule: "the lab knows nothing of src", files: { "test/lab/api/a.ts": 'import { parseIp } from "../../../src/lib/ip.js";' } },
  "src uses a fake": { rule: "src knows nothing of test", files: { "src/cli/a.ts": 'import { FakeClock } from "../../test/fakes/clock.js";' } },
  "a file that is too long": { rule: "at most 350 lines", files: { "test/a.ts": "\n".repeat(351) } },
  "a cycle": { rule: "no import cycles", files: { "src/lib/a.ts": 'import { b } from "./b.js";', "src/lib/b.ts": 'import { a } from "./a.js";' } },
  "a cycle of types over three files": {
    rule: "no import cycles",
    files: { "src/core/a.ts": 'import type { B } from "./b.js";', "src/core/b.ts": 'export type { C } from "./c.js";', "src/core/c.ts": 'import { type A } from "./a.js";' },
  },
};

const FINE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "a given time as text": { "src/machine/a.ts": "const iso = new Date(Math.floor(ms)).toISOString();" },
  "forbidden words in comments and strings": { "src/core/a.ts": '// setTimeout, process.exit, Date.now() as any\nconst a = "import x from \'node:fs\'; console.log";' },
  "members that have forbidden names": { "src/core/a.ts": "clock.setTimeout(f); this.console.log(a); x.process.exit();" },
  "the word any in a name": { "src/core/a.ts": "const anyone = { any: 1, company: many.any(f) };" },
  "a mode with its parts and the contract": {
    "src/modes/index.ts": 'export { a } from "./arp.js";',
    "src/modes/arp.ts": 'import { b } from "./lifetimes.js";\nimport type { VipMode } from "../core/mode.js";',
    "src/modes/lifetimes.ts": "",
  },
  "a port with types and a brand": { "src/ports/a.ts": 'import type { B } from "../lib/b.js";\nexport interface A { readonly class: B; f(): void }\nexport type C = A | B;' },
  "a lab test of src/linux": { "test/lab/kernel.test.ts": 'import { createKernel } from "../../src/linux/kernel.js";' },
};

describe("every rule can fail", () => {
  test.each(Object.entries(BREACHES))("%s", (_name, { rule, files }) => {
    const violations = check(Object.entries(files).map(([path, text]) => ({ path, text })));
    expect(violations.map(({ rule: broken }) => broken)).toContain(rule);
  });

  test("and all of them were made to", () => {
    expect(new Set(Object.values(BREACHES).map(({ rule }) => rule))).toEqual(new Set(ruleNames()));
  });

  test("a message says where, what and why", () => {
    const [violation] = check([{ path: "src/lib/a.ts", text: "\nconst a = b as any;" }]);
    expect(violation?.text).toBe("src/lib/a.ts:2: as any\n    no any: `unknown` makes the reader check; `any` switches the compiler off");
  });
});

describe("no rule is broken by", () => {
  test.each(Object.entries(FINE))("%s", (_name, files) => {
    expect(check(Object.entries(files).map(([path, text]) => ({ path, text })))).toEqual([]);
  });
});
