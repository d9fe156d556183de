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
  if (withinTypos({ a: known, b: asked, i: 0, j: 0 }, TYPOS)) return 1;
  return asked.length > 2 && known.includes(asked) ? 2 : undefined;
}

function nameOf(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}

/** Two texts and how far each has been compared. */
interface Compared {
  readonly a: string;
  readonly b: string;
  readonly i: number;
  readonly j: number;
}

/** Levenshtein distance of at most `left`. */
function withinTypos({ a, b, i: startI, j: startJ }: Compared, left: number): boolean {
  let [i, j] = [startI, startJ];
  if (Math.abs(a.length - i - (b.length - j)) > left) return false;
  while (i < a.length && j < b.length && a[i] === b[j]) [i, j] = [i + 1, j + 1];
  if (i === a.length && j === b.length) return true;
  if (left === 0) return false;
  return withinTypos({ a, b, i: i + 1, j: j + 1 }, left - 1) || withinTypos({ a, b, i: i + 1, j }, left - 1) || withinTypos({ a, b, i, j: j + 1 }, left - 1);
}
