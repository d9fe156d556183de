import { expect, it } from "vitest";
import { SharedLook } from "../../src/lib/shared-look.js";

/** Looks that end when they are told to, numbered from 1. */
function bench(): { readonly shared: SharedLook<number>; readonly looks: PromiseWithResolvers<number>[] } {
  const looks: PromiseWithResolvers<number>[] = [];
  const shared = new SharedLook(async () => {
    const look = Promise.withResolvers<number>();
    looks.push(look);
    return await look.promise;
  });
  return { shared, looks };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

it("gives one look to all who ask at the same time", async () => {
  const { shared, looks } = bench();
  const asked = Promise.all([shared.get(), shared.get(), shared.get()]);
  await turn();
  looks[0]?.resolve(1);
  expect(await asked).toEqual([1, 1, 1]);
  expect(looks).toHaveLength(1);
});

it("gives those who ask while a look is under way the next one, which is one for all of them", async () => {
  const { shared, looks } = bench();
  const first = shared.get();
  await turn();
  const later = Promise.all([shared.get(), shared.get()]);
  await turn();
  expect(looks).toHaveLength(1);
  looks[0]?.resolve(1);
  await turn();
  looks[1]?.resolve(2);
  expect([await first, await later]).toEqual([1, [2, 2]]);
  expect(looks).toHaveLength(2);
});

it("looks again after a look that failed", async () => {
  const { shared, looks } = bench();
  const failed = shared.get().catch(String);
  await turn();
  const later = shared.get();
  looks[0]?.reject(new Error("gone"));
  expect(await failed).toBe("Error: gone");
  await turn();
  looks[1]?.resolve(2);
  expect(await later).toBe(2);
});
