import { readFile } from "node:fs/promises";

import { describe, expect, it } from "vitest";

import { createKernel } from "../../src/linux/kernel.js";
import { clock, ip, log, marked, MARK, native, never, put, useKernelLab } from "./kernel-fixture.js";

const lab = useKernelLab();
const a = () => lab().a;

describe("marks by label and record", () => {
  it("are found by the next life, which removes by them", async () => {
    const dir = "/run/vip/record-test";
    const texts = ["192.0.2.60", "fd77::1:60"];
    const first = createKernel({ log, clock, native, markMode: "record", recordDir: dir });
    await Promise.all(texts.map(async (text) => first.putAddress(put(a(), text, { validUntil: clock.now() + 20_500 }), never)));
    expect(await ip("addr", "show", "dev", "vka")).toMatch(/inet 192\.0\.2\.60\/32 scope host .*vka:vip4d$/m);
    await using protoOnly = createKernel({ log, clock, native, markMode: "proto" });
    expect(await marked(protoOnly)).toEqual([]);
    await first[Symbol.asyncDispose]();
    await ip("addr", "add", "192.0.2.61/32", "dev", "vka");
    await using second = createKernel({ log, clock, native, markMode: "record", recordDir: dir });
    const found = (await second.addresses(never)).filter(({ mark }) => mark === MARK);
    expect(found.map((one) => one.address).toSorted()).toEqual(texts);
    for (const one of found) await second.removeAddress(one, never);
    expect((await second.addresses(never)).filter((one) => texts.includes(one.address))).toEqual([]);
    expect(await readFile(`${dir}/addresses.json`, "utf8")).toBe('{"version":1,"addresses":{}}\n');
    await ip("addr", "del", "192.0.2.61/32", "dev", "vka");
  });
});
