import { readdirSync, readFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path: string): string => readFileSync(posix.join(ROOT, path), "utf8");
const MADE = /^(node_modules|dist|coverage|\.git)(\/|$)/;
const TOP = readdirSync(ROOT).filter((name) => !MADE.test(name));
const FILES = TOP.flatMap((name) => [name, ...below(name)]);
const PLACES = new Set(FILES.flatMap((file) => [file, ...file.split("/").map((_, i, parts) => parts.slice(0, i).join("/"))]));
const SCRIPTS = Object.keys((JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> }).scripts);
const COMMANDS = [...read("src/main.ts").matchAll(/\.command\("([a-z]+)/g)].flatMap(([, name]) => name ?? []);
const WORDS = new Set(FILES.filter((file) => file.startsWith("src/") && file.endsWith(".ts")).flatMap((file) => read(file).match(/\w+/g) ?? []));
const PAGES = FILES.filter((file) => file.endsWith(".md"));

function below(folder: string): readonly string[] {
  try {
    return readdirSync(posix.join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => posix.join(folder, path));
  } catch {
    return []; // a file
  }
}

/** `core/plan.ts`, `src/core`, `core/engine.learn` (a function of that file), `test/lab/*.full.test.ts` (its folder). */
function exists(path: string): boolean {
  const whole = path.replace(/\/[^/]*\*.*$/, "");
  return [whole, `src/${whole}`, `test/${whole}`].some((one) => PLACES.has(one) || PLACES.has(`${one}.ts`) || PLACES.has(`${one.replace(/\.\w+$/, "")}.ts`));
}

/** All that a pattern's first group finds, without repetition. */
function named(text: string, pattern: RegExp): readonly string[] {
  return [...new Set([...text.matchAll(pattern)].flatMap(([, found]) => found ?? []))];
}

const PATHS = /(?<![\w/.-])((?:src|test|docs|scripts|manifests|examples|cli|core|modes|linux|kube|machine|wire|lib|config|ports)\/[\w./*-]*[\w*])/g;
const LINKS = /\]\(([^)#:]+)(?:#[^)]*)?\)/g;

describe("what the pages name is there", () => {
  test.each(PAGES)("%s: files and folders", (page) => {
    const links = named(read(page), LINKS).filter((link) => !PLACES.has(posix.join(dirname(page), link).replace(/\/$/, "")));
    expect([...named(read(page), PATHS).filter((path) => !exists(path)), ...links]).toEqual([]);
  });

  test.each(PAGES)("%s: npm scripts, commands, settings and metrics", (page) => {
    const text = read(page);
    expect(named(text, /npm run ([a-z:]+)/g).filter((name) => !SCRIPTS.includes(name))).toEqual([]);
    expect(named(text, /(?:^|`)vip ([a-z]+)/gm).filter((name) => !COMMANDS.includes(name))).toEqual([]);
    expect(named(text, /`((?:vip|svc|cp|bgp|mpbgp|lb|dns|upnp|health|config|prometheus)_\w+)(?:=[^`]*)?`/g).filter((name) => !WORDS.has(name))).toEqual([]);
  });

  test("and enough of it was found that the patterns cannot be wrong", () => {
    const all = PAGES.map(read).join("\n");
    expect(PAGES.length).toBeGreaterThan(15);
    expect(named(all, PATHS).length).toBeGreaterThan(100);
    expect(named(all, LINKS).length).toBeGreaterThan(20);
    expect(COMMANDS.length).toBeGreaterThan(11);
    expect([exists("core/no-such.ts"), exists("docs/no-such.md"), exists("core/engine.learn")]).toEqual([false, false, true]);
  });
});
