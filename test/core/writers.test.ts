import { expect, test } from "vitest";
import { serviceKey } from "../../src/core/model.js";
import type { StatusPatch } from "../../src/core/status.js";
import { Leisure } from "../../src/core/leisure.js";
import { Writers } from "../../src/core/writers.js";
import type { EventDraft } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { fakeService } from "../fakes/service.js";

const COUNT = 200;
const patches = Array.from({ length: COUNT }, (_unused, at): StatusPatch => ({ service: fakeService({ name: `web-${at}` }), ingress: [{ ip: "192.0.2.1" }], annotations: {} }));

/** Runs for a minute with an API that refuses statuses with `codeOf`; the lines of the log, and how many writes were tried. */
async function refused(codeOf: (service: string) => string): Promise<{ readonly warnings: readonly Readonly<Record<string, unknown>>[]; readonly writes: number }> {
  const clock = new FakeClock();
  const log = new FakeLog();
  let writes = 0;
  const patchStatus = async ({ name }: { readonly name: string }): Promise<void> => {
    writes += 1;
    throw Object.assign(new Error(`PATCH ${name}`), { code: codeOf(name) });
  };
  const services = { patchStatus, patchService: async () => fakeService({}) };
  const writers = new Writers({ clock, log, random: { float: () => 0.5 }, leisure: new Leisure(clock), services, events: { write: async () => undefined }, learn: () => undefined });
  writers.set({ statuses: new Map(patches.map((patch) => [serviceKey(patch.service), patch])), changes: new Map(), events: new Map() });
  await clock.advance(59_000);
  writers.stop();
  return { warnings: log.lines.filter(({ level }) => level === "warn"), writes };
}

test.each([
  ["forbidden", 1],
  ["server", 12],
  ["tooManyRequests", 12],
])("an API that refuses every status with %s does not fill the log", async (code, most) => {
  const { warnings, writes } = await refused(() => code);
  expect(writes).toBeGreaterThan(COUNT * 5);
  expect(warnings.length).toBeLessThanOrEqual(most);
  expect(warnings[0]).toMatchObject({ what: "status", error: "PATCH web-0", repeated: 1 });
});

test("what is wrong with one Service is said of each", async () => {
  const { warnings } = await refused((name) => (name === "web-7" || name === "web-8" ? "invalid" : "server"));
  const named = new Set(warnings.map(({ error }) => error));
  expect([named.has("PATCH web-7"), named.has("PATCH web-8")]).toEqual([true, true]);
});

test("of many Events a warning goes first, and four are written at once", async () => {
  const written: string[] = [];
  const waiting: (() => void)[] = [];
  const write = async ({ message }: EventDraft): Promise<void> => {
    written.push(message);
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const services = { patchStatus: async () => undefined, patchService: async () => fakeService({}) };
  const clock = new FakeClock();
  const writers = new Writers({ clock, log: new FakeLog(), random: { float: () => 0.5 }, leisure: new Leisure(clock), services, events: { write }, learn: () => undefined });
  const drafts = Array.from({ length: 8 }, (_unused, at): EventDraft => ({ service: fakeService({}), type: at === 7 ? "Warning" : "Normal", reason: "VipHeld", message: `${at}` }));
  const some = (count: number): void => writers.set({ statuses: new Map(), changes: new Map(), events: new Map(drafts.slice(0, count).map((draft) => [draft.message, draft])) });
  some(7);
  some(8);
  await clock.advance(1000);
  expect(written).toEqual(["0", "1", "2", "3"]);
  for (let at = 0; at < 4; at += 1) {
    waiting[at]?.();
    await clock.advance(1000);
  }
  expect(written).toEqual(["0", "1", "2", "3", "7", "4", "5", "6"]);
  for (const resolve of waiting) resolve();
  writers.stop();
});
