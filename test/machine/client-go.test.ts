import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Lease } from "../../src/ports/kube.js";
import { electionStart, holds, type ElectionConfig, type ElectionState } from "../../src/machine/election-state.js";
import { electionStep, type ElectionAction, type ElectionEvent } from "../../src/machine/election.js";
import { echoApi, readRecording, type EchoApi, type RecordedWrite, type WireLease } from "./client-go-recording.js";
import { config as usual } from "./election-bench.js";

// What client-go v0.36 really wrote, at the times at which it did (test/golden/client-go/README.md).
const TIMINGS = [
  { name: "5-3-1", leaseMs: 5000, renewMs: 3000, retryMs: 1000 },
  { name: "15-10-2", leaseMs: 15_000, renewMs: 10_000, retryMs: 2000 },
] as const;

type Timing = (typeof TIMINGS)[number];
type Draft<E> = E extends unknown ? Omit<E, "wallMs"> : never;
type Write = Exclude<ElectionAction<Lease>, { readonly type: "read" }>;

function configOf(identity: string, { leaseMs, renewMs, retryMs }: Omit<Timing, "name">): ElectionConfig {
  return {
    ...usual,
    identity,
    leaseDurationMs: leaseMs,
    renewDeadlineMs: renewMs,
    retryPeriodMs: retryMs,
  };
}

interface Attempt {
  readonly at: number;
  readonly write: Write;
}

/** Our machine on the clock of a recording. It wakes when it asked for it; what it wants to write is kept. */
class Rival {
  state: ElectionState<Lease> = electionStart<Lease>();
  readonly attempts: Attempt[] = [];
  everHeld = false;
  #wakeAt: number | undefined;
  #current: Lease | undefined;

  constructor(
    private readonly config: ElectionConfig,
    /** Its writes are refused, as by an API on which somebody else was quicker; else they are never answered. */
    private readonly refused: boolean,
  ) {
    this.#step(0, { type: "stance", stance: "run" });
  }

  /** The watch shows a version. */
  see(lease: Lease, at: number): void {
    this.run(at);
    this.#current = lease;
    this.#step(at, { type: "seen", lease });
  }

  /** Time goes on to `until`. */
  run(until: number): void {
    while (this.#wakeAt !== undefined && this.#wakeAt <= until) this.#step(this.#wakeAt, { type: "tick" });
  }

  #step(now: number, event: Draft<ElectionEvent<Lease>>): void {
    const { state, actions, wakeAt } = electionStep<Lease>(this.state, { ...event, wallMs: now }, now, this.config);
    this.state = state;
    this.#wakeAt = wakeAt;
    this.everHeld ||= holds(state, this.config, now);
    for (const action of actions) this.#act(now, action);
  }

  #act(now: number, action: ElectionAction<Lease>): void {
    if (action.type === "read") return this.#step(now, { type: "seen", read: true, lease: this.#current });
    this.attempts.push({ at: now, write: action });
    if (this.refused) this.#step(now, { type: "failed", id: action.id, conflict: true });
  }
}

let api: EchoApi;
beforeAll(async () => {
  api = await echoApi();
});
afterAll(async () => api[Symbol.asyncDispose]());

async function decoded(writes: readonly RecordedWrite[]): Promise<readonly { readonly at: number; readonly lease: Lease }[]> {
  const versions: { at: number; lease: Lease }[] = [];
  for (const { ended, response } of writes) versions.push({ at: ended, lease: await api.decode(response) });
  return versions;
}

function indexOf(writes: readonly RecordedWrite[], which: (spec: WireLease["spec"]) => boolean): number {
  const at = writes.findIndex(({ request }) => which(request.spec));
  if (at < 0) throw new Error("the recording has no such write");
  return at;
}

describe.each(TIMINGS)("as a rival of client-go with $name", (timing) => {
  const recording = readRecording(timing.name);
  const { writes } = recording;
  const released = indexOf(writes, ({ holderIdentity }) => holderIdentity === "");
  const byB = writes.filter(({ request }) => request.spec.holderIdentity === "b");

  test("the recording has all parts of the story", () => {
    expect(writes.map(({ elector, method, request }) => `${elector} ${method} ${request.spec.holderIdentity}`)).toEqual([
      "a POST a", "a PUT a", "a PUT a", "a PUT a", "a PUT ",
      "b PUT b", "b PUT b", "b PUT b", "b PUT b",
      "a PUT a", "a PUT a", "a PUT a", "a PUT ",
    ]); // prettier-ignore
  });

  test("it leaves a held Lease alone, and takes a released one in the same moment, before client-go does", async () => {
    const rival = new Rival(configOf("n1", timing), false);
    const versions = await decoded(writes.slice(0, released + 1));
    for (const { at, lease } of versions.slice(0, -1)) rival.see(lease, at);
    const last = versions.at(-1);
    if (last === undefined) throw new Error("no release");
    rival.run(last.at);
    expect(rival.attempts).toEqual([]);
    rival.see(last.lease, last.at);
    expect(rival.attempts).toMatchObject([{ at: last.at, write: { type: "replace", base: { resourceVersion: last.lease.resourceVersion }, record: { holderIdentity: "n1", leaseTransitions: 1 } } }]);
    expect(last.at).toBeLessThan(byB[0]?.started ?? 0);
  });

  test.each([0, 50, 900])("it waits out a silent holder to the millisecond, and no shorter with a watch that lags by up to %d ms", async (lagMs) => {
    const rival = new Rival(configOf("n1", timing), false);
    const versions = (await decoded(byB)).map(({ at, lease }, i) => ({ lease, at: at + (i % 2) * lagMs }));
    for (const { at, lease } of versions) rival.see(lease, at);
    const seenLast = versions.at(-1)?.at ?? 0;
    rival.run(seenLast + timing.leaseMs + 100);
    expect(rival.attempts[0]).toMatchObject({ at: seenLast + timing.leaseMs, write: { type: "replace", record: { holderIdentity: "n1", leaseTransitions: 2 } } });
    // client-go's holder has let go by itself before, and its own rival comes later: it polls.
    expect(recording.noted("b stopped")[0]).toBeLessThan(rival.attempts[0]?.at ?? 0);
    if (lagMs === 0) expect(rival.attempts[0]?.at).toBeLessThan(recording.noted("a leads")[1] ?? 0);
  });

  test("always refused, it tries at no moment at which client-go's holder may hold, and never holds", async () => {
    const rival = new Rival(configOf("n1", timing), true);
    const versions = await decoded(writes);
    for (const { at, lease } of versions) rival.see(lease, at);
    expect(rival.everHeld).toBe(false);
    expect(rival.attempts.length).toBeGreaterThan(2);
    for (const { at } of rival.attempts) {
      const newest = versions.findLast((version) => version.at <= at);
      const silentMs = at - (newest?.at ?? at);
      expect(newest?.lease.record.holderIdentity === "" || silentMs >= timing.leaseMs, `tried at ${at}`).toBe(true);
    }
  });
});

test("a Lease of 15 s is waited for by 15 s, whatever is set here", async () => {
  const [long, short] = [TIMINGS[1], TIMINGS[0]];
  const byB = readRecording(long.name).writes.filter(({ request }) => request.spec.holderIdentity === "b");
  const rival = new Rival(configOf("n1", short), false);
  for (const { at, lease } of await decoded(byB)) rival.see(lease, at);
  const last = byB.at(-1)?.ended ?? 0;
  rival.run(last + 20_000);
  expect(rival.attempts[0]?.at).toBe(last + 15_000);
});

/** Times as what they are; everything else as it is. */
function shapeOf({ apiVersion, kind, metadata, spec }: WireLease): unknown {
  const time = (value: unknown): unknown => (typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value) ? "MicroTime" : value);
  const same = spec["acquireTime"] === spec.renewTime;
  return { apiVersion, kind, metadata, spec: { ...spec, acquireTime: time(spec["acquireTime"]), renewTime: time(spec.renewTime) }, renewedSinceAcquired: !same };
}

/** Our machine in the place of one of client-go's electors, through our own client; every write is answered as client-go's was. */
class Understudy {
  #state = electionStart<Lease>();
  #now = 0;

  constructor(private readonly config: ElectionConfig) {}

  async write(event: Draft<ElectionEvent<Lease>>, answer: RecordedWrite): Promise<void> {
    const [action] = this.#step(event);
    if (action === undefined || action.type === "read") throw new Error(`no write after ${event.type}`);
    api.expect(answer);
    const signal = new AbortController().signal;
    const { namespace, name } = answer.request.metadata;
    const lease =
      action.type === "create"
        ? await api.leases.create({ namespace, name }, action.record, 5000, signal)
        : await api.leases.replace(action.base, action.record, 5000, signal);
    this.#step({ type: "written", id: action.id, lease });
  }

  /** Takes part; nothing is known yet. */
  join(): void {
    this.#step({ type: "stance", stance: "run" });
  }

  async renew(answer: RecordedWrite): Promise<void> {
    this.#now += this.config.retryPeriodMs;
    await this.write({ type: "tick" }, answer);
  }

  #step(event: Draft<ElectionEvent<Lease>>): readonly ElectionAction<Lease>[] {
    const { state, actions } = electionStep<Lease>(this.#state, { ...event, wallMs: Date.UTC(2026, 0, 2) + this.#now }, this.#now, this.config);
    this.#state = state;
    return actions;
  }
}

describe.each(TIMINGS)("in the place of client-go with $name, what we write", (timing) => {
  const { writes } = readRecording(timing.name);

  async function play(elector: string, part: readonly RecordedWrite[], before: RecordedWrite | undefined): Promise<void> {
    const from = api.got.length;
    const [first, ...others] = part;
    if (first === undefined) throw new Error("an empty part");
    const understudy = new Understudy(configOf(elector, timing));
    understudy.join();
    // After a silence the machine has to wait; a version without a holder is taken as it is.
    const found = before === undefined ? undefined : await api.decode(before.response);
    await understudy.write({ type: "seen", lease: found }, first);
    for (const answer of others) {
      if (answer.request.spec.holderIdentity === "") await understudy.write({ type: "stance", stance: "leave" }, answer);
      else await understudy.renew(answer);
    }
    const ours = api.got.slice(from).map(({ method, path, body }) => ({ method, path, body: shapeOf(body) }));
    expect(ours).toEqual(part.map(({ method, path, request }) => ({ method, path, body: shapeOf(request) })));
  }

  test("is the same, field by field: create, three renews, release", async () => {
    await play("a", writes.slice(0, 5), undefined);
    expect(writes[4]?.request.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1 });
  });

  test("is the same, field by field: a released Lease taken, three renews", async () => {
    await play("b", writes.slice(5, 9), writes[4]);
  });

  test("is the same, field by field: a silent holder's Lease taken after its time, and renewed", async () => {
    const [silent, take] = [writes[8], writes[9]];
    if (silent === undefined || take === undefined) throw new Error("no take-over");
    const rival = new Rival(configOf("a", timing), false);
    rival.see(await api.decode(silent.response), 0);
    rival.run(timing.leaseMs);
    const [attempt] = rival.attempts;
    if (attempt?.write.type !== "replace") throw new Error("expected a replace");
    api.expect(take);
    await api.leases.replace(attempt.write.base, attempt.write.record, 5000, new AbortController().signal);
    const sent = api.got.at(-1);
    expect({ method: sent?.method, path: sent?.path, body: sent && shapeOf(sent.body) }).toEqual({ method: take.method, path: take.path, body: shapeOf(take.request) });
  });
});
