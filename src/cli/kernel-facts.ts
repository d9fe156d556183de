import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { messageOf } from "../lib/errors.js";
import { createClock } from "../linux/clock.js";
import { createKernel } from "../linux/kernel.js";
import { createNft } from "../linux/nft.js";
import type { Log } from "../ports/log.js";

/** One thing that the daemon wants of this node. */
export interface KernelFact {
  readonly what: string;
  /** `unknown`: it cannot be told without trying. */
  readonly state: "ok" | "missing" | "unknown";
  readonly detail: string;
}

/** IFA_PROTO. */
const MARKS_SINCE: readonly [number, number] = [5, 18];
/** Without these no VIP can be held: capabilities(7), bits of CapEff. */
const CAPABILITIES = { NET_ADMIN: 12, NET_RAW: 13 } as const;
const SELF = "/proc/self/status";

const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, with: () => SILENT };

/** What this node's kernel can do for this process. Never rejects: what cannot be found out is said to be unknown. */
export async function kernelFacts(): Promise<readonly KernelFact[]> {
  const asked = await Promise.all([
    fact("kernel", async () => marks(release())),
    ...Object.entries(CAPABILITIES).map(async ([name, bit]) => fact(`CAP_${name}`, async () => capability(name, bit, readFileSync(SELF, "utf8")))),
    fact("raw sockets", async () => rawSocket()),
    fact("nf_tables", async () => nfTables()),
    fact("8021q", async () => module("8021q", "kube-vip.io/serviceVLAN")),
    fact("macvlan", async () => module("macvlan", "addresses by DHCP")),
  ]);
  return asked;
}

async function fact(what: string, find: () => Promise<Omit<KernelFact, "what">>): Promise<KernelFact> {
  try {
    return { what, ...(await find()) };
  } catch (error) {
    return { what, state: "missing", detail: messageOf(error) };
  }
}

/** By the version, since an address would have to be added to try. */
export function marks(version: string): Omit<KernelFact, "what"> {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const [from, than] = MARKS_SINCE;
  if (major > from || (major === from && minor >= than)) return { state: "ok", detail: `${version}: addresses are marked by IFA_PROTO` };
  return { state: "ok", detail: `${version}: before 5.18, so that a label and a record under /run/vip stand in for IFA_PROTO; mount /run/vip from the host` };
}

/** `status` is /proc/self/status. */
export function capability(name: string, bit: number, status: string): Omit<KernelFact, "what"> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined) return { state: "unknown", detail: "/proc/self/status does not say" };
  const has = ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n;
  return has ? { state: "ok", detail: "this process has it" } : { state: "missing", detail: `this process does not have it: capabilities: add: [${name}] in a pod, AmbientCapabilities=CAP_${name} in a unit` };
}

/** What no VIP can be held without and this process does not have; nothing where the kernel does not say (no /proc): then the first attempt shows it. */
export function missingCapabilities(status = statusHere()): readonly string[] {
  if (status === undefined) return [];
  return Object.entries(CAPABILITIES).flatMap(([name, bit]) => (capability(name, bit, status).state === "missing" ? [name] : []));
}

function statusHere(): string | undefined {
  try {
    return readFileSync(SELF, "utf8");
  } catch {
    // A root without /proc is no reason not to start.
    return undefined;
  }
}

/** The line that ends the start without them: a daemon that owns VIPs and cannot hold them keeps them from everybody. */
export function capabilityProblem(missing: readonly string[]): string | undefined {
  if (missing.length === 0) return undefined;
  const units = missing.map((name) => `CAP_${name}`).join(" ");
  return `${units}: expected, for no VIP can be held without; run as root, or give capabilities: add: [${missing.join(", ")}] in a pod, AmbientCapabilities=${units} in a unit`;
}

async function rawSocket(): Promise<Omit<KernelFact, "what">> {
  await using kernel = createKernel({ log: SILENT, clock: createClock() });
  const links = await kernel.links(new AbortController().signal);
  const link = links.find(({ loopback }) => loopback) ?? links[0];
  if (link === undefined) return { state: "unknown", detail: "there is no link" };
  await using _socket = kernel.openArp(link.index, undefined);
  return { state: "ok", detail: "packets can be sent and heard" };
}

async function nfTables(): Promise<Omit<KernelFact, "what">> {
  await using nft = createNft();
  const vips = await nft.vips(new AbortController().signal);
  return { state: "ok", detail: vips.length === 0 ? "usable, needed by Romana VIPs only" : `usable; ${vips.length} VIPs in the table inet vip` };
}

function module(name: string, use: string): Omit<KernelFact, "what"> {
  const folder = `/lib/modules/${release()}`;
  const lists = [`${folder}/modules.builtin`, `${folder}/modules.dep`].filter((path) => existsSync(path)).map((path) => readFileSync(path, "utf8"));
  if (existsSync(`/sys/module/${name}`) || lists.some((list) => list.includes(`/${name}.ko`))) return { state: "ok", detail: `there; needed for ${use}` };
  if (lists.length === 0) return { state: "unknown", detail: `not loaded; the kernel loads it when it is first needed (${use}), if the host has it` };
  return { state: "missing", detail: `not a part of this kernel; needed for ${use}` };
}
