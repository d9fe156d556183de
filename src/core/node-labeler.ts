import { messageOf } from "../lib/errors.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { KubeErrorShape, Nodes } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import { Complaints } from "./complaints.js";
import type { Part } from "./model.js";
import { isLabelOf, labelsOf } from "./node-labels.js";
import type { Plan } from "./plan-model.js";
import type { World } from "./world.js";

/** Changes within this are one write, ms: a node that takes over has a thousand VIPs within a second. */
const TOGETHER_MS = 500;
const RETRY_MS = 5000;
/** Nobody gives a right at once, ms. */
const FORBIDDEN_RETRY_MS = 60_000;

/** Of a pass: what is wanted here, and what of it is there. */
export interface Planned {
  readonly world: Pick<World, "observed" | "observedRoutes">;
  readonly plan: Pick<Plan, "wants" | "settled">;
}

type Labels = Readonly<Record<string, string>>;

export interface NodeLabelerConfig {
  readonly node: string;
  /** Only labels of these parts are touched: another process of this node may have the others. */
  readonly parts: readonly Part[];
}

export interface NodeLabelerDeps {
  readonly nodes: Pick<Nodes, "watchOne" | "patch">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Keeps the labels by which this Node says what it holds as they should be, also those that an earlier life or a kube-vip left. */
export class NodeLabeler implements AsyncDisposable {
  readonly #closing = new AbortController();
  readonly #complaints: Complaints;
  /** Of the Node; undefined: not read yet, or there is none. */
  #there: Labels | undefined;
  #wanted: ReadonlyMap<string, string> | undefined;
  /** All that is held is known: labels beyond it are left over. */
  #settled = false;
  #ending = false;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;

  constructor(
    private readonly config: NodeLabelerConfig,
    private readonly deps: NodeLabelerDeps,
  ) {
    this.#complaints = new Complaints(deps.clock);
  }

  /** Watches the Node; resolves when it is closed. */
  async follow(): Promise<void> {
    const seen = (node: { readonly labels: Labels } | undefined): void => {
      this.#there = node?.labels;
      this.#later(TOGETHER_MS);
    };
    await this.deps.nodes.watchOne(this.config.node, seen, this.#closing.signal);
  }

  /** From now on the labels should say what this pass knows to be held. */
  planned({ world, plan }: Planned): void {
    if (this.#ending) return;
    const vips = [...plan.wants.arp.values()].filter(({ key }) => world.observed.get(key)?.state === "up");
    const routes = [...plan.wants.bgp.values()].filter(({ key }) => world.observedRoutes.get(key)?.state === "up");
    this.#wanted = labelsOf([...vips, ...routes]);
    this.#settled ||= plan.settled;
    if (this.#patch() !== undefined) this.#later(TOGETHER_MS);
  }

  /** Takes all of them away, for this process ends. Resolves when that is written, or has failed. */
  async clear(): Promise<void> {
    this.#ending = true;
    this.#wanted = new Map();
    this.#settled = true;
    this.#timer?.cancel();
    await this.#writing;
    this.#timer?.cancel();
    await this.#write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException("closing", "AbortError"));
    this.#timer?.cancel();
    await this.#writing;
  }

  /** Undefined: they are as they should be, or nothing is known yet. */
  #patch(): Readonly<Record<string, string | null>> | undefined {
    const there = this.#there;
    const wanted = this.#wanted;
    if (there === undefined || wanted === undefined) return undefined;
    const set = [...wanted].filter(([label, value]) => there[label] !== value);
    const over = this.#settled ? Object.keys(there).filter((label) => isLabelOf(label, this.config.parts) && !wanted.has(label)) : [];
    return set.length + over.length === 0 ? undefined : Object.fromEntries([...set, ...over.map((label) => [label, null] as const)]);
  }

  #later(ms: number): void {
    if (this.#timer !== undefined || this.#writing !== undefined || this.#closing.signal.aborted) return;
    this.#timer = this.deps.clock.after(ms, () => {
      this.#timer = undefined;
      this.#writing = this.#work();
    });
  }

  async #work(): Promise<void> {
    const againMs = await this.#write();
    this.#writing = undefined;
    if (this.#patch() !== undefined) this.#later(againMs);
  }

  /** What was written counts as being there: the watch tells if it is not. Resolves with when to look again, ms. */
  async #write(): Promise<number> {
    const labels = this.#patch();
    if (labels === undefined) return TOGETHER_MS;
    try {
      await this.deps.nodes.patch(this.config.node, { labels }, this.#closing.signal);
      const left = Object.entries({ ...this.#there, ...labels }).filter((entry): entry is [string, string] => entry[1] !== null);
      this.#there = Object.fromEntries(left);
      return TOGETHER_MS;
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): number {
    const code = (error as Partial<KubeErrorShape>).code ?? "";
    const repeated = this.#closing.signal.aborted ? undefined : this.#complaints.worthSaying("labels", code);
    if (repeated !== undefined) this.deps.log.warn("labels of the Node are not written, tried again", { node: this.config.node, error: messageOf(error), repeated });
    return code === "forbidden" ? FORBIDDEN_RETRY_MS : RETRY_MS;
  }
}
