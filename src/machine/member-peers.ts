import { isOlderVersion } from "../lib/resource-version.js";
import { freshUntil, type MemberAction, type MemberConfig, type MemberState, type MemberVersion, type Peer, type Stranger } from "./member-state.js";
import { hashText, score } from "./placement.js";

interface PeerSeen {
  readonly node: string;
  readonly version: MemberVersion | undefined;
  readonly read: boolean;
}

/** A version of the Lease of another member. */
export function peerSeen(state: MemberState, { node, version, read }: PeerSeen, now: number, config: MemberConfig): MemberState {
  const known = state.peers.get(node);
  if (version === undefined) return peerAbsent(state, node, { now, read, leaseDurationMs: config.leaseDurationMs });
  if (known !== undefined && (known.version.resourceVersion === version.resourceVersion || isOlderVersion(version.resourceVersion, known.version.resourceVersion))) return state;
  const peers = new Map(state.peers).set(node, { version, changedAt: now, write: known?.write, retryAt: 0 });
  // A renew puts off what was due for it; nothing is due sooner.
  if (known !== undefined && version.record.state === known.version.record.state) return { ...state, peers };
  const strangers = new Map(state.strangers);
  return { ...state, peers, strangers: strangers.delete(node) ? strangers : state.strangers, judgeAt: -Infinity };
}

/** The member is no longer there; where claims name it, its absence is watched. */
function peerAbsent(state: MemberState, node: string, { now, read, leaseDurationMs }: { readonly now: number; readonly read: boolean; readonly leaseDurationMs: number }): MemberState {
  const peers = new Map(state.peers);
  const removed = peers.delete(node) ? { ...state, peers } : state;
  const stranger = removed.strangers.get(node);
  if (stranger === undefined || !read) return nameStrangers(removed, now);
  const { reading } = stranger;
  if (reading === undefined) return removed;
  // Read again at the end of a lease time: a member that wrote in between is there.
  const gone = stranger.absentSince !== undefined;
  const readAt = gone ? Infinity : reading + leaseDurationMs;
  const next: Stranger = { absentSince: stranger.absentSince ?? reading, reading: undefined, readAt, gone };
  return { ...removed, strangers: new Map(removed.strangers).set(node, next), judgeAt: -Infinity };
}

/** A request about another member has been answered, or has failed. */
export function answered(
  state: MemberState,
  node: string,
  how: { readonly id?: number; readonly alive?: number; readonly retryAt?: number; readonly readAgainAt?: number },
): MemberState {
  const stranger = state.strangers.get(node);
  if (how.readAgainAt !== undefined) {
    if (stranger === undefined) return state;
    return { ...state, strangers: new Map(state.strangers).set(node, { ...stranger, reading: undefined, readAt: how.readAgainAt }), judgeAt: -Infinity };
  }
  const peer = state.peers.get(node);
  if (peer === undefined || peer.write !== how.id) return state;
  const next: Peer = { ...peer, write: undefined, changedAt: how.alive ?? peer.changedAt, retryAt: how.retryAt ?? peer.retryAt };
  return { ...state, peers: new Map(state.peers).set(node, next), judgeAt: -Infinity };
}

/** Everybody's silence starts anew. */
export function followPeers(state: MemberState, now: number): MemberState {
  const strangers = new Map([...state.strangers].map(([node]) => [node, newStranger(now)] as const));
  return { ...state, peers: new Map([...state.peers].map(([node, peer]) => [node, { ...peer, changedAt: now }] as const)), strangers, judgeAt: -Infinity };
}

/** Follows the absence of those that claims name and that have no Lease. */
export function nameStrangers(state: MemberState, now: number): MemberState {
  if (!state.listed) return state;
  const strangers = new Map<string, Stranger>();
  for (const node of state.named) {
    if (!state.peers.has(node)) strangers.set(node, state.strangers.get(node) ?? newStranger(now));
  }
  return { ...state, strangers, judgeAt: -Infinity };
}

function newStranger(now: number): Stranger {
  return { absentSince: undefined, reading: undefined, readAt: now, gone: false };
}

interface Out {
  readonly now: number;
  readonly config: MemberConfig;
  readonly actions: MemberAction[];
}

/** Fences, removals and reads whose time has come. Only who is fresh may judge others. */
export function duePeers(state: MemberState, out: Out): MemberState {
  const { now, config } = out;
  if (now < state.judgeAt || now >= freshUntil(state, config)) return state;
  let next = state;
  for (const [node, peer] of state.peers) {
    if (peer.write === undefined && now >= judgedAt([node, peer], state, out)) next = judge(next, [node, peer], out);
  }
  for (const [node, stranger] of state.strangers) next = readStranger(next, [node, stranger], out);
  return { ...next, judgeAt: nextJudgement(next, now, config) };
}

function judge(state: MemberState, [node, peer]: NamedPeer, { actions, now, config }: Out): MemberState {
  const { version } = peer;
  const common = { node, id: state.nextId, timeoutMs: config.renewDeadlineMs };
  if (version.record.state === "live") actions.push({ ...common, type: "writeMember", base: version, record: { ...version.record, state: "fenced" } });
  else actions.push({ ...common, type: "deleteMember", base: version });
  const peers = new Map(state.peers).set(node, { ...peer, write: state.nextId, retryAt: now + config.retryPeriodMs });
  return { ...state, nextId: state.nextId + 1, peers };
}

type NamedPeer = readonly [node: string, peer: Peer];

/** When this node may fence a silent member, or remove one long dead: in turn with the others, so that one write does it. */
function judgedAt([node, peer]: NamedPeer, state: MemberState, { now, config }: Pick<Out, "now" | "config">): number {
  const live = peer.version.record.state === "live";
  if (!live && state.named.has(node)) return Infinity;
  const at = Math.max(peer.retryAt, peer.changedAt + (live ? config.leaseDurationMs : config.collectMs));
  return now < at ? at : Math.max(at, peer.changedAt + (live ? config.leaseDurationMs : config.collectMs) + turnOf(state, node, { now, config }) * config.fenceTurnMs);
}

function readStranger(state: MemberState, [node, stranger]: readonly [string, Stranger], { now, config, actions }: Out): MemberState {
  if (stranger.reading !== undefined) return state;
  if (now < stranger.readAt) return state;
  actions.push({ type: "readMember", node, timeoutMs: config.renewDeadlineMs });
  return { ...state, strangers: new Map(state.strangers).set(node, { ...stranger, reading: now }) };
}

function nextJudgement(state: MemberState, now: number, config: MemberConfig): number {
  let at = Infinity;
  for (const [node, peer] of state.peers) if (peer.write === undefined) at = Math.min(at, judgedAt([node, peer], state, { now, config }));
  for (const stranger of state.strangers.values()) if (stranger.reading === undefined) at = Math.min(at, stranger.readAt);
  return at;
}

/** Place of this node among those that may judge `node`; members that are silent themselves are passed over. */
function turnOf(state: MemberState, node: string, { now, config }: Pick<Out, "now" | "config">): number {
  const subject = hashText(node);
  const mine = score(subject, hashText(config.node), 1);
  let turn = 0;
  for (const [other, peer] of state.peers) {
    if (other === node || peer.version.record.state !== "live" || now >= peer.changedAt + config.leaseDurationMs) continue;
    if (score(subject, state.view.get(other)?.hash ?? 0, 1) > mine) turn += 1;
  }
  return turn;
}
