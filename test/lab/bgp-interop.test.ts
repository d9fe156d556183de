import { expect, test } from "vitest";
import { failures, Matrix } from "./bgp-matrix.js";
import { sessionsOf } from "./bgp-matrix-net.js";

// One of each kind, family and key; bgp-matrix.full.test.ts has all of them, with BIRD, FRR and GoBGP, too.
const WAYS = [
  { kind: "eBGP", carries: "both", key: "MD5" },
  { kind: "iBGP", carries: "IPv6", key: "none" },
  { kind: "multihop", carries: "IPv4", key: "none" },
] as const;

test("OpenBGPD and ExaBGP have exactly our routes, and lose what is withdrawn", async () => {
  await using matrix = await Matrix.start([...sessionsOf("OpenBGPD", WAYS), ...sessionsOf("ExaBGP", WAYS)]);
  expect(failures(await matrix.outcome("all"))).toEqual([]);
  expect((await matrix.peers()).code).toBe(0);
  await matrix.withdraw();
  expect(failures(await matrix.outcome("said"))).toEqual([]);
});
