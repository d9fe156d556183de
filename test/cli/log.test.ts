import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createLog, debugBySignal } from "../../src/cli/log.js";
import { readable } from "../../src/cli/log-text.js";

function logged(severity: number): { readonly log: ReturnType<typeof createLog>; readonly lines: string[]; readonly messages: () => readonly unknown[] } {
  const lines: string[] = [];
  const log = createLog(severity, { node: "n1" }, { write: (line) => lines.push(line) });
  return { log, lines, messages: () => lines.map((line) => (JSON.parse(line) as Record<string, unknown>)["message"]) };
}

test("a line is JSON with level, time, message and the fields of all it was made from", () => {
  const { log, lines } = logged(0);
  log.with({ part: "kube" }).info("started", { vip: "192.0.2.10" });
  expect(JSON.parse(lines[0] ?? "")).toEqual({ level: "info", time: expect.stringMatching(/^\d{4}-.*Z$/) as string, node: "n1", part: "kube", vip: "192.0.2.10", message: "started" });
});

test.each([
  [-4, ["d", "i", "w", "e"]],
  [0, ["i", "w", "e"]],
  [4, ["w", "e"]],
  [8, ["e"]],
] as const)("severity %i lets through %j", (severity, expected) => {
  const { log, messages } = logged(severity);
  log.debug("d");
  log.info("i");
  log.warn("w");
  log.error("e");
  expect(messages()).toEqual(expected);
});

test("debug lines are switched on and off for every log that was made before, too", () => {
  const { log, messages } = logged(4);
  const part = log.with({ part: "kube" });
  part.debug("before");
  expect(log.toggleDebug()).toBe("debug");
  part.debug("on");
  expect(part.toggleDebug()).toBe("warn");
  part.debug("off");
  part.info("off, too");
  expect(messages()).toEqual(["on"]);
});

test("where debug is usual, the switch takes it away", () => {
  const { log, messages } = logged(-4);
  expect([log.toggleDebug(), log.toggleDebug()]).toEqual(["info", "debug"]);
  log.debug("on");
  expect(messages()).toEqual(["on"]);
});

test("SIGUSR1 switches, and says so, until the end", async () => {
  const { log, lines, messages } = logged(0);
  const before = process.listenerCount("SIGUSR1");
  const switched = debugBySignal(log);
  process.kill(process.pid, "SIGUSR1");
  while (lines.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(messages()).toEqual(["log level changed by SIGUSR1"]);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "warn", to: "debug" });
  switched[Symbol.dispose]();
  expect(process.listenerCount("SIGUSR1")).toBe(before);
});

test("SIGUSR1 is heard before the rest of the program is read: until then Node opens its debugger on it", () => {
  const first = readFileSync(new URL("../../src/main.ts", import.meta.url), "utf8").split("\n").find((line) => line.startsWith("import "));
  expect(first).toBe('import "./cli/early-signal.js";');
});

const TIME = '"time":"2026-11-21T09:15:02.123Z"';
test.each<readonly [string, string, string]>([
  ["a message", `{"level":"info",${TIME},"version":"1","message":"started"}`, "09:15:02.123 INFO  started"],
  ["fields", `{"level":"warn",${TIME},"key":"eth0/192.0.2.10","ms":12,"held":true,"message":"not done"}`, "09:15:02.123 WARN  not done  key=eth0/192.0.2.10  ms=12  held=true"],
  ["texts with blanks", `{"level":"error",${TIME},"error":"add: EPERM","a":"","message":"x"}`, '09:15:02.123 ERROR x  error="add: EPERM"  a=""'],
  ["lists", `{"level":"debug",${TIME},"all":["a","b c"],"message":"x"}`, '09:15:02.123 DEBUG x  all=["a","b c"]'],
  ["what would steer a terminal", `{"level":"info",${TIME},"name":"\\u001b[2J\\nx","raw":"\\u009b2J","both":"a \\u009b2J","message":"a\\u0007b"}`, '09:15:02.123 INFO  a?b  name="\\u001b[2J\\nx"  raw=?2J  both="a ?2J"'],
  ["what is none of ours", "plain text", "plain text"],
  ["JSON that is no object", "[1]", "[1]"],
])("for people: %s", (_name, line, expected) => {
  expect(readable(`${line}\n`, false)).toBe(expected);
});

test("for people, with colours: the level only", () => {
  expect(readable(`{"level":"warn",${TIME},"message":"x"}`, true)).toBe("09:15:02.123 \u001b[33mWARN \u001b[0m x");
});
