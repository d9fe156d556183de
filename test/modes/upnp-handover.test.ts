import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DownReason, VipMode } from "../../src/core/mode.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import type { HttpRequest } from "../../src/ports/http.js";
import { runsOf } from "../runs.js";
import { UpnpBench } from "./upnp-bench.js";

const signal = new AbortController().signal;
const ROUTER6 = parseIp("fd77::1") as IpAddress;
const NODES = 2;
/** A router that takes longer for a request is one of those that `down` does not wait for. */
const MOST_REQUEST_MS = 60;
/** After the last of it: lost answers, and the one that confirms what the heir was told. */
const QUIET_MS = 40_000;

const STEP_MS = 20;

/** What happens next, and when. `holder` is the node that has it, `heir` the other one. */
interface Happening {
  readonly afterMs: number;
  /**
   * `create`: the holder opens the port. `delete`: the Service goes. `move`: the heir has taken it over. `leave`: the holder closes it because nobody takes it, and then somebody does,
   * before it is closed.
   */
  readonly what: "create" | "delete" | "move" | "leave";
}

/** Two nodes and the port of one Service; each node does one thing at a time with it, as the engine does. */
class Nodes implements AsyncDisposable {
  readonly bench: UpnpBench;
  readonly #modes: readonly VipMode<"upnp">[];
  readonly #work: Promise<void>[] = Array.from({ length: NODES }, async () => undefined);
  #holder = 0;
  wanted = false;

  constructor(router: IpAddress | undefined) {
    this.bench = new UpnpBench(router);
    if (router !== undefined) this.bench.router.options = { pinholes: true };
    this.#modes = [this.bench.mode, this.bench.reborn()];
  }

  happen(what: Happening["what"]): void {
    if (what === "create" && !this.wanted) this.#up();
    if (what === "delete" && this.wanted) this.#down("unwanted");
    if (this.wanted && (what === "move" || what === "leave")) {
      this.#down(what === "move" ? "notOwner" : "unwanted");
      this.#holder = (this.#holder + 1) % NODES;
      this.#up();
    }
  }

  /** What the router has for it. */
  get open(): readonly string[] {
    const { router } = this.bench;
    return [...router.mappings.values(), ...router.pinholes.values()];
  }

  /** In small steps: what follows from an answer needs its turns of the event loop. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) await this.bench.clock.advance(Math.min(left, STEP_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const mode of this.#modes) await mode[Symbol.asyncDispose]();
  }

  #up(): void {
    this.wanted = true;
    this.#do(async (mode) => await mode.up(this.bench.want(1), signal));
  }

  #down(reason: DownReason): void {
    this.wanted = false;
    this.#do(async (mode) => await mode.down(this.bench.want(1).key, reason, signal));
  }

  #do(verb: (mode: VipMode<"upnp">) => Promise<void>): void {
    const at = this.#holder;
    const mode = this.#modes[at];
    if (mode !== undefined) this.#work[at] = this.#work[at]?.then(async () => await verb(mode)) ?? Promise.resolve();
  }
}

function isMap({ headers }: HttpRequest): boolean {
  return headers["soapaction"]?.includes("#AddPortMapping") === true;
}

const happenings = fc.array(
  fc.record({ afterMs: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 4000 })), what: fc.constantFrom<Happening["what"]>("create", "delete", "move", "leave") }),
  { minLength: 1, maxLength: 8 },
);
/** In [0, 1): how long the router takes each time. */
const numbers = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 20, maxLength: 20 });

describe.each([
  ["port mappings, some of whose answers are lost", undefined],
  ["pinholes", ROUTER6],
])("%s, at a router that takes its time", (_name, router) => {
  test("in the end are there for whoever has the VIP, and gone with it, whenever it moved or went", async () => {
    await fc.assert(
      fc.asyncProperty(happenings, numbers, fc.integer({ min: 1, max: 6 }), async (story, delays, losesOneOf) => {
        await using nodes = new Nodes(router);
        const { clock } = nodes.bench;
        let [asked, mapped, over] = [0, 0, false];
        const nextMs = (): number => (delays[(asked += 1) % delays.length] ?? 0) * MOST_REQUEST_MS;
        const loses = (request: HttpRequest): boolean => !over && isMap(request) && (mapped += 1) % losesOneOf === 0;
        nodes.bench.router.pace = { clock, inLine: true, nextMs, loses };
        nodes.happen("create");
        for (const { afterMs, what } of story) {
          await nodes.pass(afterMs);
          nodes.happen(what);
        }
        over = true;
        await nodes.pass(QUIET_MS);
        expect(nodes.open).toHaveLength(nodes.wanted ? 1 : 0);
      }),
      { numRuns: runsOf(200), seed: 8 },
    );
  });
});

test.each<readonly [string, number, readonly Happening["what"][]]>([
  ["before the heir has found the router", 20, ["create", "move", "delete"]],
  ["while the heir asks for it", 45, ["create", "move", "delete"]],
  ["before the first answer", 45, ["create", "delete"]],
])("a Service that goes %s leaves nothing open", async (_name, afterMs, story) => {
  await using nodes = new Nodes(undefined);
  const { clock, router } = nodes.bench;
  // As one does that has many hands: what was asked first may be done last.
  router.pace = { clock, inLine: false, nextMs: (request) => (request !== undefined && isMap(request) ? 300 : 10), loses: () => false };
  for (const [at, what] of story.entries()) {
    nodes.happen(what);
    if (at < story.length - 2) await clock.advance(2000);
    else if (at < story.length - 1) await clock.advance(afterMs);
  }
  expect(router.mappings.size).toBe(story.includes("move") ? 1 : 0);
  await nodes.pass(1000);
  expect(router.mappings.size).toBe(0);
  expect(nodes.bench.views.size).toBe(0);
});

test("a port that the holder before closes late is opened again by the heir", async () => {
  await using nodes = new Nodes(undefined);
  const { router } = nodes.bench;
  nodes.happen("create");
  await nodes.pass(20_000);
  nodes.happen("move");
  await nodes.pass(1000);
  expect(router.mappings.size).toBe(1);
  router.mappings.clear();
  await nodes.pass(11_000);
  expect(router.mappings.size).toBe(1);
});
