const NONE: readonly never[] = [];

/**
 * The same list with room for what is in it and no more; an empty one is the same for all. For lists that are kept by the ten thousand: V8 leaves room for
 * sixteen more in one that was pushed to, filtered or flattened.
 */
export function exact<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NONE : list.slice();
}
