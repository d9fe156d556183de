import type { VipMode } from "../../src/core/mode.js";
import type { LinkKey, LinkWant, Part, ServiceKey, VipKey } from "../../src/core/model.js";
import { LINK_ALIAS } from "../../src/modes/link-parent.js";
import { createLinkMode } from "../../src/modes/link.js";
import type { MacAddress } from "../../src/lib/mac.js";
import type { ArpConf } from "../../src/ports/kernel.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";

/** Link mode over `eth0` of a kernel in memory. */
export class LinkBench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel(this.clock);
  readonly log = new FakeLog();
  /** How links below macvlans answer, as it was told. */
  readonly answering: [string, ArpConf | undefined][] = [];
  readonly mode = this.reborn();

  reborn(serves: readonly Part[] = ["services"], manageParent = false): VipMode<"link"> {
    return createLinkMode({ serves: new Set(serves), manageParent }, { kernel: this.kernel, log: this.log, answers: (parent, conf) => void this.answering.push([parent, conf]) });
  }

  /** A macvlan on eth0, `vip-1` with the MAC 02:00:00:00:01:01. */
  macvlan(n: number): LinkWant {
    return { key: `vip-${n}` as LinkKey, owners: ["default/web" as ServiceKey], parent: "eth0", mac: `02:00:00:00:01:0${n}` as MacAddress, rpFilter: 2 };
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
