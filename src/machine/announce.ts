/**
 * When to announce which address on one link: a burst on take-over, then a slow refresh, within a rate. Pure: time is an argument.
 */
export interface AnnounceConfig {
  /** Offsets of the burst from the take-over, ms, ascending, the first is 0. */
  readonly burstMs: readonly number[];
  /** Period of the refresh after the burst, ms. */
  readonly refreshMs: number;
  /** Announcements per second, at the most. */
  readonly packetsPerSecond: number;
}

interface Entry {
  readonly startedAt: number;
  /** How many announcements of the burst are out. */
  readonly step: number;
  readonly dueAt: number;
}

export interface AnnounceState<K> {
  readonly entries: ReadonlyMap<K, Entry>;
  readonly tokens: number;
  readonly filledAt: number;
}

export interface DueAnnouncement<K> {
  readonly key: K;
  /** 0 for the first after a take-over, and so on. */
  readonly step: number;
}

/** How many announcements may go out at once after a quiet time. */
const BUCKET = 100;

export function announceStart<K>(): AnnounceState<K> {
  return { entries: new Map(), tokens: BUCKET, filledAt: 0 };
}

/** (Re)starts the burst of these keys. */
export function announceBegin<K>(state: AnnounceState<K>, keys: Iterable<K>, now: number): AnnounceState<K> {
  const begun = [...keys].map((key) => [key, { startedAt: now, step: 0, dueAt: now }] as const);
  return begun.length === 0 ? state : { ...state, entries: new Map([...state.entries, ...begun]) };
}

export function announceEnd<K>(state: AnnounceState<K>, keys: Iterable<K>): AnnounceState<K> {
  const entries = new Map(state.entries);
  for (const key of keys) entries.delete(key);
  return entries.size === state.entries.size ? state : { ...state, entries };
}

/**
 * The keys to announce now, most urgent first: first announcements, newest take-over first; then the rest of the bursts; then refreshes. What
 * the rate does not allow stays due.
 */
export function announceDue<K>(
  state: AnnounceState<K>,
  now: number,
  config: AnnounceConfig,
): { readonly state: AnnounceState<K>; readonly due: readonly DueAnnouncement<K>[]; readonly wakeAt: number | undefined } {
  const filled = Math.min(BUCKET, state.tokens + ((now - state.filledAt) / 1000) * config.packetsPerSecond);
  const waiting: [K, Entry][] = [];
  for (const pair of state.entries) if (pair[1].dueAt <= now) waiting.push(pair);
  waiting.sort(([, a], [, b]) => urgency(a, config) - urgency(b, config) || b.startedAt - a.startedAt);
  const sent = waiting.slice(0, Math.floor(filled));
  const tokens = filled - sent.length;
  const advanced = sent.map(([key, entry]) => [key, advance(entry, now, config)] as const);
  const entries = sent.length === 0 ? state.entries : new Map([...state.entries, ...advanced]);
  const next: AnnounceState<K> = { entries, tokens, filledAt: now };
  return { state: next, due: sent.map(([key, { step }]) => ({ key, step })), wakeAt: wakeAt(next, now, config) };
}

function urgency(entry: Entry, config: AnnounceConfig): number {
  if (entry.step === 0) return 0;
  return entry.step < config.burstMs.length ? 1 : 2;
}

function advance(entry: Entry, now: number, config: AnnounceConfig): Entry {
  const step = entry.step + 1;
  const offset = config.burstMs[step];
  const dueAt = offset === undefined ? now + config.refreshMs : Math.max(now, entry.startedAt + offset);
  return { ...entry, step, dueAt };
}

function wakeAt<K>(state: AnnounceState<K>, now: number, config: AnnounceConfig): number | undefined {
  let first = Infinity;
  for (const entry of state.entries.values()) first = Math.min(first, entry.dueAt);
  if (first === Infinity) return undefined;
  const nextToken = state.tokens >= 1 ? now : now + ((1 - state.tokens) / config.packetsPerSecond) * 1000;
  return Math.max(first, nextToken);
}
