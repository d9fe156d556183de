import type { DownReason, Held, VipMode } from "../core/mode.js";
import type { Dnat, VipKey } from "../core/model.js";
import type { Nft } from "../ports/nft.js";

export interface DnatDeps {
  readonly nft: Nft;
}

/**
 * Destination NAT: new connections to a port of a VIP go to one of its endpoints on this node, with the address of the client kept. A port without targets
 * gets no rule: then nobody listens at the VIP, and the kernel refuses at once (TCP reset, ICMP port unreachable), which tells a client more than silence.
 */
export function createDnatMode(deps: DnatDeps): VipMode<"dnat"> {
  return new DnatMode(deps.nft);
}

/** Keeps nothing: what is held is what the kernel's table says. */
class DnatMode implements VipMode<"dnat"> {
  readonly name = "dnat";

  constructor(private readonly nft: Nft) {}

  /** Writes all rules, also where they should be there: somebody may have changed them. */
  async up({ key, address, ports }: Dnat, signal: AbortSignal): Promise<void> {
    await this.nft.putVip({ key, address, ports }, signal);
  }

  async down(key: VipKey, _reason: DownReason, signal: AbortSignal): Promise<void> {
    await this.nft.removeVip(key, signal);
  }

  async held(signal: AbortSignal): Promise<readonly Held<"dnat">[]> {
    const vips = await this.nft.vips(signal);
    return vips.map(({ key, describe }) => ({ key: key as VipKey, describe }));
  }

  /** What is not taken down stays in the kernel; `nft` belongs to whoever made it. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
