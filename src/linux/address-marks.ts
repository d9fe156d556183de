import { familyOf, hostPrefix } from "../lib/ip.js";
import type { AddressId, AddressPut } from "../ports/kernel.js";
import { RT_SCOPE_HOST, type AddressMessage } from "../wire/netlink/address.js";
import type { AddressRecord } from "./address-record.js";

/**
 * How it is written down that an address is ours: `proto` in IFA_PROTO (Linux 5.18), `record` in a file and, for IPv4, in its label. `auto` finds out
 * with the first address whether IFA_PROTO sticks.
 */
export type MarkMode = "auto" | "proto" | "record";

/** IFNAMSIZ without the closing NUL. */
const LABEL_LENGTH = 15;
const LABEL = /:vip([0-9a-f]{2})$/;

/** What of a mark goes into the message that puts an address. */
export interface WrittenMark {
  /** 0 = no IFA_PROTO. */
  readonly mark: number;
  readonly label: string | undefined;
}

/** Writes marks and reads them back, also where the kernel ignores IFA_PROTO. */
export class AddressMarks {
  readonly #record: AddressRecord;
  /** Names of links, as the kernel's default labels tell them. */
  readonly #names = new Map<number, string>();
  #mode: MarkMode;

  constructor(mode: MarkMode, record: AddressRecord) {
    this.#mode = mode;
    this.#record = record;
  }

  /** When a put is asked for: puts of one batch share one write of the file. */
  note(put: AddressPut): void {
    if (this.#mode !== "proto") this.#record.add(put, put.mark);
  }

  /** When a put goes to the kernel. */
  written(put: AddressPut): WrittenMark {
    if (this.#mode !== "record") return { mark: put.mark, label: undefined };
    // Again, since a removal of the same batch may have taken it out.
    this.note(put);
    this.#record.flush();
    return { mark: 0, label: this.label(put) };
  }

  /** `shown` is what the kernel made of `put`. */
  learn(put: AddressPut, shown: AddressMessage): void {
    if (this.#mode === "auto" && put.mark !== 0) this.#mode = shown.mark === put.mark ? "proto" : "record";
    if (this.#mode !== "record") return;
    this.#record.flush();
    const name = shown.label?.split(":")[0];
    if (name !== undefined) this.#names.set(put.linkIndex, name);
  }

  /**
   * `eth0:vip4d` with the mark in hex. Undefined where the record alone has to do: IPv6 has no labels, the name of the link is not yet known, or it
   * is too long: cut, it would name another link.
   */
  label(put: AddressPut): string | undefined {
    const name = this.#names.get(put.linkIndex);
    if (this.#mode !== "record" || name === undefined || familyOf(put.address) === 6) return undefined;
    const label = `${name}:vip${put.mark.toString(16).padStart(2, "0")}`;
    return label.length <= LABEL_LENGTH ? label : undefined;
  }

  /** When a removal goes to the kernel. */
  forget(id: AddressId): void {
    if (this.#mode !== "proto") this.#record.remove(id);
  }

  /** When removals are done. */
  flush(): void {
    if (this.#mode === "record") this.#record.flush();
  }

  /** The mark of an address that the kernel shows. A record or a label alone is not enough: the address must look like one that we make. */
  markOf(shown: AddressMessage): number {
    if (this.#mode === "proto" || shown.mark !== 0) return shown.mark;
    if (!looksOurs(shown)) return 0;
    return this.#record.mark(shown) ?? markOfLabel(shown.label) ?? 0;
  }
}

function looksOurs({ address, prefix, scope, validSeconds, preferredSeconds }: AddressMessage): boolean {
  return prefix === hostPrefix(address) && validSeconds !== Infinity && (preferredSeconds === 0 || scope === RT_SCOPE_HOST);
}

function markOfLabel(label: string | undefined): number | undefined {
  const mark = label === undefined ? undefined : LABEL.exec(label)?.[1];
  return mark === undefined ? undefined : Number.parseInt(mark, 16);
}
