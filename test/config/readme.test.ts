import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ANNOTATIONS } from "../../src/config/annotations.js";
import { NODE_PEER_FIELDS } from "../../src/core/bgp-annotations.js";
import { SETTING_ROWS } from "../../src/config/settings.js";
import { annotationsPage, readmeTable, settingsPage } from "./pages.js";

const README = new URL("../../README.md", import.meta.url);
const BETWEEN = /(?<=<!-- settings -->\n)[\s\S]*?(?=\n<!-- \/settings -->)/;
const HINT = "WRITE_DOCS=1 npx vitest run --project unit test/config/readme.test.ts";
const write = process.env["WRITE_DOCS"] === "1";

test("the README lists every setting as the program has it", () => {
  if (write) writeFileSync(README, readFileSync(README, "utf8").replace(BETWEEN, () => readmeTable()));
  const written = BETWEEN.exec(readFileSync(README, "utf8"))?.[0];
  expect(written, HINT).toBe(readmeTable());
  expect(readmeTable().split("\n").length).toBe(SETTING_ROWS.length + 2);
});

test.each([
  ["docs/settings.md", settingsPage],
  ["docs/annotations.md", annotationsPage],
])("%s says what the program does", (path, page) => {
  const file = new URL(`../../${path}`, import.meta.url);
  if (write) writeFileSync(file, page());
  expect(readFileSync(file, "utf8"), HINT).toBe(page());
});

test("every annotation that the core reads or writes is in the table, and no other is called supported", () => {
  const folders = ["core", "machine"].map((name) => new URL(`../../src/${name}/`, import.meta.url));
  const texts = folders.flatMap((folder) => readdirSync(folder).map((name) => readFileSync(new URL(name, folder), "utf8")));
  const used = new Set(texts.flatMap((text) => [...text.matchAll(/"((?:(?:[a-z.]*kube-vip\.io|vip\.internal|metallb\.io)\/[A-Za-z_-]*[A-Za-z]|romana(?:ip|vip)|service-provided\.kube-vip\.io\/))"/g)].map(([, name]) => name)));
  const supported = ANNOTATIONS.filter(({ fate }) => fate === "supported").map(({ name }) => name.replace("<service>.<namespace>", ""));
  expect(new Set(supported.filter((name) => !name.startsWith("<prefix>")))).toEqual(used);
  const prefixed = supported.flatMap((name) => /^<prefix>\/\[bgp-peers-N-\](.*)$/.exec(name)?.[1] ?? []);
  expect(new Set(prefixed)).toEqual(new Set(NODE_PEER_FIELDS));
  expect(used.size).toBeGreaterThan(8);
});
