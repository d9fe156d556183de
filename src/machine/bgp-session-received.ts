import type { Family } from "../lib/ip.js";
import { prefixText } from "../wire/bgp/prefix.js";
import type { RouteChanges } from "../wire/bgp/update.js";

/** Counts the routes that one peer announces in one session, of which none is ever used. Remembers no more of them than the limit. */
export class ReceivedPrefixes {
  readonly #families: ReadonlyMap<Family, Set<string>> = new Map([
    [4, new Set()],
    [6, new Set()],
  ]);
  #beyond = 0;

  /** `limit`: routes of each family. */
  constructor(private readonly limit: number) {}

  apply(changes: readonly RouteChanges[]): void {
    for (const { family, announced, withdrawn } of changes) {
      const known = this.#families.get(family);
      for (const prefix of withdrawn) known?.delete(prefixText(prefix));
      for (const prefix of announced) this.#add(known, prefixText(prefix));
    }
  }

  count(family: Family): number {
    return this.#families.get(family)?.size ?? 0;
  }

  /** Announcements that went beyond the limit: 0 as long as it was kept. */
  get beyond(): number {
    return this.#beyond;
  }

  #add(known: Set<string> | undefined, text: string): void {
    if (known === undefined || known.has(text)) return;
    if (known.size < this.limit) known.add(text);
    else this.#beyond += 1;
  }
}
