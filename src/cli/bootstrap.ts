import { addressesAmong } from "../config/setting-types.js";
import type { Settings } from "../config/settings.js";
import { Bootstrap, type BootstrapDeps } from "../core/bootstrap.js";
import { mainLink } from "../core/plan-links.js";
import type { World } from "../core/world.js";
import type { MacAddress } from "../lib/mac.js";
import { BOOTSTRAP } from "../machine/bootstrap.js";
import { PROBE } from "../machine/probe.js";
import { Listeners } from "../modes/listeners.js";
import type { Claim } from "../modes/neighbour.js";
import type { Packets } from "../ports/kernel.js";

export interface BootstrapSetupDeps extends Omit<BootstrapDeps, "send" | "over"> {
  readonly kernel: Packets;
  world(): World;
}

type WantedSettings = Pick<Settings, "bootstrap" | "controlPlane" | "address" | "iface">;

/** The rule by which the control-plane VIP is held before the API can be reached, where the settings want it; nothing is sent before the first `campaign`. */
export function createBootstrap(settings: WantedSettings, deps: BootstrapSetupDeps): Bootstrap | undefined {
  if (!settings.bootstrap || !settings.controlPlane) return undefined;
  const lan = new BootstrapLan(settings, deps, (claim, own) => bootstrap.claimed(claim.mac, own, claim.asking));
  const bootstrap = new Bootstrap({ ...BOOTSTRAP, probe: PROBE }, { ...deps, send: (what) => lan.send(what), over: async () => lan[Symbol.asyncDispose]() });
  return bootstrap;
}

/** The link of the control-plane VIP: asks and tells there, and hears who claims it. */
class BootstrapLan implements AsyncDisposable {
  readonly #listeners: Listeners;

  constructor(
    private readonly settings: WantedSettings,
    private readonly deps: BootstrapSetupDeps,
    claimed: (claim: Claim, own: MacAddress) => void,
  ) {
    this.#listeners = new Listeners({
      kernel: deps.kernel,
      claimed: (linkIndex, claim) => {
        const link = this.#link();
        if (link?.index === linkIndex && link.mac !== claim.mac && settings.address.includes(claim.address)) claimed(claim, link.mac);
      },
    });
  }

  send(what: "ask" | "defend"): void {
    const link = this.#link();
    if (link === undefined) return;
    for (const address of addressesAmong(this.settings.address)) {
      if (what === "ask") this.#listeners.ask(link.index, address, link.mac);
      else this.#listeners.announce(link.index, address, link.mac, 0);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listeners[Symbol.asyncDispose]();
  }

  #link(): { readonly index: number; readonly mac: MacAddress } | undefined {
    const world = this.deps.world();
    const choice = mainLink(world, { iface: this.settings.iface, servicesIface: undefined });
    const link = choice.type === "link" ? world.links.get(choice.name) : undefined;
    return link?.mac === undefined ? undefined : { index: link.index, mac: link.mac };
  }
}
