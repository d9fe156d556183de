import { describe, expect, it } from "vitest";
import { INFINITE_LIFETIME, STATUS_NO_ADDRS_AVAIL, STATUS_NO_BINDING, STATUS_NOT_ON_LINK, STATUS_UNSPEC_FAIL } from "../../src/wire/dhcp6/codes.js";
import { Dhcp6Bench, ip, VIP, type Says } from "./dhcp6-client-bench.js";

const start = (changes: ConstructorParameters<typeof Dhcp6Bench>[0] = {}): Dhcp6Bench => new Dhcp6Bench(changes).send({ type: "tick" });

describe("an address", () => {
  it("comes in two messages where the server commits at once", () => {
    const bench = start().reply({ options: { rapidCommit: true } });
    expect(bench.last?.options).toMatchObject({ rapidCommit: true, elapsed: 0, requestedOptions: [82], iaNa: [{ iaid: 7, addresses: [] }] });
    bench.free();
    expect(bench.news()).toEqual(["0 SOLICIT", `0 probe ${VIP}`, `0 lease ${VIP} until 3600000`]);
    expect(bench.state.phase).toBe("bound");
  });

  it("comes in four, of the server with the highest preference that answers in the first second (RFC 8415 18.2.1)", () => {
    const bench = start().advertise({ server: "a" }).advertise({ server: "b", address: "fd77::b", options: { preference: 5 } }).advertise({ server: "c", options: { preference: 4 } });
    expect(bench.news()).toEqual(["0 SOLICIT"]);
    bench.until(1060);
    expect(bench.news()).toEqual(["1050 REQUEST fd77::b of b"]);
    bench.reply({ server: "b", address: "fd77::b" }).free("fd77::b");
    expect(bench.news()).toEqual(["1060 probe fd77::b", "1060 lease fd77::b until 3601050"]);
  });

  it.each([
    { name: "preference 255", says: { options: { preference: 255 } }, requested: undefined, asks: `REQUEST ${VIP} of a` },
    { name: "the address of an earlier life", says: { address: "fd77::7" }, requested: "fd77::7", asks: "REQUEST fd77::7 of a" },
  ])("is asked for at once: $name", ({ says, requested, asks }) => {
    const bench = start({ requestedAddress: requested === undefined ? undefined : ip(requested) }).advertise(says);
    expect(bench.news()[1]).toBe(`0 ${asks}`);
  });

  it("of an earlier life is asked for without rapid commit, so that no other server gives another", () => {
    const bench = start({ requestedAddress: ip("fd77::7") });
    expect(bench.news()).toEqual(["0 SOLICIT fd77::7"]);
    expect(bench.last?.options.rapidCommit).toBeUndefined();
    bench.reply({ options: { rapidCommit: true } });
    expect(bench.news()).toEqual(["0 dropped unexpectedType"]);
  });

  it("is taken of the first that answers later", () => {
    const bench = start().until(1100);
    bench.news();
    bench.advertise({ server: "late" });
    expect(bench.news()).toEqual([`1100 REQUEST ${VIP} of late`]);
  });

  it("is sought at 1, 2, 4 ... s, two minutes at the most, for ever, in one exchange", () => {
    const bench = start();
    const first = bench.state.transactionId;
    bench.until(600_000);
    const times = bench.news().map((line) => Number(line.split(" ")[0]));
    expect(times.slice(0, 5)).toEqual([0, 1050, 3150, 7350, 15_750]);
    expect(Math.max(...times.slice(1).map((time, i) => time - (times[i] ?? 0)))).toBe(120_000);
    expect(bench.state.transactionId).toBe(first);
    expect(bench.last?.options.elapsed).toBe(Math.floor((times.at(-1) ?? 0) / 10));
  });

  it("is sought as seldom as the server says (SOL_MAX_RT)", () => {
    const bench = start().advertise({ status: STATUS_NO_ADDRS_AVAIL, options: { solMaxRtSeconds: 60 } });
    expect(bench.news()).toEqual(["0 SOLICIT", "0 refused status 2"]);
    bench.until(600_000);
    const times = bench.news().map((line) => Number(line.split(" ")[0]));
    expect((times.at(-1) ?? 0) - (times.at(-2) ?? 0)).toBe(60_000);
    // RFC 8415 21.24: 60 to 86400 only.
    expect(bench.advertise({ status: STATUS_NO_ADDRS_AVAIL, options: { solMaxRtSeconds: 59 } }).state.solicitMostMs).toBe(60_000);
  });

  it("carries a name: as it is, or with the root where it is a whole one (RFC 4704 4.2)", () => {
    expect(start({ hostname: "web" }).last?.options).toMatchObject({ fqdn: { flags: 1, name: "web" }, requestedOptions: [39, 82] });
    expect(start({ hostname: "web.example.org" }).last?.options.fqdn?.name).toBe("web.example.org.");
  });

  it("is sought anew where ten Requests are not answered", () => {
    const bench = start().advertise({ options: { preference: 255 } }).until(300_000);
    const names = bench.news().map((line) => line.split(" ")[1]);
    expect(names.filter((name) => name === "REQUEST")).toHaveLength(10);
    expect(names[11]).toBe("SOLICIT");
  });
});

describe("a message counts for nothing", () => {
  const other = Uint8Array.of(0, 4, 9);
  it.each<{ readonly name: string; readonly says: Says; readonly reason: string }>([
    { name: "another transaction", says: { transactionId: 5 }, reason: "otherTransaction" },
    { name: "another client", says: { options: { clientId: other } }, reason: "otherClient" },
    { name: "another server than the one that was asked", says: { server: "b" }, reason: "otherServer" },
  ])("in a Reply: $name", ({ says, reason }) => {
    const bench = start().advertise({ options: { preference: 255 } });
    bench.news();
    expect(bench.reply(says).news()).toEqual([`0 dropped ${reason}`]);
  });

  it.each<{ readonly name: string; readonly says: Says; readonly reason: string }>([
    { name: "another IA", says: { iaid: 8 }, reason: "noAddress" },
    { name: "T1 behind T2", says: { t1Seconds: 20, t2Seconds: 10 }, reason: "noAddress" },
    { name: "preferred for longer than valid", says: { preferredSeconds: 10, validSeconds: 9 }, reason: "noAddress" },
    { name: "an address that is no VIP", says: { address: "ff02::1" }, reason: "noAddress" },
    { name: "a valid lifetime of 0", says: { validSeconds: 0 }, reason: "noAddress" },
  ])("in an Advertise: $name", ({ says, reason }) => {
    const bench = start().advertise(says);
    expect(bench.news()).toEqual(["0 SOLICIT", `0 dropped ${reason}`]);
    expect(bench.until(1060).news()).toEqual(["1050 SOLICIT"]);
  });

  it("without the server's identifier, of a wrong type, and when nothing was asked", () => {
    const bench = start();
    expect(bench.receive(1, {}).news()[1]).toBe("0 dropped notAReply");
    expect(bench.reply().news()).toEqual(["0 dropped unexpectedType"]);
    const { serverId: _none, ...options } = { serverId: undefined, clientId: bench.config.duid };
    expect(bench.send({ type: "received", from: ip("fe80::1"), message: { type: 2, transactionId: bench.state.transactionId, options: { ...options, iaNa: [], other: [] } } }).news()).toEqual(["0 dropped noServer"]);
    expect(Dhcp6Bench.bound().reply().news()).toEqual(["0 dropped unexpectedType"]);
  });
});

describe("a lease", () => {
  it("is renewed by its server from T1, by any from T2, and ends (RFC 8415 18.2.4, 18.2.5)", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 4000, t1Seconds: 1000, t2Seconds: 1100 }).until(4_000_000);
    const news = bench.news();
    expect(news.slice(0, 4)).toEqual([`975000 RENEW ${VIP} of a`, `985000 RENEW ${VIP} of a`, `1005000 RENEW ${VIP} of a`, `1045000 RENEW ${VIP} of a`]);
    expect(news[4]).toBe(`1100000 REBIND ${VIP}`);
    expect(news.filter((line) => line.includes("REBIND")).length).toBeGreaterThan(5);
    expect(news.slice(-2)).toEqual([`4000000 lost ${VIP} expired`, `4000000 SOLICIT ${VIP}`]);
  });

  it("gets new times, counted from when it was asked for", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 100, t1Seconds: 40, t2Seconds: 60 }).until(39_500).reply({ validSeconds: 100 });
    expect(bench.news()).toEqual([`39000 RENEW ${VIP} of a`, `39500 lease ${VIP} until 139000`]);
    expect(bench.state.phase).toBe("bound");
  });

  it("gets them of another server in REBIND, too", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 100, t1Seconds: 40, t2Seconds: 60 }).until(60_000);
    bench.news();
    expect(bench.reply({ server: "b" }).news()).toEqual([`60000 lease ${VIP} until 3660000`]);
    expect(bench.until(3_660_000).news()[0]).toBe(`1815000 RENEW ${VIP} of b`);
  });

  it.each([
    { name: "half and four fifths of the preferred lifetime where the server leaves it open", says: { validSeconds: 200, preferredSeconds: 100 }, renew: 48_750, rebind: 80_000 },
    { name: "as the server says", says: { validSeconds: 200, t1Seconds: 10, t2Seconds: 20 }, renew: 9750, rebind: 20_000 },
    { name: "not behind the end", says: { validSeconds: 100, t1Seconds: 500, t2Seconds: 600 }, renew: 48_750, rebind: 80_000 },
    { name: "never, for a lease without end", says: { validSeconds: INFINITE_LIFETIME }, renew: Infinity, rebind: Infinity },
  ])("has T1 and T2: $name", ({ says, renew, rebind }) => {
    expect(Dhcp6Bench.bound(says).state.lease).toMatchObject({ renewAt: renew, rebindAt: rebind });
  });

  it("of a few seconds is asked for every second", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 8, t1Seconds: 2, t2Seconds: 5 }).until(5000);
    expect(bench.news()).toEqual([`1950 RENEW ${VIP} of a`, `2950 RENEW ${VIP} of a`, `4950 RENEW ${VIP} of a`, `5000 REBIND ${VIP}`]);
  });

  it("that the server does not know is asked for anew (NoBinding), and stays", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 100, t1Seconds: 40, t2Seconds: 60 }).until(39_000).reply({ status: STATUS_NO_BINDING }).reply({ validSeconds: 100 });
    expect(bench.news()).toEqual([`39000 RENEW ${VIP} of a`, `39000 REQUEST ${VIP} of a`, `39000 lease ${VIP} until 139000`]);
  });

  it("is lost where the server gives another instead, which is probed first", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 100, t1Seconds: 40, t2Seconds: 60 }).until(39_000).reply({ address: "fd77::9" });
    expect(bench.news()).toEqual([`39000 RENEW ${VIP} of a`, "39000 probe fd77::9"]);
    expect(bench.state.lease?.address).toBe(VIP);
    expect(bench.free("fd77::9").news()).toEqual(["39000 lease fd77::9 until 3639000"]);
  });

  it("is lost where the server takes it back", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 100, t1Seconds: 40, t2Seconds: 60 }).until(39_000).reply({ validSeconds: 0 });
    expect(bench.news()).toEqual([`39000 RENEW ${VIP} of a`, `39000 lost ${VIP} refused`, "39000 refused", `39000 SOLICIT ${VIP}`]);
  });

  it.each([
    { name: "NotOnLink", code: STATUS_NOT_ON_LINK, lost: true },
    { name: "UnspecFail", code: STATUS_UNSPEC_FAIL, lost: false },
  ])("asked for more time, the server says $name", ({ code, lost }) => {
    const bench = Dhcp6Bench.bound({ validSeconds: 100, t1Seconds: 40, t2Seconds: 60 }).until(39_000).status(code, "no");
    const news = bench.news();
    expect(news).toContain("39000 refused no");
    expect(news.includes(`39000 lost ${VIP} refused`)).toBe(lost);
    expect(bench.state.lease === undefined).toBe(lost);
  });

  it("is asked about when the link is another one", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 3600 }).until(5000).send({ type: "rejoined" });
    expect(bench.news()).toEqual([`5000 REBIND ${VIP}`]);
    expect(bench.reply({ validSeconds: 3600 }).news()).toEqual([`5000 lease ${VIP} until 3605000`]);
  });

  it("is not asked about twice in a moment while the link comes and goes", () => {
    const bench = Dhcp6Bench.bound({ validSeconds: 3600 }).until(5000).send({ type: "rejoined" }).until(6000);
    expect(bench.news()).toEqual([`5000 REBIND ${VIP}`]);
  });
});

describe("refusals", () => {
  it("one is followed by a new search at once, more of them by longer and longer waits", () => {
    const bench = start();
    bench.news();
    const seen: string[] = [];
    for (let i = 0; i < 4; i += 1) {
      bench.advertise({ options: { preference: 255 } }).reply({ status: STATUS_NO_ADDRS_AVAIL });
      if (bench.state.phase === "init") bench.until(bench.wakeAt ?? bench.now);
      seen.push(...bench.news().filter((line) => line.includes("SOLICIT")));
    }
    expect(seen.map((line) => Number(line.split(" ")[0]))).toEqual([0, 4200, 12_600, 29_400]);
  });

  it("in answer to a Solicit they are told, and it goes on", () => {
    const bench = start().advertise({ status: STATUS_NO_ADDRS_AVAIL }).until(1060);
    expect(bench.news()).toEqual(["0 SOLICIT", "0 refused status 2", "1050 SOLICIT"]);
  });
});

describe("an address that is in use", () => {
  it("is declined until the server has heard it, and another is sought after ten seconds", () => {
    const bench = start().reply({ options: { rapidCommit: true } }).taken();
    expect(bench.news()).toEqual(["0 SOLICIT", `0 probe ${VIP}`, `0 declined ${VIP}`, `0 DECLINE ${VIP} of a`]);
    bench.until(1100);
    expect(bench.news()).toEqual([`1000 DECLINE ${VIP} of a`]);
    bench.reply({ status: 0 }).until(11_100);
    expect(bench.news()).toEqual(["11100 SOLICIT"]);
  });

  it("is declined four times at the most", () => {
    const bench = start().reply({ options: { rapidCommit: true } }).taken().until(60_000);
    expect(bench.news().filter((line) => line.includes("DECLINE"))).toHaveLength(4);
  });

  it("is probed again where the answer does not come", () => {
    const bench = start().reply({ options: { rapidCommit: true } }).until(5000);
    expect(bench.news()).toEqual(["0 SOLICIT", `0 probe ${VIP}`, `5000 probe ${VIP}`]);
  });
});

describe("a release", () => {
  it("ends the use first, then tells the server until it has heard it", () => {
    const bench = Dhcp6Bench.bound().until(5000).send({ type: "release" });
    expect(bench.news()).toEqual([`5000 lost ${VIP} released`, `5000 RELEASE ${VIP} of a`]);
    bench.reply({ status: 0 });
    expect(bench.state.phase).toBe("released");
    expect(bench.wakeAt).toBeUndefined();
  });

  it("is tried four times", () => {
    const bench = Dhcp6Bench.bound().send({ type: "release" }).until(60_000);
    expect(bench.news().filter((line) => line.includes("RELEASE")).map((line) => line.split(" ")[0])).toEqual(["0", "1000", "3000", "7000"]);
    expect(bench.state.phase).toBe("released");
  });

  it("gives back what was given and not yet probed", () => {
    expect(start().reply({ options: { rapidCommit: true } }).send({ type: "release" }).news().at(-1)).toBe(`0 RELEASE ${VIP} of a`);
  });

  it("without a lease says nothing", () => {
    const bench = start().send({ type: "release" });
    expect(bench.news()).toEqual(["0 SOLICIT"]);
    expect(bench.state.phase).toBe("released");
  });
});
