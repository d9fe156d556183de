import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SETTINGS, type Setting } from "../../src/config/settings.js";

const FILE = new URL("../../README.md", import.meta.url);
const BETWEEN = /(?<=<!-- settings -->\n)[\s\S]*?(?=\n<!-- \/settings -->)/;

function row(setting: Setting<unknown>): string {
  const names = setting.env.map((name) => `\`${name}\``).join(", ");
  const flag = setting.flag === undefined ? "" : `\`--${setting.flag}\``;
  const fallback = setting.fallback === "" ? "" : `\`${setting.fallback}\`${setting.unit === undefined ? "" : ` ${setting.unit}`}`;
  return `| ${names} | ${flag} | ${setting.type.name} | ${fallback} | ${setting.doc} |`;
}

function table(): string {
  return ["| environment | flag | value | default | |", "|---|---|---|---|---|", ...Object.values(SETTINGS as Readonly<Record<string, Setting<unknown>>>).map(row)].join("\n");
}

test("the README lists every setting as the program has it", () => {
  if (process.env["WRITE_README"] === "1") writeFileSync(FILE, readFileSync(FILE, "utf8").replace(BETWEEN, () => table()));
  const written = BETWEEN.exec(readFileSync(FILE, "utf8"))?.[0];
  expect(written, "WRITE_README=1 npx vitest run --project unit test/config/readme.test.ts").toBe(table());
  expect(table().split("\n").length).toBeGreaterThan(15);
});
