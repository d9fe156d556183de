import type { Random } from "../ports/random.js";
import { encodeLinkAlias, encodeLinkRemoval, encodeLinkUp, encodeNewLink, NLM_F_EXCL, type NewLink } from "../wire/netlink/link-change.js";
import { NLM_F_CREATE, RTM_DELLINK, RTM_NEWLINK } from "../wire/netlink/message.js";
import { KernelError } from "./errors.js";
import type { NetlinkRequests } from "./netlink-requests.js";

/** Indices that we pick begin here: the kernel counts from 1 and never comes so far. */
const FIRST_INDEX = 0x4000_0000;
const INDEX_COUNT = 0x3fff_ffff;

/** A link to be made, and the alias to find it by. */
export interface LinkPut extends Omit<NewLink, "index"> {
  readonly alias: string;
}

/**
 * Makes a link that is up and has its alias, or makes nothing. The kernel ignores an alias in the request that makes the link, so a second request
 * sets it: in the same write, so that no crash comes between them, and by an index that we picked, so that the alias never lands on a link of the
 * same name that someone else made. Throws KernelError.
 */
export async function addLink(deps: { readonly requests: NetlinkRequests; readonly random: Random }, link: LinkPut, signal: AbortSignal): Promise<void> {
  const { requests } = deps;
  // Not the same for the same link: whoever still has a socket on an index must not take a new link for the one that is gone.
  const index = FIRST_INDEX + Math.floor(deps.random.float() * INDEX_COUNT);
  const tried = `add ${link.name} (${link.kind.kind}) on link ${link.parentIndex}`;
  const make = { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, payload: () => encodeNewLink({ ...link, index }), tried };
  const mark = { type: RTM_NEWLINK, flags: 0, payload: () => encodeLinkAlias(index, link.alias), tried: `set the alias of ${link.name}` };
  const [made, marked] = await Promise.allSettled([requests.request(make, signal), requests.request(mark, signal)]);
  if (made.status === "rejected") throw made.reason;
  if (marked.status === "fulfilled") return;
  // Without its alias nobody would remove it; also when whoever asked has given up.
  await removeLink(requests, index, new AbortController().signal);
  throw marked.reason;
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
