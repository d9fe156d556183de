import type { VipMode } from "../../src/core/mode.js";
import type { LinkKey, LinkWant, Part, ServiceKey, VipKey } from "../../src/core/model.js";
import { createLinkMode, LINK_ALIAS } from "../../src/modes/link.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";

/** Link mode over `eth0` of a kernel in memory. */
export class LinkBench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel(this.clock);
  readonly log = new FakeLog();
  readonly mode = this.reborn();

  reborn(serves: readonly Part[] = ["services"]): VipMode<"link"> {
    return createLinkMode({ serves: new Set(serves) }, { kernel: this.kernel, log: this.log });
  }

  want(n: number, parent = "eth0"): LinkWant {
    return { key: `${parent}.${n}` as LinkKey, owners: ["default/web" as ServiceKey], parent, vlan: n };
  }

  /** Names of the links with our mark. */
  async there(): Promise<readonly (LinkKey & VipKey)[]> {
    return this.kernel.linkList.filter(({ alias }) => alias === LINK_ALIAS).map(({ name }) => name as LinkKey & VipKey);
  }

  open(): number {
    return this.kernel.openSockets + this.clock.pending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mode[Symbol.asyncDispose]();
  }
}
