import { since, type SinceReport } from "./explain-input.js";
import type { Failure, Moment } from "./history.js";

/** What went wrong last. */
export interface FailureReport {
  readonly text: string;
  readonly times: number;
  readonly first: SinceReport;
  readonly last: SinceReport;
  /** When it went right again; null while it is wrong. */
  readonly cleared: SinceReport | null;
}

/** As it is told; null where nothing ever went wrong. */
export function failureReport(failure: Failure | undefined, at: Moment): FailureReport | null {
  if (failure === undefined) return null;
  const { text, times, first, last, cleared } = failure;
  return { text, times, first: since(first, at), last: since(last, at), cleared: cleared === undefined ? null : since(cleared, at) };
}
