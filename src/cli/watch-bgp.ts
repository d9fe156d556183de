import { readFileSync } from "node:fs";
import { parseMetalLb } from "../config/bgp-metallb.js";
import type { BgpPeerDraft } from "../config/bgp-peer-draft.js";
import type { Settings } from "../config/settings.js";
import type { BgpPeerFacts } from "../core/bgp-peers.js";
import { messageOf } from "../lib/errors.js";
import type { Clock } from "../ports/clock.js";
import type { Kube } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import { namedObject } from "./named-object.js";

/** How often files are looked at, ms: a mounted ConfigMap or Secret is replaced without a word. */
const LOOK_MS = 2000;
/** MetalLB's key of its ConfigMap. */
const KEY = "config";

type Wanted = Pick<Settings, "bgpAnnotations" | "bgpConfigFile" | "bgpConfigMap" | "bgpSecret" | "bgpPasswordFile" | "controlPlaneNamespace">;

export interface PeerSourceDeps {
  readonly node: string;
  readonly kube: Pick<Kube, "nodes" | "configMaps" | "secrets">;
  readonly clock: Clock;
  readonly log: Log;
  /** What peers are made of has changed. */
  learn(this: void, part: Partial<Omit<BgpPeerFacts, "subnets">>): void;
}

/**
 * Tells what peers are made of beside settings and links, now and whenever it changes, until `signal` aborts; then it resolves. A text that cannot be read, or a
 * file that is gone, leaves what was known of it.
 */
export async function watchPeerSources(settings: Wanted, deps: PeerSourceDeps, signal: AbortSignal): Promise<void> {
  const { kube, learn } = deps;
  const texts = new PeerTextSources(deps);
  const { bgpConfigMap, bgpSecret } = settings;
  const secret = bgpSecret === undefined ? undefined : namedObject(bgpSecret, settings);
  const map = bgpConfigMap === undefined ? undefined : namedObject(bgpConfigMap, settings);
  const labels = settings.bgpAnnotations !== undefined || settings.bgpConfigFile !== undefined || map !== undefined;
  await Promise.all([
    aborted(signal),
    ...(labels ? [kube.nodes.watchOne(deps.node, (node) => learn({ node }), signal)] : []),
    ...(map === undefined ? [] : [kube.configMaps.watch(map, (data) => texts.read(`ConfigMap ${map.namespace}/${map.name}`, data === undefined ? undefined : (data[KEY] ?? "")), signal)]),
    ...(secret === undefined ? [] : [kube.secrets.watch(secret, (data) => learn({ passwords: data ?? {} }), signal)]),
    ...followFile(settings.bgpConfigFile, "bgp_config_file", { ...deps, changed: (text, path) => texts.read(path, text) }, signal),
    ...followFile(settings.bgpPasswordFile, "bgp_peerpass_file", { ...deps, changed: (text) => learn({ password: text.replace(/\r?\n$/, "") }) }, signal),
  ]);
}

/** Also where there is nothing to watch, it lasts until then. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Texts with peers, each from one place. */
class PeerTextSources {
  readonly #drafts = new Map<string, readonly BgpPeerDraft[]>();
  readonly #problems = new Map<string, readonly string[]>();

  constructor(private readonly deps: Pick<PeerSourceDeps, "log" | "learn">) {}

  /** Undefined: there is none, and no peers of it. */
  read(source: string, text: string | undefined): void {
    const { drafts, problems } = text === undefined ? { drafts: [], problems: [`${source}: expected it to be there, with peers`] } : parseMetalLb(text, source);
    const told = this.#problems.get(source) ?? [];
    for (const problem of problems) if (!told.includes(problem)) this.deps.log.warn("BGP peers", { problem });
    this.#problems.set(source, problems);
    if (drafts === undefined) return;
    this.#drafts.set(source, drafts);
    this.deps.learn({ drafts: [...this.#drafts.values()].flat() });
  }
}

interface FollowDeps extends Pick<PeerSourceDeps, "clock" | "log"> {
  changed(this: void, text: string, path: string): void;
}

function followFile(path: string | undefined, name: string, deps: FollowDeps, signal: AbortSignal): readonly Promise<void>[] {
  return path === undefined ? [] : [lookAgain(path, name, deps, signal)];
}

/** Reads the file now and then, until `signal` aborts. */
async function lookAgain(path: string, name: string, { clock, log, changed }: FollowDeps, signal: AbortSignal): Promise<void> {
  let last: string | undefined;
  let told: string | undefined;
  while (!signal.aborted) {
    const read = fileText(path);
    if ("problem" in read) {
      if (read.problem !== told) log.warn("BGP peers", { problem: `${name}="${path}": expected a file that can be read: ${read.problem}` });
      told = read.problem;
    } else {
      told = undefined;
      if (read.text !== last) changed(read.text, path);
      last = read.text;
    }
    await pause(clock, signal);
  }
}

async function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = clock.after(LOOK_MS, () => done());
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    signal.addEventListener("abort", done);
  });
}

/** The text of a file, or why it cannot be read. */
export function fileText(path: string): { readonly text: string } | { readonly problem: string } {
  try {
    return { text: readFileSync(path, "utf8") };
  } catch (error) {
    return { problem: (error as NodeJS.ErrnoException).code ?? messageOf(error) };
  }
}
