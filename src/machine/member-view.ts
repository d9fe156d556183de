import type { MemberConfig, MemberMap, MemberState, MemberVersion, MemberView } from "./member-state.js";
import { hashText } from "./placement.js";

interface Occasion {
  readonly now: number;
  readonly config: MemberConfig;
  /** The only member that can have changed beside this node; undefined: any. */
  readonly node: string | undefined;
}

/** Brings `view` up to date; it keeps its identity where nothing has changed that placing keys depends on. */
export function viewed(state: MemberState, before: MemberState, { now, config, node: about }: Occasion): MemberState {
  if (state.peers === before.peers && state.own === before.own && state.strangers === before.strangers) return state;
  const changes: [string, MemberView | undefined][] = [];
  const note = (node: string, version: MemberVersion | undefined): void => {
    const old = state.view.get(node);
    const next = version === undefined ? absent(state, node, old) : present(node, version, { old, now });
    if (next !== old) changes.push([node, next]);
  };
  if (state.own !== before.own) note(config.node, state.own);
  if (about !== undefined && state.strangers === before.strangers) {
    if (about !== config.node) note(about, state.peers.get(about)?.version);
    return changes.length === 0 ? state : { ...state, view: changed(state.view, changes) };
  }
  for (const [node, peer] of state.peers) if (peer.version !== before.peers.get(node)?.version) note(node, peer.version);
  for (const node of before.peers.keys()) if (!state.peers.has(node)) note(node, undefined);
  if (state.strangers !== before.strangers) for (const node of state.strangers.keys()) note(node, undefined);
  for (const [node, member] of state.view) if (member.state === "gone" && !state.strangers.has(node) && !state.peers.has(node)) note(node, undefined);
  return changes.length === 0 ? state : { ...state, view: changed(state.view, changes) };
}

function changed(view: MemberMap, changes: readonly (readonly [string, MemberView | undefined])[]): MemberMap {
  const next = new Map(view);
  for (const [node, member] of changes) {
    if (member === undefined) next.delete(node);
    else next.set(node, member);
  }
  return next;
}

function present(node: string, { record }: MemberVersion, { old, now }: { readonly old: MemberView | undefined; readonly now: number }): MemberView {
  const { incarnation, state, drain, weight, after } = record;
  const same = old?.state === state && old.incarnation === incarnation;
  if (same && old.drain === drain && old.weight === weight) return old;
  return { hash: old?.hash ?? hashText(node), incarnation, state, drain, weight, after, liveSince: same ? old.liveSince : now };
}

function absent(state: MemberState, node: string, old: MemberView | undefined): MemberView | undefined {
  if (state.strangers.get(node)?.gone !== true) return undefined;
  if (old?.state === "gone") return old;
  return { hash: hashText(node), incarnation: 0, state: "gone", drain: false, weight: 1, after: "nothing", liveSince: 0 };
}
