import { expect, test } from "vitest";
import { SessionEvents } from "../../src/cli/bgp-events.js";
import type { BgpPeerReport } from "../../src/modes/bgp-report.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";
import { DOWN, UP } from "./bgp-given.js";

class Bench {
  readonly clock = new FakeClock();
  readonly log = new FakeLog();
  readonly kube = new FakeKube();
  readonly events = new SessionEvents({ node: "n1", clock: this.clock, log: this.log, random: { float: () => 0.5 }, events: this.kube.eventPort });

  async look(...reports: readonly BgpPeerReport[]): Promise<readonly string[]> {
    this.events.look(reports);
    await this.clock.advance(10);
    return this.kube.events.map(({ reason, message }) => `${reason}: ${message}`);
  }
}

const flaps = (report: BgpPeerReport, count: number): BgpPeerReport => ({ ...report, counters: { ...report.counters, flaps: count } });
const LOST = "BgpSessionLost: the BGP session with tor1 (192.0.2.1) was lost: Cease/Administrative Reset";

test("a session that was lost is an Event of the Node, once; each further loss is one more", async () => {
  const bench = new Bench();
  expect(await bench.look(flaps(UP, 0))).toEqual([]);
  expect(await bench.look(flaps(UP, 1))).toEqual([LOST]);
  expect(bench.kube.events[0]).toMatchObject({ service: { kind: "Node", name: "n1", uid: "n1" }, type: "Warning" });
  expect(await bench.look(flaps(UP, 1), flaps(DOWN, 0))).toEqual([LOST]);
  expect(await bench.look({ ...flaps(UP, 2), lastEnd: { at: 700, wasEstablished: true, by: "local", notification: undefined, reason: "Hold Timer Expired" } })).toEqual([LOST, LOST.replace("Cease/Administrative Reset", "Hold Timer Expired")]);
});

test("a peer that never had a session is none, and one that was configured anew counts from 0", async () => {
  const bench = new Bench();
  expect(await bench.look(flaps(DOWN, 0))).toEqual([]);
  await bench.look(flaps(UP, 2));
  expect(await bench.look(flaps(UP, 0))).toHaveLength(1);
  expect(await bench.look({ ...flaps(UP, 1), lastEnd: { at: 9000, wasEstablished: true, by: "peer", notification: undefined, reason: "Cease/Administrative Reset" } })).toHaveLength(2);
});

test("a peer that another process of the node has is an Event, again where it is another process", async () => {
  const bench = new Bench();
  const taken = (rival: string | undefined): BgpPeerReport => ({ ...flaps(DOWN, 0), rival });
  const said = await bench.look(taken("bird (812)"));
  expect(said).toEqual([expect.stringMatching(/^BgpPeerTaken: there is no BGP session with tor2 \(2001:db8::2\): bird \(812\) on this node already has a session with it, /)]);
  expect(await bench.look(taken("bird (812)"))).toHaveLength(1);
  expect(await bench.look(taken(undefined))).toHaveLength(1);
  expect(await bench.look(taken("frr (9)"))).toHaveLength(2);
});

test("what the API does not take is tried again, until it is stopped", async () => {
  const bench = new Bench();
  let refused = 0;
  const events = new SessionEvents({
    node: "n1",
    clock: bench.clock,
    log: bench.log,
    random: { float: () => 0.5 },
    events: {
      write: async () => {
        refused += 1;
        throw new Error("POST events: connection refused");
      },
    },
  });
  events.look([flaps(UP, 1)]);
  await bench.clock.advance(5000);
  expect(refused).toBeGreaterThan(1);
  events.stop();
  const before = refused;
  await bench.clock.advance(60_000);
  expect(refused).toBe(before);
  expect(bench.clock.pending).toBe(0);
});
