import { setTimeout as sleep } from "node:timers/promises";
import { AddressLog } from "../address-log.js";
import { Cluster, VIP } from "../cluster.js";
import { monotonicMs } from "../wait.js";
import type { LabProcess } from "../process.js";
import { observe } from "./facts.js";
import { openScreen, type Screen } from "./screen.js";

/** What went wrong in the demo: shown with the logs, without a stack. */
export class DemoError extends Error {}

/** From one look at the cluster to the next. */
const LOOK_MS = 100;

/** Time for a reader between two steps; nobody reads along where the output is no terminal. */
const READING_MS = 2_000;

/** The cluster of the demo, and what is shown of it. */
export class Stage implements AsyncDisposable {
  readonly vip = VIP;
  readonly screen: Screen;
  readonly #started = monotonicMs();
  readonly #vips = new Map<string, LabProcess>();
  readonly #ending = new AbortController();
  #parts: Parts | undefined;
  #watching: Promise<void> = Promise.resolve();
  #looking: Promise<void> = Promise.resolve();
  /** Show process ids in the table. */
  pids = false;

  constructor() {
    this.screen = openScreen({ vip: this.vip, seconds: () => (monotonicMs() - this.#started) / 1000 });
  }

  /** Builds the lab without any `vip`, and starts to watch it. */
  async build(): Promise<void> {
    const cluster = await Cluster.bare();
    try {
      await cluster.lab.serve({ heldOnly: true }); // a node answers for the VIP only while its kernel has it
      const addresses = await AddressLog.start(cluster.lab);
      this.#parts = { cluster, addresses, client: await cluster.lab.spawnProgram("client", "demo-client", [this.vip]) };
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    this.#watching = this.#watch();
  }

  get cluster(): Cluster {
    return this.#built().cluster;
  }

  /** When addresses came and went on the nodes. */
  get addresses(): AddressLog {
    return this.#built().addresses;
  }

  /** The program in the client's namespace that asks all the time. */
  get client(): LabProcess {
    return this.#built().client;
  }

  /** Starts `vip` on a node, also again. */
  async startVip(node: string): Promise<LabProcess> {
    const started = await this.cluster.startVip(node);
    this.#vips.set(node, started);
    return started;
  }

  /** The `vip` process of a node. */
  processOf(node: string): LabProcess | undefined {
    return this.#vips.get(node);
  }

  /** Shows how things are at the end of a step, and gives the reader time. */
  async pause(): Promise<void> {
    await this.look();
    await sleep(this.screen.live ? READING_MS : 0);
  }

  /** The end of every log, for whoever has to find out what went wrong. */
  tails(): string {
    const logs = [...this.#vips.values(), ...(this.#parts === undefined ? [] : [this.#parts.cluster.api.process])];
    return logs.map((one) => `--- ${one.name}\n${one.tail(12)}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#watching;
    this.screen[Symbol.dispose]();
    await this.#parts?.cluster[Symbol.asyncDispose]();
  }

  #built(): Parts {
    if (this.#parts === undefined) throw new DemoError("the lab was not built");
    return this.#parts;
  }

  /** Looks at the cluster and shows it; one look at a time, so that no older one comes last. */
  async look(): Promise<void> {
    this.#looking = this.#looking.then(async () => this.#look(this.#built()));
    await this.#looking;
  }

  async #look({ cluster, client }: Parts): Promise<void> {
    const { signal } = this.#ending;
    const sources = { cluster, client, vip: this.vip, pids: this.pids, processOf: (node: string) => this.processOf(node) };
    const facts = await observe(sources).catch((error: unknown) => {
      if (!signal.aborted) this.screen.say(`   (could not look: ${String(error)})`);
    });
    if (facts !== undefined && !signal.aborted) this.screen.show(facts);
  }

  async #watch(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await this.look();
      await sleep(LOOK_MS);
    }
  }
}

interface Parts {
  readonly cluster: Cluster;
  readonly addresses: AddressLog;
  readonly client: LabProcess;
}
