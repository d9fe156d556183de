import { distance } from "../lib/near.js";

/** How many names are offered. */
const MOST = 5;
/** Letters that may differ. */
const TYPOS = 2;

/** Known keys that look like the asked one, best first: the same name elsewhere, one that differs by a slip of the finger, one that contains it. */
export function nearNames(asked: string, known: readonly string[]): readonly string[] {
  const name = nameOf(asked);
  const namespace = asked.slice(0, asked.length - name.length);
  const ranked = known.flatMap((key) => {
    const rank = rankOf(nameOf(key), name);
    return rank === undefined ? [] : [{ key, rank: rank * 2 + (key.startsWith(namespace) ? 0 : 1) }];
  });
  return ranked
    .toSorted((a, b) => a.rank - b.rank || (a.key < b.key ? -1 : 1))
    .slice(0, MOST)
    .map(({ key }) => key);
}

function rankOf(known: string, asked: string): number | undefined {
  if (known === asked) return 0;
  // By their lengths alone most of thousands of names are out.
  if (Math.abs(known.length - asked.length) <= TYPOS && distance(known, asked) <= TYPOS) return 1;
  return asked.length > 2 && known.includes(asked) ? 2 : undefined;
}

function nameOf(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}
