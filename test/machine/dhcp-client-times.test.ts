import { describe, expect, test } from "vitest";
import { INFINITE_SECONDS } from "../../src/wire/dhcp/codes.js";
import { DhcpBench, ip, OTHER_SERVER, SERVER, VIP } from "./dhcp-client-bench.js";

const seconds = (bench: DhcpBench): readonly number[] => bench.news().map((line) => Number(line.split(" ")[0]) / 1000);

describe("T1 and T2", () => {
  test.each([
    { name: "none named: half, and 7/8", options: {}, t1: 50, t2: 87.5 },
    { name: "named", options: { renewalSeconds: 20, rebindingSeconds: 60 }, t1: 20, t2: 60 },
    { name: "T1 only", options: { renewalSeconds: 80 }, t1: 80, t2: 87.5 },
    { name: "T1 behind T2", options: { renewalSeconds: 70, rebindingSeconds: 60 }, t1: 50, t2: 60 },
    { name: "T1 behind the end", options: { renewalSeconds: 101 }, t1: 50, t2: 87.5 },
    { name: "T2 behind the end", options: { rebindingSeconds: 101 }, t1: 50, t2: 87.5 },
    { name: "T2 in the first half", options: { rebindingSeconds: 40 }, t1: 20, t2: 40 },
    { name: "zeros", options: { renewalSeconds: 0, rebindingSeconds: 0 }, t1: 50, t2: 87.5 },
  ])("$name", ({ options, t1, t2 }) => {
    const bench = new DhcpBench();
    bench.send({ type: "tick" }).offer();
    bench.random = 0;
    bench.ack({ leaseSeconds: 100, options }).free();
    expect(bench.state.lease).toMatchObject({ renewAt: t1 * 1000, rebindAt: t2 * 1000, expiresAt: 100_000 });
  });

  test("T1 is up to 5 % early", () => {
    const bench = new DhcpBench();
    bench.send({ type: "tick" }).offer();
    bench.random = 0.999_999;
    bench.ack({ leaseSeconds: 100 });
    expect(bench.state.pending?.renewAt).toBeCloseTo(47_500, 0);
  });
});

describe("a lease that nobody renews", () => {
  test("is asked for at its server from T1, of all from T2, each time after half of what is left but not below 60 s, and goes at its end", () => {
    const bench = DhcpBench.bound(3600).until(3_600_000);
    expect(bench.log).toEqual([
      `1755000 REQUEST ${SERVER} has ${VIP}`,
      `2452500 REQUEST ${SERVER} has ${VIP}`,
      `2801250 REQUEST ${SERVER} has ${VIP}`,
      `2975625 REQUEST ${SERVER} has ${VIP}`,
      `3062813 REQUEST ${SERVER} has ${VIP}`,
      `3122813 REQUEST ${SERVER} has ${VIP}`,
      `3150000 REQUEST * has ${VIP}`,
      `3375000 REQUEST * has ${VIP}`,
      `3487500 REQUEST * has ${VIP}`,
      `3547500 REQUEST * has ${VIP}`,
      `3600000 lost ${VIP} expired`,
      `3600000 DISCOVER * wants ${VIP}`,
    ]);
    expect(bench.state.lease).toBeUndefined();
  });

  test("of 8 s is asked for once a second, at most", () => {
    const bench = new DhcpBench();
    const options = { renewalSeconds: 2, rebindingSeconds: 5 };
    bench.send({ type: "tick" }).offer().ack({ leaseSeconds: 8, options }).free();
    bench.news();
    bench.until(8000);
    expect(seconds(bench)).toEqual([1.95, 3.475, 4.475, 5, 6.5, 7.5, 8, 8]);
  });

  test("of 1 s is renewed and rebound before its end", () => {
    const bench = DhcpBench.bound(1).until(1000);
    expect(bench.news()).toEqual([
      `488 REQUEST ${SERVER} has ${VIP}`,
      `875 REQUEST * has ${VIP}`,
      `1000 lost ${VIP} expired`,
      `1000 DISCOVER * wants ${VIP}`,
    ]);
  });
});

describe("a lease that is renewed", () => {
  test("goes on from the REQUEST, without a probe, and with what the server says now", () => {
    const bench = DhcpBench.bound(100).until(48_750);
    bench.until(49_000).ack({ leaseSeconds: 200, options: { routers: [OTHER_SERVER] } });
    expect(bench.news()).toEqual([`48750 REQUEST ${SERVER} has ${VIP}`, `49000 lease ${VIP} until 248750`]);
    expect(bench.state).toMatchObject({ phase: "bound", seekingSince: undefined, lease: { routers: [OTHER_SERVER] } });
  });

  test("an ACK counts for the last REQUEST only", () => {
    const bench = DhcpBench.bound(3600);
    bench.random = 0.1;
    bench.until(1_755_000);
    const first = bench.last;
    bench.random = 0.2;
    bench.until(2_500_000);
    expect(bench.last?.xid).not.toBe(first?.xid);
    bench.ack({ message: { xid: first?.xid ?? 0 } });
    expect(bench.log.at(-1)).toBe("2500000 dropped otherTransaction");
  });

  test("is then its new server's: who answered the rebinding is asked at the next T1", () => {
    const bench = DhcpBench.bound(100).until(87_500).ack({ leaseSeconds: 100, server: OTHER_SERVER });
    bench.news();
    bench.until(150_000);
    expect(bench.log).toEqual([`136250 REQUEST ${OTHER_SERVER} has ${VIP}`]);
  });

  test("says how long it has been asked for", () => {
    const bench = DhcpBench.bound(3600).until(2_452_500);
    expect(bench.last?.secs).toBe(697);
    expect(bench.last?.broadcast).toBe(false);
  });

  test("with another address: the new one is used when it is found free, and until then the one before", () => {
    const bench = DhcpBench.bound(100).until(87_500);
    bench.news();
    bench.ack({ address: "10.77.0.160", leaseSeconds: 100 });
    expect(bench.news()).toEqual(["87500 probe 10.77.0.160"]);
    expect(bench.state.lease?.address).toBe(VIP);
    bench.free("10.77.0.160");
    expect(bench.news()).toEqual(["87500 lease 10.77.0.160 until 187500"]);
    expect(bench.until(100_000).state.lease?.address).toBe("10.77.0.160");
    expect(bench.news()).toEqual([]);
  });

  test("with another address that somebody has: it is declined, and the one before stays to its end", () => {
    const bench = DhcpBench.bound(100).until(95_000);
    bench.news();
    bench.ack({ address: "10.77.0.160", leaseSeconds: 100 }).taken("10.77.0.160");
    expect(bench.state.lease?.address).toBe(VIP);
    bench.until(105_000);
    expect(bench.log.slice(1)).toEqual([
      `95000 DECLINE * wants 10.77.0.160 of ${SERVER}`,
      `95000 declined 10.77.0.160 of ${SERVER}`,
      `100000 lost ${VIP} expired`,
      "105000 DISCOVER *",
    ]);
  });
});

describe("a lease without end", () => {
  test("is never asked for again", () => {
    const bench = DhcpBench.bound(INFINITE_SECONDS);
    expect(bench.wakeAt).toBeUndefined();
    expect(bench.state.lease?.expiresAt).toBe(Infinity);
    expect(bench.until(1e12).send({ type: "tick" }).log).toEqual([]);
  });

  test("is verified when the link comes back, and stays", () => {
    const bench = DhcpBench.bound(INFINITE_SECONDS).send({ type: "rejoined" }).until(4000);
    expect(bench.log).toEqual([`0 REQUEST * wants ${VIP}`]);
    expect(bench.state).toMatchObject({ phase: "bound", lease: { address: VIP } });
  });

  test("the longest that ends is longer than a timer of 2^31 ms", () => {
    expect(DhcpBench.bound(INFINITE_SECONDS - 1).wakeAt).toBeGreaterThan(2 ** 31);
  });
});

describe("a link that comes back", () => {
  test("verifies the lease, which is used meanwhile, and goes on where nobody answers", () => {
    const bench = DhcpBench.bound(100).until(10_000).send({ type: "rejoined" });
    expect(bench.state).toMatchObject({ phase: "rebooting", lease: { address: VIP } });
    bench.until(48_750);
    expect(bench.log).toEqual([`10000 REQUEST * wants ${VIP}`, `48750 REQUEST ${SERVER} has ${VIP}`]);
  });

  test("to another network: its server refuses, and gives another address", () => {
    const bench = DhcpBench.bound(100).until(10_000).send({ type: "rejoined" }).nak({ server: ip("192.168.1.1") });
    expect(bench.log.slice(1)).toEqual([`10000 lost ${VIP} refused`, "10000 refused 192.168.1.1 no", `10000 DISCOVER * wants ${VIP}`]);
  });

  test("to the same: the lease is confirmed, and counts from there", () => {
    const bench = DhcpBench.bound(100).until(10_000).send({ type: "rejoined" }).ack({ leaseSeconds: 100 });
    expect(bench.log.at(-1)).toBe(`10000 lease ${VIP} until 110000`);
  });

  test("is asked at once where the next DISCOVER was a minute away", () => {
    const bench = new DhcpBench().send({ type: "tick" }).until(130_000).send({ type: "rejoined" });
    expect(bench.log.at(-1)).toBe("130000 DISCOVER *");
    expect(bench.wakeAt).toBe(134_000);
  });

  test("after T1 and without an answer goes on with the renewal", () => {
    const bench = DhcpBench.bound(100).until(60_000).send({ type: "rejoined" }).until(64_000);
    expect(bench.log.slice(-2)).toEqual([`60000 REQUEST * wants ${VIP}`, `64000 REQUEST ${SERVER} has ${VIP}`]);
  });
});

describe("time that jumps", () => {
  test("a process that was held up beyond the end gives the address up first, and asks once", () => {
    const bench = DhcpBench.bound(100);
    bench.now = 1_000_000;
    bench.send({ type: "tick" });
    expect(bench.log).toEqual([`1000000 lost ${VIP} expired`, `1000000 DISCOVER * wants ${VIP}`]);
  });

  test("an ACK that waited in a socket beyond the end of the lease renews nothing", () => {
    const bench = DhcpBench.bound(100).until(90_000);
    bench.now = 101_000;
    bench.ack({ leaseSeconds: 100 });
    expect(bench.news().slice(-3)).toEqual([`101000 lost ${VIP} expired`, "101000 dropped unexpectedType", `101000 DISCOVER * wants ${VIP}`]);
  });

  test("held up between T1 and the end it asks all servers, not the one", () => {
    const bench = DhcpBench.bound(100);
    bench.now = 95_000;
    expect(bench.send({ type: "tick" }).log).toEqual([`95000 REQUEST * has ${VIP}`]);
  });

  test("a machine that slept beyond the end gives the address up", () => {
    const bench = DhcpBench.bound(100).until(10_000).send({ type: "slept", ms: 90_000 });
    expect(bench.log).toEqual([`10000 lost ${VIP} expired`, `10000 DISCOVER * wants ${VIP}`]);
  });

  test("a machine that slept a little renews so much earlier", () => {
    const bench = DhcpBench.bound(100).send({ type: "slept", ms: 40_000 });
    expect(bench.wakeAt).toBe(8750);
    expect(bench.state.lease?.expiresAt).toBe(60_000);
  });

  test("a pending address whose lease ended while it was probed is not used", () => {
    const bench = new DhcpBench().send({ type: "tick" }).offer().ack({ leaseSeconds: 3 }).until(3000).free();
    expect(bench.log.at(-1)).toBe("3000 DISCOVER *");
    expect(bench.state.lease).toBeUndefined();
  });
});
