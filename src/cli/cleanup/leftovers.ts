import { messageOf } from "../../lib/errors.js";
import { isOurAlias, restoreParent } from "../../modes/link-parent.js";
import { MARKS } from "../plan-config.js";
import type { Kernel, Link } from "../../ports/kernel.js";
import type { Nft } from "../../ports/nft.js";

/** Something of ours that can be taken away. */
export interface Leftover {
  /** `192.0.2.10/32 on eth0`. */
  readonly what: string;
  remove(signal: AbortSignal): Promise<void>;
}

/** What is looked at; a part that this kernel does not have is no error: nothing of ours can be there. */
export interface Found {
  readonly leftovers: readonly Leftover[];
  readonly problems: readonly string[];
}

/** With the last macvlan on it, the link below answers ARP as it did before. */
async function removeLink(kernel: Pick<Kernel, "links" | "removeLink" | "arpConf" | "setArpConf">, link: Link, signal: AbortSignal): Promise<void> {
  await kernel.removeLink(link.index, signal);
  await restoreParent(kernel, link, signal);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/**
 * What lives of this program have left in the kernel: rules, addresses by their marks, links by their alias, in the order in which they are taken away.
 * What somebody else made has no mark of ours, and is not among them.
 */
export async function kernelLeftovers({ kernel, nft }: { readonly kernel: Pick<Kernel, "links" | "addresses" | "removeAddress" | "removeLink" | "arpConf" | "setArpConf">; readonly nft: Nft }, signal: AbortSignal): Promise<Found> {
  const [links, addresses] = await Promise.all([kernel.links(signal), kernel.addresses(signal)]);
  const problems: string[] = [];
  const rules = await nft.vips(signal).catch((error: unknown) => {
    // Not a kernel without rules, but a process that may not see them.
    if (codeOf(error) === "EPERM") throw new Error("expected the capability NET_ADMIN, run it as root", { cause: error });
    problems.push(messageOf(error));
    return [];
  });
  const nameOf = (index: number): string => links.find((link) => link.index === index)?.name ?? `link ${index}`;
  const marks: readonly number[] = Object.values(MARKS);
  return {
    problems,
    leftovers: [
      ...rules.map(({ key, describe }): Leftover => ({ what: `rules for ${describe}`, remove: async (by) => void (await nft.removeVip(key, by)) })),
      ...addresses
        .filter(({ mark }) => marks.includes(mark))
        .map((address): Leftover => ({ what: `${address.address}/${address.prefix} on ${nameOf(address.linkIndex)}`, remove: async (by) => void (await kernel.removeAddress(address, by)) })),
      ...links.filter(({ alias }) => isOurAlias(alias)).map((link): Leftover => ({ what: `link ${link.name}`, remove: async (by) => removeLink(kernel, link, by) })),
    ],
  };
}
