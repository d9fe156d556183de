import { describe, expect, test } from "vitest";
import type { DhcpAction } from "../../src/machine/dhcp-client-state.js";
import { dhcpStart } from "../../src/machine/dhcp-client-state.js";
import { dhcpStep } from "../../src/machine/dhcp-client.js";
import { CONFIG, DhcpBench, ip, OTHER_SERVER, SERVER, SERVER_MAC, VIP } from "./dhcp-client-bench.js";

const start = (changes: ConstructorParameters<typeof DhcpBench>[0] = {}): DhcpBench => new DhcpBench(changes).send({ type: "tick" });

describe("a first lease", () => {
  test("is discovered, offered, requested, given, probed and used, without any wait of ours", () => {
    const bench = start().offer().ack().free();
    expect(bench.log).toEqual([
      "0 DISCOVER *",
      `0 REQUEST * wants ${VIP} of ${SERVER}`,
      `0 probe ${VIP}`,
      `0 lease ${VIP} until 3600000`,
    ]);
    expect(bench.state).toMatchObject({ phase: "bound", seekingSince: undefined, wanted: VIP });
    expect(bench.state.lease).toMatchObject({ prefix: 24, routers: [SERVER], routes: [], server: SERVER, nextHop: SERVER_MAC });
  });

  test("asks with name, client identifier, class, size and the list of what it wants", () => {
    const { last } = start({ broadcast: true });
    expect(last).toMatchObject({ op: 1, broadcast: true, ciaddr: "0.0.0.0", giaddr: "0.0.0.0", chaddr: CONFIG.mac });
    expect(last?.options).toMatchObject({ clientId: CONFIG.clientId, hostname: "web", vendorClass: "vip", maxMessageSize: 1472 });
    expect([...(last?.options.requestedOptions ?? [])]).toEqual([1, 121, 3, 6, 15, 51, 58, 59]);
  });

  test("is asked for after 4, 8, 16, 32 and 64 s, and then every 64 s for ever", () => {
    const times = start().until(700_000).log.map((line) => Number(line.split(" ")[0]) / 1000);
    expect(times).toEqual([0, 4, 12, 28, 60, 124, 188, 252, 316, 380, 444, 508, 572, 636, 700]);
  });

  test("is asked for up to a second earlier or later", () => {
    const delays = [0, 0.25, 0.999].map((random) => {
      const bench = new DhcpBench();
      bench.random = random;
      return Math.round(bench.send({ type: "tick" }).wakeAt ?? 0);
    });
    expect(delays).toEqual([3000, 3500, 4998]);
  });

  test("seconds are counted from the first DISCOVER, and the REQUEST has those of the DISCOVER", () => {
    const bench = start().until(12_000);
    expect(bench.last?.secs).toBe(12);
    bench.until(15_000).offer();
    expect(bench.last?.secs).toBe(12);
    expect(bench.log.at(-1)).toMatch(/REQUEST/);
  });

  test("of several offers the first is taken, and the others come too late", () => {
    const bench = start().offer({ address: "10.77.0.160", server: OTHER_SERVER }).offer();
    expect(bench.log.slice(1)).toEqual([`0 REQUEST * wants 10.77.0.160 of ${OTHER_SERVER}`, "0 dropped unexpectedType"]);
  });

  test("of an offer that nobody stands by the REQUEST is repeated, and then all servers are asked again", () => {
    const bench = start().offer().until(28_000);
    const request = `REQUEST * wants ${VIP} of ${SERVER}`;
    expect(bench.log).toEqual(["0 DISCOVER *", `0 ${request}`, `4000 ${request}`, `12000 ${request}`, "28000 DISCOVER *"]);
  });

  test("counts from the first REQUEST that the ACK can be for", () => {
    const bench = start().until(1000).offer().until(6000).ack({ leaseSeconds: 100 }).free();
    expect(bench.log.at(-1)).toBe(`6000 lease ${VIP} until 101000`);
  });

  test("that was over when its ACK came is none", () => {
    const bench = start().offer().until(12_000).ack({ leaseSeconds: 12 });
    expect(bench.log.at(-1)).toBe("12000 dropped tooLate");
    expect(bench.state.phase).toBe("requesting");
  });
});

describe("a lost packet", () => {
  const rows = [
    { name: "DISCOVER or OFFER", play: (bench: DhcpBench) => bench.until(4000), next: "DISCOVER *" },
    { name: "REQUEST or ACK", play: (bench: DhcpBench) => bench.offer().until(4000), next: `REQUEST * wants ${VIP} of ${SERVER}` },
  ];
  test.each(rows)("costs 4 s: $name", ({ play, next }) => {
    const bench = play(start());
    expect(bench.log.at(-1)).toBe(`4000 ${next}`);
    if (bench.state.phase === "selecting") bench.offer();
    bench.ack().free();
    expect(bench.state.phase).toBe("bound");
  });

  test("costs nothing but a later renewal: REQUEST or ACK of a renewal", () => {
    const bench = DhcpBench.bound(3600).until(1_755_000);
    expect(bench.news()).toEqual([`1755000 REQUEST ${SERVER} has ${VIP}`]);
    bench.until(2_452_500).ack();
    expect(bench.news()).toEqual([`2452500 REQUEST ${SERVER} has ${VIP}`, `2452500 lease ${VIP} until 6052500`]);
  });

  test("DECLINE and RELEASE are sent once: what they say the server also learns when the lease ends", () => {
    const declined = start().offer().ack().taken().until(9999);
    expect(declined.log.filter((line) => line.includes("DECLINE"))).toHaveLength(1);
    const released = DhcpBench.bound().send({ type: "release" }).until(1_000_000_000);
    expect(released.log.filter((line) => line.includes("RELEASE"))).toHaveLength(1);
  });
});

describe("an address of an earlier life", () => {
  const reboot = (): DhcpBench => start({ requestedAddress: VIP });

  test("is asked for first, and used when its server agrees and nobody else has it", () => {
    const bench = reboot().ack().free();
    expect(bench.log).toEqual([`0 REQUEST * wants ${VIP}`, `0 probe ${VIP}`, `0 lease ${VIP} until 3600000`]);
  });

  test("is asked for in a DISCOVER when nobody knows it", () => {
    const bench = reboot().until(4000);
    expect(bench.log).toEqual([`0 REQUEST * wants ${VIP}`, `4000 DISCOVER * wants ${VIP}`]);
    bench.offer().ack().free();
    expect(bench.state.phase).toBe("bound");
  });

  test("is only a wish after a NAK, and another one is taken", () => {
    const bench = reboot().nak().offer({ address: "10.77.0.151" }).ack({ address: "10.77.0.151" }).free("10.77.0.151");
    expect(bench.log.slice(1, 4)).toEqual([`0 refused ${SERVER} no`, `0 DISCOVER * wants ${VIP}`, `0 REQUEST * wants 10.77.0.151 of ${SERVER}`]);
    expect(bench.state.lease?.address).toBe("10.77.0.151");
  });

  test("that somebody else has by now is declined, and not asked for again", () => {
    const bench = reboot().ack().taken().until(10_000);
    expect(bench.log.slice(2)).toEqual([`0 DECLINE * wants ${VIP} of ${SERVER}`, `0 declined ${VIP} of ${SERVER}`, "10000 DISCOVER *"]);
  });
});

describe("an address that somebody has", () => {
  test("is declined by broadcast with nothing but what identifies it, and asked for anew after 10 s", () => {
    const bench = start().offer().ack().taken();
    expect(bench.last).toMatchObject({ ciaddr: "0.0.0.0", secs: 0, broadcast: false });
    expect(bench.last?.options).toEqual({ messageType: 4, clientId: CONFIG.clientId, serverId: SERVER, requestedAddress: VIP, other: new Map() });
    expect(bench.wakeAt).toBe(10_000);
    bench.until(9999).send({ type: "rejoined" });
    expect(bench.log.at(-1)).toBe(`0 declined ${VIP} of ${SERVER}`);
    expect(bench.until(10_000).log.at(-1)).toBe("10000 DISCOVER *");
  });

  test("is given up when that is seen later", () => {
    const bench = DhcpBench.bound().until(5000).taken();
    expect(bench.log).toEqual([`5000 lost ${VIP} inUse`, `5000 DECLINE * wants ${VIP} of ${SERVER}`, `5000 declined ${VIP} of ${SERVER}`]);
    expect(bench.state.lease).toBeUndefined();
  });

  test("is asked about again when the probe gives no answer, and not used meanwhile", () => {
    const bench = start().offer().ack().until(10_000);
    expect(bench.log.slice(2)).toEqual([`0 probe ${VIP}`, `5000 probe ${VIP}`, `10000 probe ${VIP}`]);
    expect(bench.state.lease).toBeUndefined();
  });

  test("an answer about another address says nothing", () => {
    const bench = start().offer().ack().free("10.77.0.9").taken("10.77.0.9");
    expect(bench.state).toMatchObject({ phase: "probing", lease: undefined });
  });
});

describe("a NAK", () => {
  test("to a REQUEST starts from the beginning at once, then with back-off, until a lease is given", () => {
    const bench = start();
    // Three quarters of 500, 1000 and so on, for the random number is 0.5; the first DISCOVER is out already, and repeated after 4 s.
    for (const wait of [0, 375, 750, 1500, 3000, 6000, 12_000, 24_000, 48_000, 48_000]) {
      bench.offer().nak();
      expect(bench.wakeAt).toBe(bench.now + (wait === 0 ? 4000 : wait));
      bench.until(bench.now + wait);
      expect(bench.state.phase).toBe("selecting");
    }
    bench.offer().ack().free();
    expect(bench.state.refusals).toBe(0);
  });

  test("in a renewal takes the address away, and asks for a new one at once", () => {
    const bench = DhcpBench.bound().until(1_755_000).nak();
    expect(bench.log.slice(1)).toEqual([`1755000 lost ${VIP} refused`, `1755000 refused ${SERVER} no`, `1755000 DISCOVER * wants ${VIP}`]);
    expect(bench.state.lease).toBeUndefined();
  });

  test("in a rebinding counts from any server", () => {
    const bench = DhcpBench.bound().until(3_150_000).nak({ server: OTHER_SERVER });
    expect(bench.log).toContain(`3150000 lost ${VIP} refused`);
  });

  test.each([
    { name: "to a REQUEST, of another server", bench: () => start().offer(), server: OTHER_SERVER },
    { name: "to a renewal, of another server", bench: () => DhcpBench.bound().until(1_755_000), server: OTHER_SERVER },
    { name: "while nothing is asked", bench: () => DhcpBench.bound(), server: SERVER },
    { name: "to a DISCOVER", bench: () => start(), server: SERVER },
  ])("counts for nothing: $name", ({ bench: make, server }) => {
    const bench = make();
    const { phase, lease } = bench.state;
    bench.nak({ server });
    expect(bench.log.at(-1)).toMatch(/dropped/);
    expect(bench.state).toMatchObject({ phase, lease });
  });
});

describe("a release", () => {
  test("goes to the server only, from the address, before it is taken down; then there is silence", () => {
    const bench = DhcpBench.bound().until(5000).send({ type: "release" });
    expect(bench.news()).toEqual([`5000 RELEASE ${SERVER} has ${VIP} of ${SERVER}`, `5000 lost ${VIP} released`]);
    expect(bench.last?.options).toEqual({ messageType: 7, clientId: CONFIG.clientId, serverId: SERVER, other: new Map() });
    expect(bench.wakeAt).toBeUndefined();
    bench.ack().send({ type: "tick" }).send({ type: "rejoined" });
    expect(bench.news()).toEqual([]);
  });

  test("of an address that is not on the link yet goes to all", () => {
    const bench = start().offer().ack().send({ type: "release" });
    expect(bench.log.slice(3)).toEqual([`0 RELEASE * has ${VIP} of ${SERVER}`]);
  });

  test("says nothing where nothing was given", () => {
    expect(start().offer().send({ type: "release" }).log).toHaveLength(2);
  });

  test("a unicast names the leased address and the MAC that the lease came from", () => {
    const bench = DhcpBench.bound();
    const result = dhcpStep(bench.state, { type: "release", random: 0 }, 1000, CONFIG);
    const [first] = result.actions as readonly [Extract<DhcpAction, { type: "send" }>];
    expect(first.path).toEqual({ via: "unicast", sourceIp: VIP, destinationIp: SERVER, nextHop: SERVER_MAC });
  });
});

describe("what a server sends that counts for nothing", () => {
  const cases = [
    { name: "a request", reply: { message: { op: 1 } }, reason: "notAReply" },
    { name: "for another MAC", reply: { message: { chaddr: SERVER_MAC } }, reason: "otherHardware" },
    { name: "of another transaction", reply: { message: { xid: 7 } }, reason: "otherTransaction" },
    { name: "for another client identifier", reply: { options: { clientId: Uint8Array.of(0, 1, 2, 4) } }, reason: "otherClient" },
    { name: "BOOTP", reply: { message: { options: { other: new Map() } } }, reason: "unexpectedType" },
    { name: "an ACK without a REQUEST", reply: { options: { messageType: 5 } }, reason: "unexpectedType" },
    { name: "no server identifier", reply: { message: { options: { messageType: 2, leaseSeconds: 9, other: new Map() } } }, reason: "noServer" },
    { name: "a server at a group", reply: { options: { serverId: ip("224.0.0.1") } }, reason: "noServer" },
    { name: "no address", reply: { address: "0.0.0.0" }, reason: "unusableAddress" },
    { name: "a multicast address", reply: { address: "239.1.1.1" }, reason: "unusableAddress" },
    { name: "a loopback address", reply: { address: "127.0.0.2" }, reason: "unusableAddress" },
    { name: "the server's own address", reply: { address: SERVER }, reason: "unusableAddress" },
    { name: "the broadcast address of its network", reply: { address: "10.77.0.255" }, reason: "unusableAddress" },
    { name: "the address of its network", reply: { address: "10.77.0.0" }, reason: "unusableAddress" },
    { name: "a lease of no time", reply: { leaseSeconds: 0 }, reason: "noLeaseTime" },
    { name: "no lease time", reply: { message: { options: { messageType: 2, serverId: SERVER, other: new Map() } } }, reason: "noLeaseTime" },
  ] as const;
  test.each(cases)("$name", ({ reply, reason }) => {
    const bench = start().offer(reply);
    expect(bench.log.slice(1)).toEqual([`0 dropped ${reason}`]);
    expect(bench.state.phase).toBe("selecting");
  });

  test("an ACK of a server whose offer was not taken", () => {
    expect(start().offer().ack({ server: OTHER_SERVER }).log.at(-1)).toBe("0 dropped otherServer");
  });

  test("our client identifier sent back is right (RFC 6842)", () => {
    expect(start().offer({ options: { clientId: CONFIG.clientId } }).state.phase).toBe("requesting");
  });

  test("the last address of a /31 is an address", () => {
    expect(start().offer({ address: "10.77.0.255", options: { prefix: 31 } }).state.phase).toBe("requesting");
  });
});

test("the machine changes nothing in what it is given", () => {
  const before = dhcpStart(CONFIG);
  const copy = structuredClone(before);
  dhcpStep(before, { type: "tick", random: 0.3 }, 10, CONFIG);
  expect(before).toEqual(copy);
});
