import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { DHCP_TIMING, dhcpStart, type DhcpAction, type DhcpClientConfig, type DhcpInput, type DhcpState } from "../../src/machine/dhcp-client-state.js";
import { dhcpStep } from "../../src/machine/dhcp-client.js";
import type { StepResult } from "../../src/machine/step.js";
import { BOOTREPLY, DHCPACK, DHCPDECLINE, DHCPDISCOVER, DHCPNAK, DHCPOFFER, DHCPRELEASE, DHCPREQUEST } from "../../src/wire/dhcp/codes.js";
import { decodeDhcp, encodeDhcp, type DhcpMessage } from "../../src/wire/dhcp/message.js";
import type { DhcpOptions } from "../../src/wire/dhcp/options.js";
import { TimedBench } from "./timed-bench.js";

export const ip = (text: string): IpAddress => text as IpAddress;
export const SERVER = ip("10.77.0.1");
export const OTHER_SERVER = ip("10.77.0.2");
export const SERVER_MAC = "02:00:00:00:00:01" as MacAddress;
export const VIP = ip("10.77.0.150");

export const CONFIG: DhcpClientConfig = {
  mac: "02:00:00:00:00:50" as MacAddress,
  clientId: Uint8Array.of(0, 1, 2, 3),
  hostname: "web",
  vendorClass: "vip",
  broadcast: false,
  requestedAddress: undefined,
  timing: DHCP_TIMING,
};

const NAMES: Readonly<Record<number, string>> = {
  [DHCPDISCOVER]: "DISCOVER",
  [DHCPREQUEST]: "REQUEST",
  [DHCPDECLINE]: "DECLINE",
  [DHCPRELEASE]: "RELEASE",
};

/** What a server says, in short. The rest is as the last message of the client has it. */
export interface Reply {
  readonly address?: string;
  readonly server?: IpAddress;
  readonly leaseSeconds?: number;
  readonly options?: Partial<DhcpOptions>;
  readonly message?: Partial<DhcpMessage>;
}

/** A machine with its clock. `random` stays 0.5, so that there is no jitter, T1 is 2.5 % early, and each xid is the same, unless `xids` are asked for. */
export class DhcpBench extends TimedBench<DhcpInput, DhcpAction> {
  state: DhcpState;
  last: DhcpMessage | undefined;
  readonly config: DhcpClientConfig;

  constructor(changes: Partial<DhcpClientConfig> = {}) {
    super();
    this.config = { ...CONFIG, ...changes };
    this.state = dhcpStart(this.config);
  }

  protected override step(event: DhcpInput): StepResult<DhcpState, DhcpAction> {
    const result = dhcpStep(this.state, { ...event, random: this.random }, this.now, this.config);
    this.state = result.state;
    return result;
  }

  protected override did(action: DhcpAction): string {
    if (action.type === "send") this.last = decodeDhcp(encodeDhcp(action.message));
    return shown(action);
  }

  offer(reply: Reply = {}): this {
    return this.reply(DHCPOFFER, reply);
  }

  ack(reply: Reply = {}): this {
    return this.reply(DHCPACK, reply);
  }

  nak({ server = SERVER, ...rest }: Reply = {}): this {
    const options: DhcpOptions = { messageType: DHCPNAK, serverId: server, message: "no", other: new Map(), ...rest.options };
    return this.receive({ ...this.replyTo(), options, ...rest.message });
  }

  free(address: string = VIP): this {
    return this.send({ type: "probed", address: ip(address), inUse: false });
  }

  taken(address: string = VIP): this {
    return this.send({ type: "probed", address: ip(address), inUse: true });
  }

  receive(message: DhcpMessage): this {
    return this.send({ type: "received", message: decodeDhcp(encodeDhcp(message)), from: SERVER_MAC });
  }

  private reply(messageType: number, { address = VIP, server = SERVER, leaseSeconds = 3600, options, message }: Reply): this {
    return this.receive({
      ...this.replyTo(),
      yiaddr: ip(address),
      options: { messageType, serverId: server, leaseSeconds, prefix: 24, routers: [SERVER], other: new Map(), ...options },
      ...message,
    });
  }

  private replyTo(): DhcpMessage {
    if (this.last === undefined) throw new Error("nothing was asked");
    return { ...this.last, op: BOOTREPLY };
  }

  /** Bound at 0 with a lease of so long. */
  static bound(leaseSeconds = 3600, changes: Partial<DhcpClientConfig> = {}): DhcpBench {
    const bench = new DhcpBench(changes).send({ type: "tick" }).offer({ leaseSeconds }).ack({ leaseSeconds }).free();
    bench.news();
    return bench;
  }
}

function shown(action: DhcpAction): string {
  switch (action.type) {
    case "send": {
      const { message, path } = action;
      const { requestedAddress, serverId, messageType = 0 } = message.options;
      const to = path.via === "broadcast" ? "*" : path.destinationIp;
      const parts = [NAMES[messageType] ?? `${messageType}`, to];
      if (message.ciaddr !== "0.0.0.0") parts.push(`has ${message.ciaddr}`);
      if (requestedAddress !== undefined) parts.push(`wants ${requestedAddress}`);
      if (serverId !== undefined) parts.push(`of ${serverId}`);
      return parts.join(" ");
    }
    case "probe":
      return `probe ${action.address}`;
    case "lease":
      return `lease ${action.lease.address} until ${action.lease.expiresAt}`;
    case "lost":
      return `lost ${action.address} ${action.reason}`;
    case "refused":
      return `refused ${action.server} ${action.text ?? ""}`;
    case "declined":
      return `declined ${action.address} of ${action.server}`;
    case "dropped":
      return `dropped ${action.reason}`;
  }
}
