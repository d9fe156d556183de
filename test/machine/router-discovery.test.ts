import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { ROUTER_DISCOVERY, routerDiscoveryStart, routerDiscoveryStep, type RouterDiscoveryEvent, type RouterDiscoveryState } from "../../src/machine/router-discovery.js";

const A = "fe80::a" as IpAddress;
const A2 = "fe80::a2" as IpAddress;
const B = "fe80::b" as IpAddress;
const MAC_A = "02:00:00:00:00:0a" as MacAddress;
const MAC_B = "02:00:00:00:00:0b" as MacAddress;

type Input = RouterDiscoveryEvent extends infer E ? (E extends RouterDiscoveryEvent ? Omit<E, "random"> : never) : never;

const UP: Input = { type: "link", up: true };
const DOWN: Input = { type: "link", up: false };
const SESSION: Input = { type: "session", up: true };
const LOST: Input = { type: "session", up: false };
const SOLICITED: Input = { type: "solicited" };

function advertised(address: IpAddress, mac: MacAddress | undefined = address === B ? MAC_B : MAC_A): Input {
  return { type: "advertised", by: { address, mac } };
}

interface Run {
  /** `ms what` of all that was sent, and of each choice. */
  readonly lines: readonly string[];
  readonly state: RouterDiscoveryState;
}

/** Runs the machine until `ms`, by its own wake-up times and by events at theirs. */
function run(events: readonly (readonly [number, Input])[], ms: number, random = 0): Run {
  let state = routerDiscoveryStart(0);
  let wakeAt: number | undefined;
  const lines: string[] = [];
  const step = (now: number, input: Input): void => {
    const before = state.chosen;
    const result = routerDiscoveryStep(state, { ...input, random }, now);
    ({ state, wakeAt } = result);
    if (state.chosen !== before) lines.push(`${now} ${state.chosen ?? "nobody"}`);
    lines.push(...result.actions.map(({ type }) => `${now} ${type}`));
    if (wakeAt !== undefined && wakeAt <= now) throw new Error(`at ${now} it wants to be called at ${wakeAt}`);
  };
  const until = (end: number): void => {
    while (wakeAt !== undefined && wakeAt < end) step(wakeAt, { type: "tick" });
  };
  for (const [at, event] of events) {
    until(at);
    step(at, event);
  }
  until(ms + 1);
  return { lines, state };
}

const of = ({ lines }: Run, what: string): readonly number[] => lines.filter((line) => line.endsWith(` ${what}`)).map((line) => Number(line.split(" ")[0]));

describe("looking for the router of a link", () => {
  test("nothing is sent while the link is down", () => {
    expect(run([[5, advertised(A)]], 100_000).lines).toEqual([]);
  });

  test("it is asked for three times 4 s apart, then less and less often, down to once a minute", () => {
    expect(of(run([[0, UP]], 200_000), "solicit")).toEqual([0, 4000, 8000, 16_000, 32_000, 64_000, 124_000, 184_000]);
  });

  test("our advertisements: three 3 s apart, then every 7.5 to 10 s", () => {
    expect(of(run([[0, UP]], 30_000, 0), "advertise")).toEqual([0, 3000, 6000, 13_500, 21_000, 28_500]);
    expect(of(run([[0, UP]], 30_000, 1), "advertise")).toEqual([0, 3000, 6000, 16_000, 26_000]);
  });

  test("the first that is heard is chosen, and with a session nobody is asked any more", () => {
    const found = run([[0, UP], [100, advertised(A)], [200, SESSION], [10_000, advertised(A)]], 60_000);
    expect(of(found, A)).toEqual([100]);
    expect(of(found, "solicit")).toEqual([0]);
    expect(found.state.routers).toEqual([{ address: A, mac: MAC_A, heardAt: 10_000 }]);
  });

  test("a session that is lost asks at once, and tells again", () => {
    expect(of(run([[0, UP], [100, advertised(A)], [200, SESSION], [50_000, LOST]], 55_000), "solicit")).toEqual([0, 50_000, 54_000]);
  });

  test.each([
    { name: "a solicitation", event: SOLICITED },
    { name: "a router that is new", event: advertised(A) },
  ])("$name is answered within half a second, and never less than 3 s after the last advertisement", ({ event }) => {
    expect(of(run([[0, UP], [10_000, event]], 11_000, 0.5), "advertise")).toEqual([0, 3000, 6000, 10_250]);
    expect(of(run([[0, UP], [6100, event]], 11_000, 0.5), "advertise")).toEqual([0, 3000, 6000, 9000]);
  });

  test("a router with which there is a session is not answered; one that is known but has none is, as it may have begun anew", () => {
    const known: readonly (readonly [number, Input])[] = [[0, UP], [1000, advertised(A)], [1100, SESSION]];
    expect(of(run([...known, [10_000, advertised(A)]], 13_000), "advertise")).toEqual(of(run(known, 13_000), "advertise"));
    expect(of(run([...known, [9000, LOST], [10_000, advertised(A)]], 13_000), "advertise")).toEqual([0, 3000, 6000, 10_000]);
  });
});

describe("the router", () => {
  const FOUND: readonly (readonly [number, Input])[] = [[0, UP], [100, advertised(A)], [200, SESSION]];

  test("that has another address and the same MAC address is followed at once, though the session is still up", () => {
    expect(of(run([...FOUND, [5000, advertised(A2, MAC_A)]], 5000), A2)).toEqual([5000]);
  });

  test("that goes on with both addresses keeps the newer one", () => {
    const both = run([...FOUND, [5000, advertised(A2, MAC_A)], [5100, SESSION], [6000, advertised(A)], [7000, advertised(A2, MAC_A)], [8000, advertised(A)]], 9000);
    expect(of(both, A2)).toEqual([5000]);
    expect(of(both, A)).toEqual([100]);
  });

  test("that moves back is followed when its other address was silent for 30 s", () => {
    expect(of(run([...FOUND, [5000, advertised(A2, MAC_A)], [5100, SESSION], [34_999, advertised(A)]], 34_999), A)).toEqual([100]);
    expect(of(run([...FOUND, [5000, advertised(A2, MAC_A)], [5100, SESSION], [35_000, advertised(A)]], 35_000), A)).toEqual([100, 35_000]);
  });

  test("is not given up for another one while there is a session, however often that one is heard", () => {
    const others = Array.from({ length: 20 }, (_, n): readonly [number, Input] => [1000 + n * 5000, advertised(B)]);
    expect(run([...FOUND, ...others], 110_000).state.chosen).toBe(A);
  });

  test("that has no MAC address in its advertisements is not taken for another one without", () => {
    expect(run([[0, UP], [100, { type: "advertised", by: { address: A, mac: undefined } }], [200, SESSION], [300, { type: "advertised", by: { address: B, mac: undefined } }]], 400).state.chosen).toBe(A);
  });

  test("gives way after 5 s without a session to one that was heard after it", () => {
    expect(of(run([[0, UP], [100, advertised(A)], [200, advertised(B)]], 6000), B)).toEqual([5100]);
    expect(of(run([...FOUND, [300, advertised(B)], [20_000, LOST]], 30_000), B)).toEqual([25_000]);
  });

  test.each([
    { name: "of which nobody knows the MAC address", mac: undefined, at: 20_000 },
    { name: "that is certainly another one", mac: MAC_B, at: 25_000 },
  ])("when its session is lost, gives way to the one heard last, $name: at $at", ({ mac, at }) => {
    const other: Input = { type: "advertised", by: { address: B, mac } };
    expect(of(run([...FOUND, [300, other], [20_000, LOST]], 30_000), B)).toEqual([at]);
  });

  test("does not give way to one that was heard before it", () => {
    expect(run([[0, UP], [100, advertised(A)], [200, advertised(B)], [300, advertised(A)]], 60_000).state.chosen).toBe(A);
  });

  test("two without a session have their turns", () => {
    const turns = Array.from({ length: 6 }, (_, n): readonly [number, Input] => [1000 + n * 10_000, advertised(n % 2 === 0 ? A : B)]);
    const { lines } = run([[0, UP], ...turns], 60_000);
    expect(lines.filter((line) => / fe80/.test(line))).toEqual(["1000 fe80::a", "11000 fe80::b", "21000 fe80::a", "31000 fe80::b", "41000 fe80::a", "51000 fe80::b"]);
  });

  test("stays known while its link is down; another at the end of the same cable takes its place at once", () => {
    const back: readonly (readonly [number, Input])[] = [...FOUND, [10_000, DOWN], [11_000, UP]];
    expect(run(back, 12_000).state.chosen).toBe(A);
    expect(of(run([...back, [11_500, advertised(B)]], 12_000), B)).toEqual([11_500]);
    expect(of(run([...back, [11_400, advertised(A)], [11_500, advertised(B)]], 12_000), B)).toEqual([]);
  });

  test("is asked for, and told of us, as soon as its link is up again, though a session seems to be up", () => {
    const back = run([...FOUND, [60_000, DOWN], [61_000, UP], [61_500, advertised(A)]], 90_000);
    expect(of(back, "solicit").filter((at) => at > 1000)).toEqual([61_000]);
    expect(of(back, "advertise").filter((at) => at > 60_000).slice(0, 3)).toEqual([61_000, 64_000, 67_000]);
  });

  test("of another link with the same name has to be found anew", () => {
    expect(run([...FOUND, [10_000, { type: "replaced" }]], 10_000).state).toMatchObject({ chosen: undefined, routers: [], up: false, session: { up: false } });
  });
});

test("another program that advertises from this node's address keeps us silent for as long as hosts believe it", () => {
  const beside = run([[0, UP], [1000, { type: "advertisedHere", lifetimeSeconds: 30 }]], 40_000);
  expect(of(beside, "advertise")).toEqual([0, 36_000]);
  expect(beside.state.chosen).toBeUndefined();
});

test("whatever comes: the memory is bounded, no two advertisements are less than 3 s apart, and the chosen one was heard", () => {
  const address = fc.nat(40).map((n) => `fe80::${n + 1}` as IpAddress);
  const mac = fc.nat(3).map((n) => `02:00:00:00:00:0${n}` as MacAddress);
  const event: fc.Arbitrary<Input> = fc.oneof(
    fc.record({ type: fc.constant("advertised"), by: fc.record({ address, mac }) }) as fc.Arbitrary<Input>,
    fc.constantFrom(UP, DOWN, SESSION, LOST, SOLICITED, { type: "replaced" } as const),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(4000), event), { maxLength: 60 }), (steps) => {
      let now = 0;
      const timed = steps.map(([wait, one]) => [(now += wait), one] as const);
      const told = run(timed, now + 20_000, 0.3);
      const times = of(told, "advertise");
      // A link that comes up again tells at once; the next one waits.
      const ups = timed.filter(([, one]) => one.type === "link" || one.type === "replaced").map(([at]) => at);
      expect(times.slice(1).every((at, n) => at - (times[n] ?? 0) >= ROUTER_DISCOVERY.advertLeastMs || ups.includes(at))).toBe(true);
      expect(told.state.routers.length).toBeLessThanOrEqual(8);
      expect(told.state.chosen === undefined || told.state.routers.some((one) => one.address === told.state.chosen)).toBe(true);
    }),
    { seed: 20261121 },
  );
});
