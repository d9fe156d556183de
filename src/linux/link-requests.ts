import type { Random } from "../ports/random.js";
import { encodeIpv4Conf, encodeLinkAlias, encodeLinkRemoval, encodeLinkUp, encodeNewLink, encodeNoIpv6Address, NLM_F_EXCL, type Ipv4Conf, type NewLink } from "../wire/netlink/link-change.js";
import { NLM_F_CREATE, RTM_DELLINK, RTM_NEWLINK } from "../wire/netlink/message.js";
import { KernelError } from "./errors.js";
import type { NetlinkRequests } from "./netlink-requests.js";

/** Indices that we pick: far from 1, where the kernel begins to count, and below 65,536, since Cilium keeps the index of a device in 16 bits. */
const FIRST_INDEX = 0x8000;
const INDEX_COUNT = 0x8000;

/** A link to be made, and the alias to find it by. */
export interface LinkPut extends Omit<NewLink, "index" | "down"> {
  readonly alias: string;
  /** Set before the link is up, together with no IPv6 address of its own. Default: left as they are. */
  readonly conf?: Ipv4Conf | undefined;
  /** Called when all this is set, just before the link is set up. Only with `conf`. */
  readonly beforeUp?: () => void;
}

export interface LinkDeps {
  readonly requests: NetlinkRequests;
  readonly random: Random;
  /** The indices of all links that there are. */
  readonly taken: ReadonlySet<number>;
}

/**
 * Makes a link that is up and has its alias, or makes nothing. The kernel ignores an alias in the request that makes the link, so a second request
 * sets it: in the same write, so that no crash comes between them, and by an index that we picked, so that the alias never lands on a link of the
 * same name that someone else made. Throws KernelError.
 */
export async function addLink({ requests, random, taken }: LinkDeps, link: LinkPut, signal: AbortSignal): Promise<void> {
  const index = freeIndex(random, taken);
  const tried = `add ${link.name} (${link.kind.kind}) on link ${link.parentIndex}`;
  const down = link.conf !== undefined;
  const make = { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, payload: () => encodeNewLink({ ...link, index, down }), tried };
  const mark = { type: RTM_NEWLINK, flags: 0, payload: () => encodeLinkAlias({ ...link, index }, link.alias), tried: `set the alias of ${link.name}` };
  // In the order of the requests.
  const work = [requests.request(make, signal), requests.request(mark, signal), ...(link.conf === undefined ? [] : prepare(requests, { ...link, index, conf: link.conf }, signal))];
  const [made, ...after] = await Promise.allSettled(work);
  if (made?.status === "rejected") throw made.reason;
  try {
    for (const step of after) if (step.status === "rejected") throw step.reason;
    if (!down) return;
    link.beforeUp?.();
    await setLinkUp(requests, index, signal);
  } catch (error) {
    // Without its alias nobody would remove it; also when whoever asked has given up.
    await removeLink(requests, index, new AbortController().signal);
    throw error;
  }
}

/** What has to be so before the link is up. */
function prepare(requests: NetlinkRequests, { index, name, conf }: { readonly index: number; readonly name: string; readonly conf: Ipv4Conf }, signal: AbortSignal): readonly Promise<unknown>[] {
  const set = { type: RTM_NEWLINK, flags: 0, payload: () => encodeIpv4Conf(index, conf), tried: `set sysctls of ${name}` };
  const bare = { type: RTM_NEWLINK, flags: 0, payload: () => encodeNoIpv6Address(index), tried: `set addr_gen_mode of ${name}` };
  // Without IPv6 there is nothing to keep it from.
  const noIpv6 = requests.request(bare, signal).catch((error: unknown) => {
    if (!(error instanceof KernelError && error.code === "EAFNOSUPPORT")) throw error;
  });
  return [requests.request(set, signal), noIpv6];
}

/** Sets a link administratively up. Throws KernelError. */
export async function setLinkUp(requests: NetlinkRequests, index: number, signal: AbortSignal): Promise<void> {
  await requests.request({ type: RTM_NEWLINK, flags: 0, payload: () => encodeLinkUp(index), tried: `set link ${index} up` }, signal);
}

/** Removes a link. False where it was not there. Throws KernelError. */
export async function removeLink(requests: NetlinkRequests, index: number, signal: AbortSignal): Promise<boolean> {
  try {
    await requests.request({ type: RTM_DELLINK, flags: 0, payload: () => encodeLinkRemoval(index), tried: `remove link ${index}` }, signal);
    return true;
  } catch (error) {
    if (error instanceof KernelError && error.code === "ENODEV") return false;
    throw error;
  }
}

/** Another one each time: whoever still has a socket on an index must not take a new link for the one that is gone. */
function freeIndex(random: Random, taken: ReadonlySet<number>): number {
  const start = Math.floor(random.float() * INDEX_COUNT);
  for (let i = 0; i < INDEX_COUNT; i += 1) {
    const index = FIRST_INDEX + ((start + i) % INDEX_COUNT);
    if (!taken.has(index)) return index;
  }
  throw new RangeError(`no free link index from ${FIRST_INDEX} on`);
}
