import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { afterAll, afterEach, beforeAll, expect } from "vitest";

import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { createClock } from "../../src/linux/clock.js";
import { createKernel } from "../../src/linux/kernel.js";
import { createNative } from "../../src/linux/native.js";
import type { AddressPut, Kernel, Link } from "../../src/ports/kernel.js";
import { FakeLog } from "../fakes/log.js";

if (process.env["VIP_LAB"] !== "1") throw new Error("these tests change the network: run `npm test`, which gives them a network namespace of their own");

export const run = promisify(execFile);
export const clock = createClock();
export const native = createNative();
export const log = new FakeLog();
export const never = new AbortController().signal;
export const MARK = 77;

/** A kernel and a veth pair, made before the tests of a file and gone after them. */
export interface KernelLab {
  readonly kernel: Kernel;
  readonly a: Link;
  readonly b: Link;
}

/** Sets the lab up for a file of tests; after each test the addresses with our mark are removed, and there must be no warning. */
export function useKernelLab(): () => KernelLab {
  let lab: KernelLab | undefined;
  const get = (): KernelLab => {
    if (lab === undefined) throw new Error("only inside a test");
    return lab;
  };
  beforeAll(async () => {
    await ip("link", "add", "vka", "type", "veth", "peer", "name", "vkb");
    await ip("link", "set", "vka", "up");
    await ip("link", "set", "vkb", "up");
    const kernel = createKernel({ log, clock, native });
    lab = { kernel, a: await linkNamed(kernel, "vka"), b: await linkNamed(kernel, "vkb") };
  });
  afterEach(async () => {
    const { kernel } = get();
    await Promise.all((await marked(kernel)).map(async (one) => kernel.removeAddress(one, never)));
    expect(log.lines.splice(0).filter(({ level }) => level !== "debug")).toEqual([]);
  });
  afterAll(async () => {
    await get().kernel[Symbol.asyncDispose]();
    await ip("link", "del", "vka");
  });
  return get;
}

/** Runs ip(8). */
export async function ip(...args: string[]): Promise<string> {
  return (await run("ip", args)).stdout;
}

export async function linkNamed(kernel: Kernel, name: string): Promise<Link> {
  const link = (await kernel.links(never)).find((one) => one.name === name);
  if (link === undefined) throw new Error(`no link ${name}`);
  return link;
}

/** The addresses in the kernel that have our mark. */
export async function marked(kernel: Kernel) {
  return (await kernel.addresses(never)).filter(({ mark }) => mark === MARK);
}

export function address(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

/** A put of a host address for ever. */
export function put(link: Link, text: string, fields: Partial<AddressPut> = {}): AddressPut {
  const prefix = text.includes(":") ? 128 : 32;
  return { linkIndex: link.index, address: address(text), prefix, scope: "host", mark: MARK, validUntil: Infinity, ...fields };
}

/** Up to 65,536 of them. */
export function manyPuts(link: Link, count: number): readonly AddressPut[] {
  return Array.from({ length: count }, (_, index) => put(link, `10.9.${index >> 8}.${index & 255}`));
}

export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Measures by how much the loop is late at worst, in ms, until it is stopped. */
export function watchLoop(): () => number {
  const every = 5;
  let worst = 0;
  let last = clock.now();
  const timer = setInterval(() => {
    worst = Math.max(worst, clock.now() - last - every);
    last = clock.now();
  }, every);
  return () => {
    clearInterval(timer);
    return tenths(worst);
  };
}

export function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** One line for each thing that is measured. */
export function figure(name: string, values: Readonly<Record<string, number>>): void {
  process.stdout.write(`${JSON.stringify({ figure: name, ...values })}\n`);
}
