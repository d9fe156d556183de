import { describe, expect, test } from "vitest";
import type { OwnershipKey } from "../../src/core/model.js";
import { flush } from "../fakes/clock.js";
import { type ClaimsBench, type ClaimsNode, keysOf, shared, wishesOf } from "./claims-bench.js";

const KEYS = keysOf(6);

/** A node and a key that it holds. */
function holderOf(bench: ClaimsBench): { readonly node: ClaimsNode; readonly key: OwnershipKey } {
  const node = bench.at("n2");
  const [key] = node.held();
  if (key === undefined) throw new Error("n2 holds nothing");
  return { node, key };
}

/** Renews take effect at once; the next is a second after the last. */
async function justRenewed(bench: ClaimsBench, node: ClaimsNode): Promise<void> {
  const { length } = node.moved;
  for (let ms = 0; ms < 1100 && node.moved.length === length; ms += 1) await bench.clock.advance(1);
  expect(node.moved.length).toBe(length + 1);
}

describe("the fence of a key that is shared out", () => {
  test("allows until the renew deadline, and lifetimes that end before anybody may take over", async () => {
    await using bench = await shared(KEYS, 2);
    const { node, key } = holderOf(bench);
    await justRenewed(bench, node);
    const now = bench.clock.now();
    expect(node.claims.heldUntil(key)).toBe(now + 3000);
    // 5 s less two clocks' drift of 1 % less the lateness of the kernel.
    expect(node.claims.kernelDeadline(key)).toBe(now + 3300);
    expect(node.claims.mayAnnounce(key)).toBe(true);
    const other = bench.at("n1").claims;
    expect([other.heldUntil(key), other.kernelDeadline(key), other.mayAnnounce(key)]).toEqual([0, 0, false]);
    expect([other.heldUntil("svc/none"), other.kernelDeadline("svc/none"), other.mayAnnounce("svc/none")]).toEqual([0, 0, false]);
  });

  test("says once, for all keys, that deadlines moved with a renew of its own, and nothing for one of another", async () => {
    await using bench = await shared(keysOf(40), 3);
    const { node } = holderOf(bench);
    expect(node.held().length).toBeGreaterThan(3);
    const [before, { changes }] = [node.moved.length, node];
    await bench.clock.advance(10_000);
    expect(node.moved.slice(before)).toEqual(Array.from({ length: 10 }, () => undefined));
    expect(node.changes).toBe(changes);
  });

  test("on offer: nothing is announced, lifetimes end with the offer, and whoever sets them is told", async () => {
    await using bench = await shared(KEYS, 2);
    const { node, key } = holderOf(bench);
    await justRenewed(bench, node);
    const { length } = node.moved;
    // Nobody can take it: the other node is gone, which is not known yet.
    await bench.kill("n1");
    const wishes = new Map([...wishesOf(KEYS), ...wishesOf([key], "yield")]);
    node.claims.wish(wishes);
    await flush();
    const now = bench.clock.now();
    expect(node.moved.slice(length)).toEqual([key]);
    expect(node.claims.mayAnnounce(key)).toBe(false);
    expect(node.claims.heldUntil(key)).toBe(now + 1000);
    expect(node.claims.kernelDeadline(key)).toBe(now + 1999);
    expect(node.claims.states().get(key)).toMatchObject({ held: true, view: "mine" });
    const rest = KEYS.filter((other) => other !== key && node.claims.states().get(other)?.held === true);
    for (const other of rest) expect([node.claims.mayAnnounce(other), node.claims.kernelDeadline(other)]).toEqual([true, now + 3300]);
  });

  test("`drop` lets go at once, and gives the claim up a moment later", async () => {
    await using bench = await shared(KEYS, 1);
    const node = bench.at("n1");
    const [key = "services"] = node.held();
    node.claims.wish(new Map([...wishesOf(KEYS), ...wishesOf([key], "drop")]));
    expect(node.claims.states().get(key)).toMatchObject({ held: false, view: "mine" });
    expect(node.held()).toHaveLength(KEYS.length - 1);
    await bench.clock.advance(100);
    expect(node.claims.states().get(key)).toMatchObject({ held: false, view: "free", holder: "" });
  });
});

describe("asked whether this node still owns a key", () => {
  test("yes, once a renew that was started afterwards has taken effect", async () => {
    await using bench = await shared(KEYS, 2);
    const { node, key } = holderOf(bench);
    await justRenewed(bench, node);
    await bench.clock.advance(300);
    const said: boolean[] = [];
    void node.claims.confirm(key).then((yes) => said.push(yes));
    expect(said).toEqual([]);
    await flush();
    expect([said, node.claims.heldUntil(key)]).toEqual([[true], bench.clock.now() + 3000]);
  });

  test("no: at once where it never was, and at the renew deadline where nobody answers", async () => {
    await using bench = await shared(KEYS, 2);
    const { node, key } = holderOf(bench);
    expect(await bench.at("n1").claims.confirm(key)).toBe(false);
    await justRenewed(bench, node);
    await bench.clock.advance(300);
    bench.kube.down = true;
    const said: boolean[] = [];
    void node.claims.confirm(key).then((yes) => said.push(yes));
    await bench.clock.advance(2699);
    expect(said).toEqual([]);
    await bench.clock.advance(1);
    expect(said).toEqual([false]);
  });

  test("no, where it is closed meanwhile", async () => {
    await using bench = await shared(KEYS, 2);
    const { node, key } = holderOf(bench);
    await bench.clock.advance(300);
    bench.kube.down = true;
    const said = node.claims.confirm(key);
    await bench.kill("n2");
    expect(await said).toBe(false);
  });
});

test("a machine that may have stood still holds nothing until a renew that was started afterwards has taken effect", async () => {
  await using bench = await shared(KEYS, 2);
  const { node, key } = holderOf(bench);
  const before = node.held();
  await bench.clock.advance(300);
  node.claims.suspect();
  expect([node.held(), node.claims.heldUntil(key)]).toEqual([[], 0]);
  await flush();
  expect(node.held()).toEqual(before);
});
