/** What belongs to a figure besides its value: what was measured how, and `budget`, the most that it should be. */
export type Parameters = Readonly<Record<string, string | number | boolean | readonly number[] | undefined>>;

/** Writes one figure as a line of JSON on stdout. */
export function figure(name: string, value: number, unit: string, parameters: Parameters = {}): void {
  const samples = Array.isArray(parameters["samples"]) ? { samples: (parameters["samples"] as readonly number[]).map(rounded) } : {};
  process.stdout.write(`${JSON.stringify({ figure: name, value: rounded(value), unit, ...parameters, ...samples })}\n`);
}

/** Writes the median (with all samples) and the worst as two figures. */
export function spread(name: string, samples: readonly number[], unit: string, parameters: Parameters = {}): void {
  const { length: runs } = samples;
  figure(name, median(samples), unit, { stat: "median", runs, ...parameters, samples });
  figure(name, Math.max(...samples), unit, { stat: "worst", runs, ...parameters });
}

/** Says how far a benchmark is, on stderr. */
export function progress(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value * 10) / 10 : Math.round(value * 1000) / 1000;
}
