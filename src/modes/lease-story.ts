import type { LeaseSeen, LeaseTrouble } from "../core/model.js";
import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { DhcpLossReason } from "../machine/dhcp-client-state.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";

export interface LeaseStoryDeps {
  readonly clock: Clock;
  readonly log: Log;
  changed(seen: LeaseSeen): void;
  /** A message that nothing came of, and why. */
  dropped?(reason: string): void;
}

/** What the machines of DHCP (RFC 2131) and DHCPv6 (RFC 8415) tell of a lease. */
export type LeaseNews =
  | { readonly type: "lease"; readonly lease: { readonly address: IpAddress; readonly server: IpAddress; readonly expiresAt: number } }
  | { readonly type: "lost"; readonly address: IpAddress; readonly reason: DhcpLossReason }
  | { readonly type: "refused"; readonly server: IpAddress; readonly text: string | undefined }
  | { readonly type: "declined"; readonly address: IpAddress; readonly server: IpAddress };

/** Messages that are not for us: ordinary on a link with other clients. */
const ORDINARY: ReadonlySet<string> = new Set(["notAReply", "otherHardware", "otherTransaction", "otherClient"]);

/** How a lease fares: in the log, and for whoever follows it. */
export class LeaseStory {
  #trouble: LeaseTrouble | undefined;
  #shown: LeaseSeen | undefined;

  constructor(private readonly deps: LeaseStoryDeps) {}

  /** `foundAt`: who has an address that was declined. */
  note(news: LeaseNews, foundAt: MacAddress | undefined): void {
    const { log, clock } = this.deps;
    switch (news.type) {
      case "lease": {
        const { address, server, expiresAt } = news.lease;
        const fresh = this.#shown?.lease?.address !== address;
        this.#trouble = undefined;
        log[fresh ? "info" : "debug"](fresh ? "dhcp lease" : "dhcp lease renewed", { address, server, seconds: Math.round((expiresAt - clock.now()) / 1000) });
        return;
      }
      case "lost":
        log[news.reason === "released" ? "info" : "warn"]("dhcp lease lost", { address: news.address, reason: news.reason });
        this.#trouble = news;
        return;
      case "refused":
        log.warn("dhcp server refuses", { server: news.server, text: news.text });
        this.#trouble = news;
        return;
      case "declined":
        log.warn("dhcp address declined, it is in use", { address: news.address, server: news.server });
        this.#trouble = { ...news, by: foundAt };
        return;
    }
  }

  drop(reason: string, detail?: string): void {
    if (ORDINARY.has(reason)) return;
    this.deps.log.debug("dhcp message dropped", { reason, ...(detail !== undefined && { detail }) });
    this.deps.dropped?.(reason);
  }

  show(now: Omit<LeaseSeen, "trouble">): void {
    const { phase, mac, lease, sends, seekingSince } = now;
    const seen: LeaseSeen = { phase, mac, lease, sends, seekingSince, trouble: this.#trouble };
    const before = this.#shown;
    this.#shown = seen;
    const same =
      before !== undefined && before.phase === phase && before.mac === mac && before.lease === lease && before.sends === sends && before.seekingSince === seekingSince && before.trouble === seen.trouble;
    if (!same) this.deps.changed(seen);
  }
}
