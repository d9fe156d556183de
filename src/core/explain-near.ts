/** How many names are offered. */
const MOST = 5;
/** Letters that may differ. */
const TYPOS = 2;

/** Known keys that look like the asked one, best first: the same name elsewhere, one that differs by a slip of the finger, one that contains it. */
export function nearNames(asked: string, known: readonly string[]): readonly string[] {
  const name = nameOf(asked);
  const ranked = known.flatMap((key) => {
    const rank = rankOf({ key, name: nameOf(key) }, { key: asked, name });
    return rank === undefined ? [] : [{ key, rank }];
  });
  return ranked
    .toSorted((a, b) => a.rank - b.rank || (a.key < b.key ? -1 : 1))
    .slice(0, MOST)
    .map(({ key }) => key);
}

interface Named {
  readonly key: string;
  readonly name: string;
}

function rankOf(known: Named, asked: Named): number | undefined {
  if (known.name === asked.name) return 0;
  if (withinTypos(known.key, asked.key)) return 1;
  if (withinTypos(known.name, asked.name)) return 2;
  return asked.name.length > 2 && known.name.includes(asked.name) ? 3 : undefined;
}

function nameOf(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}

/** Levenshtein distance of at most two. */
function withinTypos(a: string, b: string, left = TYPOS): boolean {
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same += 1;
  const [restA, restB] = [a.slice(same), b.slice(same)];
  if (Math.abs(restA.length - restB.length) > left) return false;
  if (restA === restB) return true;
  if (left === 0) return false;
  const [tailA, tailB] = [restA.slice(1), restB.slice(1)];
  return withinTypos(tailA, tailB, left - 1) || withinTypos(tailA, restB, left - 1) || withinTypos(restA, tailB, left - 1);
}
