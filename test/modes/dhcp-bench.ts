import type { VipMode } from "../../src/core/mode.js";
import type { LeaseKey, LeaseSeen, LeaseWant, ServiceKey } from "../../src/core/model.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { BROADCAST_MAC, type MacAddress } from "../../src/lib/mac.js";
import { DHCP_TIMING } from "../../src/machine/dhcp-client-state.js";
import { DHCP6_TIMING } from "../../src/machine/dhcp6-client-state.js";
import { createDhcpMode } from "../../src/modes/dhcp.js";
import { ARP_REPLY, decodeArp, encodeArp } from "../../src/wire/arp.js";
import { BOOTREPLY, DHCPACK, DHCPDECLINE, DHCPDISCOVER, DHCPNAK, DHCPOFFER, DHCPRELEASE, DHCPREQUEST } from "../../src/wire/dhcp/codes.js";
import { decodeDhcp, encodeDhcp, type DhcpMessage } from "../../src/wire/dhcp/message.js";
import { decodeUdpFrame, encodeUdpFrame, type UdpFrame } from "../../src/wire/udp.js";
import { FakeDhcp6Sockets } from "../fakes/dhcp6.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel, fakeLink } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";
import type { Bench } from "./conformance.js";

export const SERVER = "10.77.0.1" as IpAddress;
export const SERVER_MAC = "02:00:00:00:00:01" as MacAddress;
const NAMES: Readonly<Record<number, string>> = { [DHCPDISCOVER]: "DISCOVER", [DHCPREQUEST]: "REQUEST", [DHCPDECLINE]: "DECLINE", [DHCPRELEASE]: "RELEASE" };

/** DHCP mode over macvlans of a kernel in memory, and a server that answers at once. */
export class DhcpModeBench implements Bench<"dhcp"> {
  readonly leavesNothing = true;
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel(this.clock);
  readonly log = new FakeLog();
  readonly seen = new Map<LeaseKey, LeaseSeen>();
  readonly dropped: string[] = [];
  /** What the server has given, by MAC. */
  readonly leases = new Map<MacAddress, IpAddress>();
  /** Every message to a server with its frame: `DISCOVER`, and where it went. */
  readonly messages: { readonly type: string; readonly linkIndex: number; readonly frame: UdpFrame; readonly message: DhcpMessage }[] = [];
  /** Whether the server answers. */
  answering = true;
  /** Who has which address already. */
  readonly strangers = new Map<IpAddress, MacAddress>();
  leaseSeconds = 100;
  readonly mode = this.reborn();
  #next = 150;
  #done = 0;

  constructor() {
    for (const n of [1, 2, 3]) this.kernel.linkList.push({ ...fakeLink(10 + n, `vip-${n}`), kind: "macvlan", parentIndex: 2, mac: this.want(n).mac });
  }

  reborn(): VipMode<"dhcp"> {
    const { clock, kernel, log } = this;
    return createDhcpMode(
      { timing: DHCP_TIMING, timing6: DHCP6_TIMING, vendorClass: "vip", duplicateCheck: true },
      {
        kernel,
        sockets6: new FakeDhcp6Sockets(),
        clock,
        log,
        random: { float: () => 0.5 },
        report: (key, seen) => void (seen === undefined ? this.seen.delete(key) : this.seen.set(key, seen)),
        dropped: (reason) => void this.dropped.push(reason),
      },
    );
  }

  want(n: number, part: Partial<LeaseWant> = {}): LeaseWant {
    const mac = `02:00:00:00:01:0${n}` as MacAddress;
    return { key: `dhcp4/${n}` as LeaseKey, family: 4, uuid: new Uint8Array(16), owners: [`default/web-${n}` as ServiceKey], iface: `vip-${n}`, linkIndex: 10 + n, mac, hostname: `web-${n}`, requestedAddress: undefined, known: [], broadcast: false, ...part };
  }

  /** Lets the server answer, and time go on by so much in steps of a few ms. */
  async advance(ms: number): Promise<void> {
    for (const end = this.clock.now() + ms; this.clock.now() < end;) {
      await this.clock.advance(Math.min(5, end - this.clock.now()));
      await this.#answer();
    }
  }

  async there(): Promise<readonly LeaseKey[]> {
    await this.advance(200);
    return [1, 2, 3].map((n) => this.want(n)).filter(({ mac }) => this.leases.has(mac)).map(({ key }) => key);
  }

  open(): number {
    return this.kernel.openSockets + this.clock.pending;
  }

  /** A frame of the server to a client, as it is. */
  deliver(linkIndex: number, message: DhcpMessage): void {
    const payload = encodeDhcp(message);
    this.kernel.deliver(linkIndex, "dhcp", encodeUdpFrame({ source: SERVER_MAC, destination: BROADCAST_MAC, sourceIp: SERVER, destinationIp: "255.255.255.255" as IpAddress, sourcePort: 67, destinationPort: 68, payload }));
  }

  /** What was sent since the last call. */
  news(): readonly string[] {
    return this.messages.splice(0).map(({ type, frame }) => `${type} ${frame.sourceIp} ${frame.destinationIp} ${frame.destination}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mode[Symbol.asyncDispose]();
  }

  async #answer(): Promise<void> {
    for (; this.#done < this.kernel.frames.length; this.#done += 1) {
      const sent = this.kernel.frames[this.#done];
      if (sent?.kind === "dhcp") this.#serve(sent.linkIndex, sent.bytes);
      else if (sent?.kind === "arp") this.#claim(sent.linkIndex, sent.bytes);
    }
    await this.clock.advance(0);
  }

  #serve(linkIndex: number, bytes: Uint8Array): void {
    const frame = decodeUdpFrame(bytes);
    const message = decodeDhcp(frame.payload);
    const { chaddr, options } = message;
    this.messages.push({ type: NAMES[options.messageType ?? 0] ?? "?", linkIndex, frame, message });
    if (!this.answering) return;
    if (options.messageType === DHCPRELEASE || options.messageType === DHCPDECLINE) {
      this.leases.delete(chaddr);
      return;
    }
    const known = this.leases.get(chaddr);
    const asked = options.requestedAddress ?? (message.ciaddr === "0.0.0.0" ? undefined : message.ciaddr);
    const reply = { ...message, op: BOOTREPLY } as const;
    const times = { serverId: SERVER, leaseSeconds: this.leaseSeconds, prefix: 24, other: new Map<number, Uint8Array>() };
    if (options.messageType === DHCPDISCOVER) {
      this.#next += known === undefined ? 1 : 0;
      const address = known ?? (`10.77.0.${this.#next}` as IpAddress);
      this.deliver(linkIndex, { ...reply, yiaddr: address, options: { messageType: DHCPOFFER, ...times } });
    } else if (asked === undefined || (known !== undefined && known !== asked)) {
      this.deliver(linkIndex, { ...reply, options: { messageType: DHCPNAK, serverId: SERVER, message: "wrong address", other: new Map() } });
    } else {
      this.leases.set(chaddr, asked);
      this.deliver(linkIndex, { ...reply, yiaddr: asked, options: { messageType: DHCPACK, ...times } });
    }
  }

  #claim(linkIndex: number, bytes: Uint8Array): void {
    const { targetIp, senderMac } = decodeArp(bytes);
    const mac = this.strangers.get(targetIp);
    if (mac === undefined) return;
    this.kernel.deliver(linkIndex, "arp", encodeArp({ destination: senderMac, source: mac, operation: ARP_REPLY, senderMac: mac, senderIp: targetIp, targetMac: senderMac, targetIp: "0.0.0.0" as IpAddress }));
  }
}
