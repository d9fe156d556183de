/** Colours a text for a terminal, or leaves it as it is. */
export type Paint = Readonly<Record<Colour, (text: string) => string>>;

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** What a text can be made to look like. */
export type Colour = keyof typeof CODES;

/** Makes the colours; without `on` every text stays as it is. */
export function painter(on: boolean): Paint {
  const colour = (name: Colour) => (text: string) => (on && text !== "" ? `\u001b[${CODES[name]}m${text}\u001b[0m` : text);
  return { bold: colour("bold"), dim: colour("dim"), red: colour("red"), green: colour("green"), yellow: colour("yellow"), cyan: colour("cyan") };
}

/** Cuts a text to a width, the last place an ellipsis where something is missing. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** Breaks a text at spaces into lines of at most `width`. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** Whole milliseconds with a comma between the thousands. */
export function ms(value: number): string {
  return `${Math.round(value).toLocaleString("en-US")} ms`;
}
