/** True where `a` is surely older than `b`: resourceVersions that are integers come from one store and can be compared, others never are. */
export function isOlderVersion(a: string, b: string): boolean {
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return false;
  if (a.length !== b.length) return a.length < b.length;
  return a < b;
}
