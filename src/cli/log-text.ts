/** Of every line, and said elsewhere or of no interest to who looks at a terminal. */
const LEFT_OUT: ReadonlySet<string> = new Set(["level", "time", "message", "version"]);
const COLOURS: Readonly<Record<string, string>> = { debug: "\u001b[2m", info: "\u001b[32m", warn: "\u001b[33m", error: "\u001b[31m" };
const PLAIN = "\u001b[0m";

/** A JSON line of the log as a line for people: `09:15:02.123 WARN  not done, tried again  key=eth0/192.0.2.10`. What is no JSON object stays as it is. */
export function readable(line: string, colours: boolean): string {
  const text = line.trimEnd();
  const fields = parsed(text);
  if (fields === undefined) return text;
  const { level, time, message } = fields;
  const name = typeof level === "string" ? level : "";
  const word = name.toUpperCase().padEnd(5);
  const shown = colours ? `${COLOURS[name] ?? ""}${word}${PLAIN}` : word;
  const clock = typeof time === "string" ? time.slice(11, 23) : "";
  const rest = Object.entries(fields).filter(([key]) => !LEFT_OUT.has(key));
  return [`${clock} ${shown} ${typeof message === "string" ? oneLine(message) : ""}`, ...rest.map(([key, value]) => `${key}=${valueText(value)}`)].join("  ").trimEnd();
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined; // not one of ours
  }
}

function valueText(value: unknown): string {
  const plain = typeof value === "string" && /^[^\s"=]+$/.test(value);
  return oneLine(plain ? value : (JSON.stringify(value) ?? "undefined"));
}

/** What comes from others must not steer the terminal. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
