/** Terminals of operators are at least this wide. */
export const WIDTH = 100;

/** Columns side by side, two blanks between them; the last one is not padded. Rows that are too long are not cut: what is cut cannot be copied. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => all.reduce((most, row) => Math.max(most, (row[column] ?? "").length), 0));
  return all.map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  ").trimEnd());
}

/** Text in lines of at most `WIDTH`, cut between words, all but the first indented; `first` stands before it as it is. Longer words stay whole. */
export function wrap(text: string, indent: number, first = ""): readonly string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of text.split(" ")) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = " ".repeat(indent) + word;
    } else line = empty ? line + word : `${line} ${word}`;
    empty = false;
  }
  return [...lines, line];
}

/** `12s`, `4m05s`, `3h12m`, `5d07h`. */
export function age(seconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${two((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${two((seconds % 86_400) / 3600)}h`;
}

/** `2026-01-02 03:04:05Z`, for a text of RFC 3339 in UTC. */
export function shortTime(at: string): string {
  return at.replace("T", " ").replace(/\.\d+Z$/, "Z");
}
