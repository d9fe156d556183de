import type { Family } from "../lib/ip.js";
import type { AddressPut } from "../ports/kernel.js";
import { encodeAddress, encodeAddressDump, encodeAddressGet } from "../wire/netlink/address.js";
import { NLM_F_CREATE, NLM_F_ECHO, NLM_F_REPLACE, RTM_GETADDR, RTM_NEWADDR } from "../wire/netlink/message.js";
import type { WrittenMark } from "./address-marks.js";
import { KernelError } from "./errors.js";
import { addressMessage } from "./kernel-values.js";
import { ETIME, type NetlinkRequest } from "./netlink-socket.js";

/** Asks for all addresses of one family. */
export function addressDump(family: Family): NetlinkRequest {
  return { type: RTM_GETADDR, flags: 0, payload: () => encodeAddressDump(family), tried: `list IPv${family} addresses` };
}

/** One write of an address. */
export interface PutPlan {
  readonly address: AddressPut;
  /** How long the write is expected to wait for the kernel, ms. */
  readonly allowance: number;
  /** See afterwards whether the kernel kept something of an older address. */
  readonly look: boolean;
}

/** `last` is asked just before the write; less than one second is refused. */
export function putRequest({ address, look }: PutPlan, last: () => WrittenMark & { readonly seconds: number }): NetlinkRequest {
  const payload = (): Uint8Array => {
    const { seconds, ...mark } = last();
    if (!(seconds >= 1)) throw new KernelError(triedOf(address), ETIME, "no whole second is left of its lifetime");
    return encodeAddress(addressMessage(address, seconds, mark));
  };
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_REPLACE | (look ? NLM_F_ECHO : 0),
    payload,
    // Hardly ever asked for, and there are hundreds of requests a second.
    get tried() {
      return triedOf(address);
    },
  };
}

function triedOf({ address, prefix, linkIndex }: AddressPut): string {
  return `add ${address}/${prefix} to link ${linkIndex}`;
}

/** Asks for one IPv6 address as it is now. */
export function getRequest(address: AddressPut): NetlinkRequest {
  return { type: RTM_GETADDR, flags: 0, payload: () => encodeAddressGet(address), tried: `look up ${address.address}` };
}
