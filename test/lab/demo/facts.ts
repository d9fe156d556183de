import type { Cluster } from "../cluster.js";
import type { LabProcess } from "../process.js";

/** What can be seen of a node at one moment. */
export interface NodeFacts {
  readonly node: string;
  readonly process: string;
  readonly alive: boolean;
  /** Names the Lease as its holder. */
  readonly leaseHolder: boolean;
  readonly holdsVip: boolean;
  /** What the kernel says is left of the address's life, in seconds. */
  readonly lifetimeSeconds: number | undefined;
  readonly answersClient: boolean;
  /** Everything that its `vip` has logged, the newest last. */
  readonly log: readonly string[];
}

/** Where the facts come from. */
export interface FactSources {
  readonly cluster: Cluster;
  /** The `vip` process of a node, once one was started. */
  readonly processOf: (node: string) => LabProcess | undefined;
  readonly vip: string;
  /** The program in the client's namespace that prints who answers. */
  readonly client: LabProcess;
  /** Show process ids. */
  readonly pids: boolean;
}

const HIDDEN = new Set(["level", "time", "version", "message", "part", "key", "lease", "view", "held", "source", "interface", "services", "controlPlane", "mac", "node"]);

/** One line of a log: the message, and the fields that say what it is about. */
export function logText(entry: Readonly<Record<string, unknown>>): string {
  const fields = Object.entries(entry).filter(([name, value]) => !HIDDEN.has(name) && (typeof value === "string" || typeof value === "number"));
  const level = entry["level"] === "info" ? [] : [`${String(entry["level"])}:`];
  return [...level, String(entry["message"]), ...fields.map(([name, value]) => `${name}=${value === "" ? "-" : String(value)}`)].join(" ");
}

function processText(process: LabProcess | undefined, pids: boolean): string {
  if (process === undefined) return "not started";
  const { ended } = process;
  if (ended === undefined) return pids ? `pid ${process.pid}` : "running";
  if (ended.signal === "SIGKILL") return "KILLED";
  return ended.code === 0 ? "stopped" : `exit ${ended.code ?? ended.signal}`;
}

/** Who answers the client now. */
export function answering(client: LabProcess): string | undefined {
  const last = client.lines().at(-1);
  return last?.startsWith("n") === true ? last : undefined;
}

/** Looks at all nodes, at the Lease and at the client. */
export async function observe({ cluster, processOf, vip, client, pids }: FactSources): Promise<NodeFacts[]> {
  const { lab } = cluster;
  const holder = await cluster.leaseHolder().catch(() => undefined); // the API may be about to end with the lab
  return await Promise.all(lab.nodes.map(async ({ name }) => {
    const address = (await lab.addresses(name, "eth0")).find(({ local }) => local === vip);
    const process = processOf(name);
    return {
      node: name,
      process: processText(process, pids),
      alive: process !== undefined && process.ended === undefined,
      leaseHolder: holder === name,
      holdsVip: address !== undefined,
      lifetimeSeconds: address?.validLifetime,
      answersClient: answering(client) === name,
      log: process?.logs().map(logText) ?? [],
    };
  }));
}

/** What has changed of a node, in words; lifetimes that only run or are renewed do not count. */
export function changes(before: NodeFacts | undefined, now: NodeFacts, vip: string): string[] {
  const lines: string[] = [];
  if (before?.process !== now.process && (before !== undefined || now.alive)) {
    const orphan = !now.alive && now.holdsVip ? `; its kernel still has ${vip}, for ${now.lifetimeSeconds} s` : "";
    lines.push(`process ${now.process}${orphan}`);
  }
  const known = before !== undefined && before.log.length <= now.log.length ? before.log.length : 0; // a process that was started again begins a new log
  lines.push(...now.log.slice(known).map((line) => `log: ${line}`));
  if ((before?.leaseHolder ?? false) !== now.leaseHolder) lines.push(now.leaseHolder ? "is named by the Lease" : "is no longer named by the Lease");
  if ((before?.holdsVip ?? false) !== now.holdsVip) lines.push(now.holdsVip ? `holds ${vip}, kernel lifetime ${now.lifetimeSeconds} s` : `does not hold ${vip} any more`);
  if ((before?.answersClient ?? false) !== now.answersClient) lines.push(now.answersClient ? "answers the client" : "no longer answers the client");
  return lines;
}
