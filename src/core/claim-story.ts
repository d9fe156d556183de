import type { Log } from "../ports/log.js";
import type { ClaimChange } from "./claim-states.js";

/** More keys than this that change at once are one line in the log. */
const SINGLE_LINES = 4;

/** What the log says of keys that are shared out. */
export class ClaimStory {
  #refusals = "";

  constructor(private readonly log: Log) {}

  /** `refusals`: why some keys stay without an owner. */
  tell(refusals: readonly string[], changes: readonly ClaimChange[]): void {
    const reason = refusals.join("; ");
    if (reason !== this.#refusals && reason !== "") this.log.error("claims refused", { reason });
    this.#refusals = reason;
    const told = changes.filter(({ before, after }) => before !== undefined || after?.view !== "unknown");
    if (told.length > SINGLE_LINES) this.#tellMany(told);
    else for (const { key, before, after } of told) this.log.info(after?.held === true && before?.held !== true ? "ownership taken" : "ownership changed", { key, ...after });
  }

  #tellMany(changes: readonly ClaimChange[]): void {
    const count = (which: (change: ClaimChange) => boolean): number => changes.filter(which).length;
    this.log.info("ownership of many keys changed", {
      keys: changes.length,
      taken: count(({ before, after }) => after?.held === true && before?.held !== true),
      lost: count(({ before, after }) => before?.held === true && after?.held !== true),
      first: changes[0]?.key,
    });
    for (const { key, after } of changes) this.log.debug("ownership changed", { key, ...after });
  }
}
