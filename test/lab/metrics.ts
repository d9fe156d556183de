import type { Lab } from "./lab.js";

/** The series of one metric of a node, by what is in its braces. */
export async function metric(lab: Lab, node: string, name: string): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await lab.exec(node, ["curl", "-s", "-m", "5", "http://127.0.0.1:2112/metrics"]);
  const rows = stdout.split("\n").flatMap((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)?.slice(1) ?? []);
  const series = Array.from({ length: rows.length / 3 }, (_, at) => rows.slice(at * 3, at * 3 + 3));
  return new Map(series.filter(([metricName]) => metricName === name).map(([, labels = "", value]) => [labels, Number(value)]));
}
