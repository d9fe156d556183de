/** Letters that differ, are missing or too many (Levenshtein), upper and lower case being the same. */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [i, letter] of a.toLowerCase().split("").entries()) {
    const next = [i + 1];
    for (const [j, other] of b.toLowerCase().split("").entries()) {
      next.push(Math.min((row[j] ?? 0) + (letter === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** A known name with how far it is from the one that was asked for. */
export interface Near {
  readonly name: string;
  readonly distance: number;
}

/** The known name that is most like `asked`, the first of equals. Undefined where none is known. */
export function nearest(asked: string, known: readonly string[]): Near | undefined {
  const ranked = known.map((name) => ({ name, distance: distance(asked, name) }));
  return ranked.reduce<Near | undefined>((best, one) => (best === undefined || one.distance < best.distance ? one : best), undefined);
}

/** A third of the letters may be wrong before a name says nothing about what was meant. */
export function isLikely(asked: string, { distance: wrong }: Near): boolean {
  return wrong <= Math.max(1, Math.floor(asked.length / 3));
}
