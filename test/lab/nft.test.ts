import { Agent, createServer } from "node:http";
import { once } from "node:events";

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { createNft } from "../../src/linux/nft.js";
import type { NftVip } from "../../src/ports/nft.js";
import { figure, tenths, watchLoop } from "./kernel-fixture.js";
import { askFromNode, askTcp, askUdp, CLIENT, ip, nameFromNode, never, NftLab, NODE4, nftTool, podAddress, port, vip, VIP4, VIP6 } from "./nft-fixture.js";

const TABLE = ["list", "table", "inet", "vip"] as const;
let lab: NftLab;
const nft = () => lab.nft;

beforeAll(async () => {
  lab = await NftLab.build();
});

afterEach(async () => {
  for (const { key } of await nft().vips(never)) await nft().removeVip(key, never);
  expect(await nftTool("list", "ruleset")).toBe("");
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

describe("traffic", () => {
  it.each([
    { address: VIP4, family: 4, client: CLIENT.ipv4 },
    { address: VIP6, family: 6, client: CLIENT.ipv6 },
  ] as const)("to $address reaches the pod by TCP and UDP with the client's address", async ({ address, family, client }) => {
    expect(await askTcp(address)).toBeUndefined();
    await nft().putVip(vip(address, port("http", family, 11), port("udp", family, 12)), never);
    expect(await askTcp(address)).toMatchObject({ pod: "p11", address: client });
    expect(await askUdp(address)).toMatchObject({ pod: "p12", address: client });
    await nft().removeVip(`eth0/${address}`, never);
    expect(await askTcp(address)).toBeUndefined();
  });

  it.each([
    { address: VIP4, family: 4 },
    { address: VIP6, family: 6 },
  ] as const)("to $address of the node itself goes to every pod equally", async ({ address, family }) => {
    await nft().putVip(vip(address, port("name", family, 11, 12, 13)), never);
    const counts = new Map<string, number>();
    for (let n = 0; n < 300; n += 1) {
      const name = await nameFromNode(address);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(["p11", "p12", "p13"]);
    // 100 each, standard deviation 8: less than 60 of one comes once in a million runs.
    for (const count of counts.values()) expect(count).toBeGreaterThan(60);
  });

  it("of a connection that stands stays where it is when the targets change, a new one goes to the new target", async () => {
    await nft().putVip(vip(VIP4, port("http", 4, 11)), never);
    const old = new Agent({ keepAlive: true, maxSockets: 1 });
    const fresh = new Agent();
    try {
      expect(await askFromNode(VIP4, old)).toBe("p11");
      await nft().putVip(vip(VIP4, port("http", 4, 12)), never);
      expect(await askFromNode(VIP4, old)).toBe("p11");
      expect(await askFromNode(VIP4, fresh)).toBe("p12");
      expect(await askTcp(VIP4)).toMatchObject({ pod: "p12" });
    } finally {
      old.destroy();
      fresh.destroy();
    }
  });

  it("has no moment without rules while they are replaced", async () => {
    const target = vip(VIP4, port("name", 4, 11));
    await nft().putVip(target, never);
    let done = false;
    let puts = 0;
    const putting = (async () => {
      for (; !done; puts += 1) await nft().putVip(target, never);
    })();
    // A refused connection rejects.
    for (let n = 0; n < 300; n += 1) expect(await nameFromNode(VIP4)).toBe("p11");
    done = true;
    await putting;
    expect(puts).toBeGreaterThan(20);
  });

  it("to other ports and addresses is left alone, and a port without targets is refused at once", async () => {
    await using server = createServer((_, response) => response.end('{"pod":"node"}')).listen(8081, "0.0.0.0");
    await once(server, "listening");
    await nft().putVip(vip(VIP4, port("http", 4, 11), port("name", 4)), never);
    expect(await askTcp(VIP4, 8081)).toEqual({ pod: "node" });
    expect(await askTcp(NODE4)).toBeUndefined();
    expect(await askTcp(VIP4, 90)).toBeUndefined();
    expect(await askTcp(podAddress(4, 12), 8080)).toMatchObject({ pod: "p12", address: CLIENT.ipv4 });
    // UDP of the port that is led on for TCP.
    expect(await askUdp(VIP4, 80)).toBeNull();
  });
});

describe("the table", () => {
  it("is readable for an administrator", async () => {
    await nft().putVip(vip(VIP4, port("http", 4, 11, 12), port("udp", 4, 13)), never);
    await nft().putVip(vip(VIP6, { protocol: "SCTP", port: 7, targets: [{ address: ip("fd92::11"), port: 77 }] }), never);
    const shown = await nftTool(...TABLE);
    expect(shown).toBe(`table inet vip {
	comment "made by vip: traffic to virtual IPs goes to endpoints on this node"
	chain vips {
		comment "one jump for each virtual IP"
		ip daddr 192.0.2.10 jump vip-976f3ade946c comment "eth0/192.0.2.10"
		ip6 daddr 2001:db8::10 jump vip-c76fb2598650 comment "eth0/2001:db8::10"
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		jump vips
	}

	chain output {
		type nat hook output priority -100; policy accept;
		jump vips
	}

	chain vip-976f3ade946c {
		comment "eth0/192.0.2.10"
		tcp dport 80 numgen random mod 2 0 dnat ip to 10.92.0.11:8080
		tcp dport 80 dnat ip to 10.92.0.12:8080
		udp dport 53 dnat ip to 10.92.0.13:9000
	}

	chain vip-c76fb2598650 {
		comment "eth0/2001:db8::10"
		sctp dport 7 dnat ip6 to [fd92::11]:77
	}
}
`);
  });

  it("is the same after the same VIP was put again", async () => {
    await nft().putVip(vip(VIP4, port("http", 4, 11, 12)), never);
    const before = await nftTool(...TABLE);
    await nft().putVip(vip(VIP4, port("http", 4, 11, 12)), never);
    expect(await nftTool(...TABLE)).toBe(before);
  });

  it.each(["flush chain inet vip prerouting", "flush chain inet vip vips", "flush table inet vip", "delete table inet vip"])("is repaired by the next put after: %s", async (harm) => {
    await nft().putVip(vip(VIP4, port("http", 4, 11)), never);
    const before = await nftTool(...TABLE);
    await nftTool(harm);
    await nft().putVip(vip(VIP4, port("http", 4, 11)), never);
    expect(await nftTool(...TABLE)).toBe(before);
  });

  it("goes with the last VIP, and the rules of others stay as they are", async () => {
    const others = "table ip other { chain in { type filter hook input priority filter; policy accept; }; }; table inet vip2 { chain vip-x { accept; }; }";
    await nftTool(others);
    const before = await nftTool("list", "ruleset");
    await nft().putVip(vip(VIP4, port("http", 4, 11)), never);
    await nft().putVip(vip(VIP6, port("http", 6, 11)), never);
    expect(await nft().removeVip(`eth0/${VIP4}`, never)).toBe(true);
    expect(await nftTool(...TABLE)).not.toContain(VIP4);
    expect(await nft().removeVip(`eth0/${VIP4}`, never)).toBe(false);
    expect(await askTcp(VIP6)).toMatchObject({ pod: "p11" });
    expect(await nft().removeVip(`eth0/${VIP6}`, never)).toBe(true);
    expect(await nftTool("list", "ruleset")).toBe(before);
    await nftTool("flush ruleset");
  });

  it("of this name that somebody else made is not removed", async () => {
    await nftTool('table inet vip { chain mine { tcp dport 1 accept comment "eth0/192.0.2.10"; }; }');
    expect(await nft().vips(never)).toEqual([]);
    expect(await nft().removeVip(`eth0/${VIP4}`, never)).toBe(false);
    expect(await nftTool(...TABLE)).toContain("chain mine");
    await nftTool("flush ruleset");
  });
});

describe("another life", () => {
  it("finds what one left that ended without a word, and removes it by its key", async () => {
    // The kernel sees of a process that is killed only that its socket closes.
    const killed = createNft();
    await killed.putVip(vip(VIP4, port("http", 4, 11)), never);
    await killed.putVip(vip(VIP6, port("http", 6, 11)), never);
    await killed[Symbol.asyncDispose]();
    const held = await nft().vips(never);
    expect(held.map(({ key }) => key).sort()).toEqual([`eth0/${VIP4}`, `eth0/${VIP6}`]);
    expect(held[0]?.describe).toMatch(/ in table inet vip, chain vip-[0-9a-f]{12}$/);
    for (const { key } of held) expect(await nft().removeVip(key, never)).toBe(true);
    expect(await nftTool("list", "ruleset")).toBe("");
  });

  it("that writes at the same time breaks nothing", async () => {
    await using other = createNft();
    const mine = vip(VIP4, port("http", 4, 11));
    const rounds = async (one: typeof other, own: NftVip): Promise<void> => {
      for (let n = 0; n < 30; n += 1) {
        await one.putVip(mine, never);
        await one.putVip(own, never);
        await one.removeVip(own.key, never);
      }
    };
    await Promise.all([rounds(other, vip("192.0.2.11", port("http", 4, 12))), rounds(nft(), vip("192.0.2.12", port("http", 4, 12)))]);
    expect((await nft().vips(never)).map(({ key }) => key)).toEqual([mine.key]);
    await nft().putVip(mine, never);
    expect((await nftTool(...TABLE)).match(/ip daddr/g)).toHaveLength(1);
  });
});

describe("speed", () => {
  it("of a VIP with 10 ports of 100 targets each, in one transaction", async () => {
    const targets = Array.from({ length: 100 }, (_, n) => ({ address: ip(`10.92.1.${n}`), port: 8080 }));
    const big = vip(VIP4, ...Array.from({ length: 10 }, (_, n) => ({ protocol: "TCP" as const, port: 1000 + n, targets })));
    const late = watchLoop();
    const first = await timed(async () => nft().putVip(big, never));
    const loopLate = late();
    const again = await timed(async () => nft().putVip(big, never));
    expect((await nftTool(...TABLE)).match(/dnat ip to/g)).toHaveLength(1000);
    figure("nft put of 1,000 targets, ms", { first, again, loopLate });
    expect(again).toBeLessThan(1000);
  });

  it("of 200 VIPs with 2 ports of 3 targets each", async () => {
    const many = Array.from({ length: 200 }, (_, n) => vip(`198.51.100.${n}`, port("http", 4, 11, 12, 13), port("udp", 4, 11, 12, 13)));
    const put = await timed(async () => Promise.all(many.map(async (one) => nft().putVip(one, never))));
    expect(await nft().vips(never)).toHaveLength(200);
    const again = await timed(async () => Promise.all(many.map(async (one) => nft().putVip(one, never))));
    const connectWith = await timed(connect500);
    const remove = await timed(async () => Promise.all(many.map(async ({ key }) => nft().removeVip(key, never))));
    const connectWithout = await timed(connect500);
    figure("nft of 200 VIPs, ms", { put, again, remove });
    figure("500 connections past 200 VIPs, ms", { with: connectWith, without: connectWithout });
    expect(put).toBeLessThan(10_000);
  });
});

/** To a pod, which is no VIP: what every other connection of the node pays. */
async function connect500(): Promise<void> {
  for (let n = 0; n < 500; n += 1) await nameFromNode(podAddress(4, 11), 9001);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return tenths(performance.now() - start);
}
