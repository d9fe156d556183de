import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startAnswerers, type Answerers, type AnswerersOptions } from "./answerers.js";
import { inNamespace, run, type CommandOptions, type Finished } from "./command.js";
import type { LabContext } from "./context.js";
import { startApi, startVip, type LabApi, type VipOptions } from "./daemons.js";
import { Faults, type CutOptions, type DropRule } from "./faults.js";
import { startKeepalived, type Keepalived, type KeepalivedOptions } from "./keepalived.js";
import { startProbe, type Probe, type ProbeOptions } from "./probe.js";
import { LabProcess, type SpawnOptions } from "./process.js";
import { startPod, type Pod, type PodOptions } from "./proxy/pods.js";
import { startProxies, type Proxies } from "./proxy/proxies.js";
import { reap } from "./reap.js";
import { servePods, type ServeOptions } from "./service-plane.js";
import { buildTopology, CLIENT_NS, labNode, TEST_IFACE, type LabNode } from "./topology.js";
import { monotonicMs, waitFor } from "./wait.js";

/** How a lab is built. */
export interface LabOptions {
  /** How many nodes. Default 3. */
  readonly nodes?: number;
}

/** An address as `ip -j -d addr` shows it; `protocol` is the mark of who made it. */
export interface LabAddress {
  readonly iface: string;
  readonly family: "inet" | "inet6";
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly protocol?: string;
  readonly label?: string;
  readonly validLifetime: number;
  readonly preferredLifetime: number;
}

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

function refuseOutside(): void {
  if (process.env["VIP_LAB"] !== "1") throw new Error("the lab runs in namespaces of its own: run `npm test`");
  const others = Object.keys(networkInterfaces()).filter((name) => name !== "lo" && name !== TEST_IFACE);
  if (others.length > 0) throw new Error(`the lab must not run where there are real interfaces (${others.join(", ")}): run \`npm test\``);
}

/**
 * Nodes, a router, a client and the Kubernetes API, each in a network namespace, on one bridge for the LAN (10.77.0.0/24, fd77::/64)
 * and one for the way to the API (10.78.0.0/24). Only one lab exists at a time. All that it started ends with it.
 */
export class Lab implements LabContext, AsyncDisposable {
  /** Logs and files of this lab; deleted with it unless VIP_LAB_KEEP=1. */
  readonly dir: string;
  readonly nodes: readonly LabNode[];
  readonly faults = new Faults();
  readonly #processes: LabProcess[] = [];
  readonly #names = new Map<string, number>();
  #disposed = false;

  private constructor(dir: string, nodes: readonly LabNode[]) {
    this.dir = dir;
    this.nodes = nodes;
  }

  /** Builds the lab; what an earlier one left behind is removed first. */
  static async create({ nodes = 3 }: LabOptions = {}): Promise<Lab> {
    refuseOutside();
    const left = await reap();
    if (left.namespaces.length > 0) console.warn(`lab: removed what an earlier lab left: ${left.namespaces.join(" ")}, ${left.pids.length} processes`);
    const lab = new Lab(mkdtempSync(join(tmpdir(), "vip-lab-")), Array.from({ length: nodes }, (_, at) => labNode(at + 1)));
    try {
      await buildTopology(lab.nodes);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The node with this name (n1, n2 ...) or number (from 1). */
  node(which: string | number): LabNode {
    const node = this.nodes.find(({ name, index }) => name === which || index === which);
    if (!node) throw new Error(`no node ${which} in this lab`);
    return node;
  }

  /** The namespace of a node name; other names (`client`, `lab-rt`) are taken too. */
  ns(which: string): string {
    if (which === "client") return CLIENT_NS;
    return which.startsWith("lab-") ? which : this.node(which).ns;
  }

  /** Runs a command in a namespace (a node's name, `client` or `lab-...`) to its end. */
  async exec(ns: string, argv: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    return await run(inNamespace(this.ns(ns), argv), options);
  }

  /** Starts a program in a namespace; its output goes to a file in `dir`. */
  async spawn(ns: string, argv: readonly string[], options: SpawnOptions = {}): Promise<LabProcess> {
    const base = options.name ?? (argv[0] ?? "program").split("/").at(-1) ?? "program";
    const count = (this.#names.get(base) ?? 0) + 1;
    this.#names.set(base, count);
    const name = count === 1 ? base : `${base}-${count}`;
    const started = await LabProcess.start(name, join(this.dir, `${name}.log`), inNamespace(this.ns(ns), argv), options);
    this.#processes.push(started);
    return started;
  }

  /** Starts one of the lab's own programs (dist/lab/NAME.mjs) on Node. */
  async spawnProgram(ns: string, program: string, args: readonly string[], options: SpawnOptions = {}): Promise<LabProcess> {
    const file = this.built(`lab/${program}.mjs`);
    return await this.spawn(ns, [process.execPath, "--disable-warning=ExperimentalWarning", file, ...args], { name: program, ...options });
  }

  /** The path of something that the build made in dist/. */
  built(name: string): string {
    const path = join(ROOT, "dist", name);
    if (!existsSync(path)) throw new Error(`${path} is missing: run \`npm run build\``);
    return path;
  }

  /** The addresses of a node, on all interfaces or on one. */
  async addresses(node: string, iface?: string): Promise<LabAddress[]> {
    const { stdout } = await this.exec(node, ["ip", "-j", "-d", "addr", "show", ...(iface === undefined ? [] : ["dev", iface])]);
    interface Shown { readonly ifname: string; readonly addr_info: readonly ShownAddress[] }
    interface ShownAddress extends Omit<LabAddress, "iface" | "validLifetime" | "preferredLifetime"> { readonly valid_life_time: number; readonly preferred_life_time: number }
    return (JSON.parse(stdout) as Shown[]).flatMap(({ ifname, addr_info }) => addr_info.map(({ valid_life_time, preferred_life_time, ...rest }) => ({
      iface: ifname,
      ...rest,
      validLifetime: valid_life_time,
      preferredLifetime: preferred_life_time,
    })));
  }

  /** The names of the nodes that have this address now. */
  async holders(address: string): Promise<string[]> {
    const held = await Promise.all(this.nodes.map(async ({ name }) => (await this.addresses(name)).some(({ local }) => local === address)));
    return this.nodes.filter((_, at) => held[at]).map(({ name }) => name);
  }

  /** The MAC of a node's eth0. */
  async mac(node: string): Promise<string> {
    const { stdout } = await this.exec(node, ["ip", "-j", "link", "show", "dev", "eth0"]);
    const [link] = JSON.parse(stdout) as { address: string }[];
    if (!link) throw new Error(`${node} has no eth0`);
    return link.address;
  }

  /** Polls until the answer is truthy; fails after `ms` with what it last saw. */
  async waitFor<T>(ask: () => T | Promise<T>, ms: number, what: string): Promise<NonNullable<T>> {
    return await waitFor(ask, ms, what);
  }

  /** Milliseconds of the monotonic clock that probes and answerers report in. */
  now(): number {
    return monotonicMs();
  }

  /** Cuts a node (or rt, cl) from the LAN. */
  async cutLan(host: string, options?: CutOptions): Promise<void> {
    await this.faults.cut("lan", host, options);
  }

  /** Undoes cutLan. */
  async healLan(host: string): Promise<void> {
    await this.faults.heal("lan", host);
  }

  /** Cuts a node (or `api`, the server itself) from the API network. */
  async cutApi(host: string, options?: CutOptions): Promise<void> {
    await this.faults.cut("api", host, options);
  }

  /** Undoes cutApi. */
  async healApi(host: string): Promise<void> {
    await this.faults.heal("api", host);
  }

  /** Drops some packets in a bridge; the returned function undoes it. */
  async drop(rule: DropRule): Promise<() => Promise<void>> {
    return await this.faults.drop(rule);
  }

  /** Starts the pods and the stand-in for kube-proxy on every node (or the given ones). */
  async serve(options: ServeOptions = {}): Promise<void> {
    await servePods(this, options);
  }

  /** Starts the stand-ins for kube-proxy that follow the API, on every node (or the given ones), in place of the static rules. */
  async startProxies(api: LabApi, nodes?: readonly string[]): Promise<Proxies> {
    return await startProxies(this, api, nodes);
  }

  /** Starts one more pod on a node, at addresses of its own. */
  async startPod(node: string, pod: PodOptions): Promise<Pod> {
    return await startPod(this, node, pod);
  }

  /** Probes an address from the client by UDP, ICMP and TCP. */
  async probe(vip: string, options: ProbeOptions = {}): Promise<Probe> {
    return await startProbe(this, vip, options);
  }

  /** Watches from the client which MACs answer ARP requests and Neighbor Solicitations for these addresses. */
  async answerers(vips: readonly string[], options: AnswerersOptions = {}): Promise<Answerers> {
    return await startAnswerers(this, vips, options);
  }

  /** Starts keepalived on a node. */
  async keepalived(node: string, options: KeepalivedOptions): Promise<Keepalived> {
    return await startKeepalived(this, node, options);
  }

  /** Starts the Kubernetes API at 10.78.0.1:6443; resolves when it is ready. */
  async startApi(): Promise<LabApi> {
    return await startApi(this);
  }

  /** Starts the built binary on a node. */
  async startVip(node: string, options: VipOptions = {}): Promise<LabProcess> {
    return await startVip(this, this.node(node), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const started of this.#processes) started.kill("SIGKILL");
    await Promise.all(this.#processes.map(({ exited }) => exited));
    await reap();
    if (process.env["VIP_LAB_KEEP"] === "1") console.warn(`lab: logs are in ${this.dir}`);
    else rmSync(this.dir, { recursive: true, force: true });
  }
}
