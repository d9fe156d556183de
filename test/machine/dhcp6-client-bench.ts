import type { IpAddress } from "../../src/lib/ip.js";
import { DHCP6_TIMING, dhcp6Start, type Dhcp6Action, type Dhcp6ClientConfig, type Dhcp6Input, type Dhcp6State } from "../../src/machine/dhcp6-client-state.js";
import { dhcp6Step } from "../../src/machine/dhcp6-client.js";
import type { StepResult } from "../../src/machine/step.js";
import { ADVERTISE, DECLINE, REBIND, RELEASE, RENEW, REPLY, REQUEST, SOLICIT } from "../../src/wire/dhcp6/codes.js";
import { decodeDhcp6, encodeDhcp6, type Dhcp6Message } from "../../src/wire/dhcp6/message.js";
import type { Dhcp6Options } from "../../src/wire/dhcp6/options.js";
import { TimedBench } from "./timed-bench.js";

export const ip = (text: string): IpAddress => text as IpAddress;
export const VIP = ip("fd77::150");
export const SERVER = "a";
const LINK_LOCAL = ip("fe80::1");

export const CONFIG: Dhcp6ClientConfig = { duid: Uint8Array.of(0, 4, 1, 2, 3), iaid: 7, hostname: undefined, requestedAddress: undefined, timing: DHCP6_TIMING };

const NAMES: Readonly<Record<number, string>> = { [SOLICIT]: "SOLICIT", [REQUEST]: "REQUEST", [RENEW]: "RENEW", [REBIND]: "REBIND", [RELEASE]: "RELEASE", [DECLINE]: "DECLINE" };

/** What a server says, in short. The rest is as the last message of the client has it. */
export interface Says {
  readonly address?: string;
  /** Names its DUID. */
  readonly server?: string;
  readonly validSeconds?: number;
  readonly preferredSeconds?: number;
  readonly t1Seconds?: number;
  readonly t2Seconds?: number;
  readonly iaid?: number;
  /** Of the IA. */
  readonly status?: number;
  readonly options?: Partial<Dhcp6Options>;
  readonly transactionId?: number;
}

/** A machine with its clock. `random` stays 0.5, so that RT has no jitter but the first of Solicit (1.05 s), and T1 is 2.5 % early. */
export class Dhcp6Bench extends TimedBench<Dhcp6Input, Dhcp6Action> {
  state: Dhcp6State;
  last: Dhcp6Message | undefined;
  readonly config: Dhcp6ClientConfig;

  constructor(changes: Partial<Dhcp6ClientConfig> = {}) {
    super();
    this.config = { ...CONFIG, ...changes };
    this.state = dhcp6Start(this.config);
  }

  protected override step(event: Dhcp6Input): StepResult<Dhcp6State, Dhcp6Action> {
    const result = dhcp6Step(this.state, { ...event, random: this.random }, this.now, this.config);
    this.state = result.state;
    return result;
  }

  protected override did(action: Dhcp6Action): string {
    if (action.type === "send") this.last = decodeDhcp6(encodeDhcp6(action.message));
    return shown(action);
  }

  advertise(says: Says = {}): this {
    return this.receive(ADVERTISE, says);
  }

  reply(says: Says = {}): this {
    return this.receive(REPLY, says);
  }

  /** No IA at all, but what the message as a whole says. */
  status(code: number, message = ""): this {
    return this.receive(REPLY, { options: { iaNa: [], status: { code, message } } });
  }

  free(address: string = VIP): this {
    return this.send({ type: "probed", address: ip(address), inUse: false });
  }

  taken(address: string = VIP): this {
    return this.send({ type: "probed", address: ip(address), inUse: true });
  }

  receive(type: number, says: Says): this {
    const { address = VIP, server = SERVER, validSeconds = 3600, preferredSeconds = validSeconds, t1Seconds = 0, t2Seconds = 0, iaid = this.config.iaid, status } = says;
    if (this.last === undefined) throw new Error("nothing was asked");
    const row = { address: ip(address), preferredSeconds, validSeconds, other: [] };
    const ia = { iaid, t1Seconds, t2Seconds, addresses: status === undefined ? [row] : [], ...(status !== undefined && { status: { code: status, message: "" } }), other: [] };
    const options: Dhcp6Options = { clientId: this.config.duid, serverId: new TextEncoder().encode(`id-${server}`), iaNa: [ia], other: [], ...says.options };
    const message = decodeDhcp6(encodeDhcp6({ type, transactionId: says.transactionId ?? this.last.transactionId, options }));
    return this.send({ type: "received", message, from: LINK_LOCAL });
  }

  /** Bound at 0 with a lease of so long. */
  static bound(says: Says = {}, changes: Partial<Dhcp6ClientConfig> = {}): Dhcp6Bench {
    const bench = new Dhcp6Bench(changes).send({ type: "tick" }).reply({ ...says, options: { rapidCommit: true } }).free(says.address);
    bench.news();
    return bench;
  }
}

function shown(action: Dhcp6Action): string {
  switch (action.type) {
    case "send": {
      const { type, options } = action.message;
      const server = options.serverId === undefined ? [] : [`of ${new TextDecoder().decode(options.serverId).slice(3)}`];
      return [NAMES[type] ?? `${type}`, ...options.iaNa.flatMap(({ addresses }) => addresses.map(({ address }) => address)), ...server].join(" ");
    }
    case "probe":
      return `probe ${action.address}`;
    case "lease":
      return `lease ${action.lease.address} until ${action.lease.expiresAt}`;
    case "lost":
      return `lost ${action.address} ${action.reason}`;
    case "refused":
      return `refused ${action.text ?? ""}`.trim();
    case "declined":
      return `declined ${action.address}`;
    case "dropped":
      return `dropped ${action.reason}`;
  }
}
