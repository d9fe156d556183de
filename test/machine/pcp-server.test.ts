import { describe, expect, test } from "vitest";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { PCP_SERVER_TIMING, hasForgotten, pcpServerStep } from "../../src/machine/pcp-server.js";
import { pcpServerStart, type PcpDialect, type PcpGreeting, type PcpServerAction, type PcpServerEvent, type PcpServerState } from "../../src/machine/pcp-server-state.js";

const [ROUTER, OTHER, OUTSIDE] = ["10.77.0.1", "10.77.0.9", "198.51.100.1"].map((text) => parseIp(text) as IpAddress) as [IpAddress, IpAddress, IpAddress];
const { checkMs, checkWaitMs, leastMs, searchMs } = PCP_SERVER_TIMING;

type Body = PcpServerEvent extends infer E ? (E extends PcpServerEvent ? Omit<E, "random"> : never) : never;

/** A machine with its time. `random` is in the middle: no jitter. */
class Bench {
  state: PcpServerState = pcpServerStart(0);
  now = 0;
  wakeAt: number | undefined = 0;
  readonly log: string[] = [];

  send(event: Body): this {
    const { state, actions, wakeAt } = pcpServerStep(this.state, { random: 0.5, ...event }, this.now, PCP_SERVER_TIMING);
    this.state = state;
    this.wakeAt = wakeAt;
    this.log.push(...actions.map((action) => `${this.now} ${shown(action)}`));
    return this;
  }

  /** Wakes the machine whenever it asks for it; questions go unanswered for as long as they are waited for. */
  until(time: number, silent = true): this {
    for (;;) {
      const { probe, lastProbeAt } = this.state;
      const failsAt = silent && probe !== undefined ? lastProbeAt + probe.waitMs : Infinity;
      const at = Math.max(this.now, Math.min(failsAt, this.wakeAt ?? Infinity));
      if (at > time) break;
      this.now = at;
      this.send(at === failsAt && probe !== undefined ? { type: "failed", id: probe.id } : { type: "tick" });
    }
    this.now = time;
    return this;
  }

  answered(part: Partial<PcpGreeting> = {}): this {
    return this.send({ type: "answered", id: this.state.probe?.id ?? 0, greeting: { dialect: "pcp", host: ROUTER, epoch: 100 + this.now / 1000, externalAddress: undefined, ...part } });
  }

  news(): readonly string[] {
    return this.log.splice(0);
  }

  /** The server is known since 0. */
  static known(dialect: PcpDialect = "pcp"): Bench {
    const bench = new Bench().send({ type: "tick" }).answered({ dialect });
    bench.news();
    return bench;
  }
}

function shown(action: PcpServerAction): string {
  return action.type === "probe" ? `ask ${action.dialects.join("+")} for ${action.waitMs}` : action.type;
}

describe("a search", () => {
  test("asks at once by PCP, then by both, twice as seldom each time, up to MRT (RFC 6887 8.1.1)", () => {
    const bench = new Bench().send({ type: "tick" }).until(50_000);
    expect(bench.news()).toEqual(["0 ask pcp for 3000", "3000 ask pcp+nat-pmp for 6000", "9000 ask pcp+nat-pmp for 12000", "21000 ask pcp+nat-pmp for 24000", "45000 ask pcp+nat-pmp for 48000"]);
    bench.until(4_000_000);
    expect(bench.news().at(-1)).toMatch(/ask pcp\+nat-pmp for 1024000$/);
  });

  test("says that there is none once it has waited long enough, and not before", () => {
    const bench = new Bench().send({ type: "tick" }).until(searchMs - 1);
    expect(bench.state.searched).toBe(false);
    expect(bench.until(searchMs).state.searched).toBe(true);
  });

  test("that fails at once (no default route) is not asked again before its time", () => {
    const bench = new Bench().send({ type: "tick" }).send({ type: "failed", id: 1 });
    bench.until(2999, false);
    expect(bench.news()).toEqual(["0 ask pcp for 3000"]);
    expect(bench.until(3000, false).news()).toEqual(["3000 ask pcp+nat-pmp for 6000"]);
  });

  test("of a router that knows NAT-PMP only is repeated at once in its words, and not over and over", () => {
    const bench = new Bench().send({ type: "tick" }).send({ type: "older", id: 1 });
    expect(bench.news()).toEqual(["0 ask pcp for 3000", "0 ask nat-pmp for 6000"]);
    bench.send({ type: "older", id: 2 });
    expect(bench.news()).toEqual([]);
    bench.until(6000);
    expect(bench.news()).toEqual(["6000 ask pcp+nat-pmp for 12000"]);
  });

  test("begins anew when something is announced, at most once a second", () => {
    const bench = new Bench().send({ type: "tick" }).until(30_000);
    bench.news();
    for (let i = 0; i < 100; i += 1) bench.send({ type: "doubt" });
    expect(bench.news()).toEqual(["30000 cancel", "30000 ask pcp+nat-pmp for 3000", "30000 cancel"]);
    bench.until(30_000 + leastMs);
    expect(bench.news()).toEqual(["31000 ask pcp+nat-pmp for 3000"]);
  });
});

describe("a server that is known", () => {
  test("is asked now and then, in its own dialect, and given up after three silences", () => {
    const bench = Bench.known("nat-pmp").until(checkMs + 2 * checkWaitMs);
    expect(bench.news()).toEqual(["60000 ask nat-pmp for 3000", "63000 ask nat-pmp for 3000", "66000 ask nat-pmp for 3000"]);
    expect(bench.state.server).toBeDefined();
    bench.until(checkMs + 3 * checkWaitMs);
    expect(bench.state).toMatchObject({ server: undefined, searched: true });
    expect(bench.news()).toEqual(["69000 ask pcp for 3000"]);
  });

  test("that answers late enough was not lost: silences count in a row", () => {
    const bench = Bench.known().until(checkMs + 2 * checkWaitMs).answered();
    bench.until(2 * checkMs + 4 * checkWaitMs);
    expect(bench.state.server).toBeDefined();
  });

  test("is asked at once when in doubt, and its time goes on where it was", () => {
    const bench = Bench.known().until(20_000).send({ type: "doubt" }).send({ type: "doubt" });
    expect(bench.news()).toEqual(["20000 ask pcp for 3000"]);
    bench.answered().until(79_000);
    expect(bench.news()).toEqual([]);
  });

  test("that has forgotten says so by its epoch, in an answer to a check or to a mapping", () => {
    const bench = Bench.known().until(checkMs, false).answered({ epoch: 2 });
    expect(bench.news()).toEqual(["60000 ask pcp for 3000", "60000 restarted"]);
    bench.send({ type: "learned", epoch: 2, externalAddress: OUTSIDE });
    expect(bench.state.server).toMatchObject({ epoch: 2, externalAddress: OUTSIDE });
    expect(bench.news()).toEqual([]);
    bench.send({ type: "learned", epoch: 0, externalAddress: undefined });
    expect(bench.news()).toEqual(["60000 restarted"]);
    expect(bench.state.server?.externalAddress).toBe(OUTSIDE);
  });

  test("keeps its outside over checks; another host is another server, that has forgotten nothing", () => {
    const bench = Bench.known().send({ type: "learned", epoch: 100, externalAddress: OUTSIDE }).until(checkMs, false).answered();
    expect(bench.state.server?.externalAddress).toBe(OUTSIDE);
    bench.until(2 * checkMs, false).answered({ host: OTHER, epoch: 1 });
    expect(bench.state.server).toMatchObject({ host: OTHER, externalAddress: undefined });
    expect(bench.news().filter((line) => line.endsWith("restarted"))).toEqual([]);
  });

  test("the answer to an older question says nothing", () => {
    const bench = Bench.known().send({ type: "answered", id: 1, greeting: { dialect: "pcp", host: OTHER, epoch: 0, externalAddress: undefined } });
    expect(bench.state.server?.host).toBe(ROUTER);
  });
});

describe("epochs", () => {
  const at = (epoch: number): Parameters<typeof hasForgotten>[0] => ({ dialect: "pcp", host: ROUTER, epoch, externalAddress: undefined, heardAt: 0 });
  test.each<readonly [string, PcpDialect, number, number, number, boolean]>([
    // RFC 6887 8.5.
    ["the same clock", "pcp", 100, 160, 60_000, false],
    ["back by a second: reordered", "pcp", 100, 99, 0, false],
    ["back by two", "pcp", 100, 98, 0, true],
    ["a little slow", "pcp", 1000, 1944, 1_000_000, false],
    ["too slow", "pcp", 1000, 1930, 1_000_000, true],
    ["a little fast", "pcp", 1000, 2065, 1_000_000, false],
    ["too fast: another server, or a clock that was set", "pcp", 1000, 2080, 1_000_000, true],
    ["restarted long ago, so that it counts as much again", "pcp", 100, 130, 60_000, true],
    // RFC 6886 3.6.
    ["NAT-PMP: the same clock", "nat-pmp", 100, 160, 60_000, false],
    ["NAT-PMP: an eighth behind", "nat-pmp", 100, 151, 60_000, false],
    ["NAT-PMP: more than an eighth behind", "nat-pmp", 100, 150, 60_000, true],
    ["NAT-PMP: ahead", "nat-pmp", 100, 900, 60_000, false],
  ])("%s", (_name, dialect, before, epoch, now, forgotten) => {
    expect(hasForgotten(at(before), { dialect, epoch }, now)).toBe(forgotten);
  });
});
