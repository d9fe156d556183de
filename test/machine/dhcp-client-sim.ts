import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { dhcpStart, type DhcpAction, type DhcpClientConfig, type DhcpInput, type DhcpPath, type DhcpState } from "../../src/machine/dhcp-client-state.js";
import { dhcpStep } from "../../src/machine/dhcp-client.js";
import { BOOTREPLY, DHCPACK, DHCPDECLINE, DHCPDISCOVER, DHCPNAK, DHCPOFFER, DHCPRELEASE, DHCPREQUEST } from "../../src/wire/dhcp/codes.js";
import { decodeDhcp, encodeDhcp, type DhcpMessage } from "../../src/wire/dhcp/message.js";
import { CONFIG, ip } from "./dhcp-client-bench.js";
import { SimJobs, type Job } from "./sim-jobs.js";

interface ServerLease {
  readonly client: string;
  readonly expiresAt: number;
}

/** A server of RFC 2131 4.3 with a pool of its own. */
class SimServer {
  readonly #leases = new Map<string, ServerLease>();
  up = true;

  constructor(
    readonly address: IpAddress,
    private readonly pool: readonly string[],
    private readonly options: { readonly leaseSeconds: number; readonly authoritative: boolean },
  ) {}

  /** How many addresses are given away. */
  get size(): number {
    return this.#leases.size;
  }

  /** Power is lost, and with it what it knew. */
  forget(): void {
    this.#leases.clear();
  }

  handle(message: DhcpMessage, now: number): DhcpMessage | undefined {
    const client = String(message.options.clientId);
    switch (message.options.messageType) {
      case DHCPDISCOVER: {
        const address = this.#choose(client, message.options.requestedAddress, now);
        if (address === undefined) return undefined;
        this.#leases.set(address, { client, expiresAt: Math.max(now + 2000, this.#leases.get(address)?.expiresAt ?? 0) });
        return this.#answer(message, DHCPOFFER, address);
      }
      case DHCPREQUEST:
        return this.#request(message, client, now);
      case DHCPDECLINE:
        this.#leases.set(message.options.requestedAddress ?? "", { client: "declined", expiresAt: now + 30_000 });
        return undefined;
      case DHCPRELEASE:
        if (this.#leases.get(message.ciaddr)?.client === client) this.#leases.delete(message.ciaddr);
        return undefined;
      default:
        throw new Error(`a client sent type ${message.options.messageType ?? 0}`);
    }
  }

  #request(message: DhcpMessage, client: string, now: number): DhcpMessage | undefined {
    const { serverId, requestedAddress } = message.options;
    if (serverId !== undefined && serverId !== this.address) return undefined;
    const address = requestedAddress ?? message.ciaddr;
    const lease = this.#leases.get(address);
    if (!this.pool.includes(address)) return this.options.authoritative ? this.#answer(message, DHCPNAK) : undefined;
    if (lease?.client === client || (serverId !== undefined && (lease === undefined || lease.expiresAt <= now))) {
      this.#leases.set(address, { client, expiresAt: now + this.options.leaseSeconds * 1000 });
      return this.#answer(message, DHCPACK, address);
    }
    // RFC 2131 4.3.2: one who is not known gets no answer, where others may know him.
    if (lease === undefined && !this.options.authoritative) return undefined;
    return this.#answer(message, DHCPNAK);
  }

  #choose(client: string, wanted: string | undefined, now: number): string | undefined {
    const own = [...this.#leases].find(([, lease]) => lease.client === client)?.[0];
    const free = (address: string): boolean => (this.#leases.get(address)?.expiresAt ?? 0) <= now;
    return own ?? (wanted !== undefined && this.pool.includes(wanted) && free(wanted) ? wanted : this.pool.find(free));
  }

  #answer(message: DhcpMessage, messageType: number, address?: string): DhcpMessage {
    const lease = address === undefined ? {} : { leaseSeconds: this.options.leaseSeconds, prefix: 24 };
    const options = { messageType, serverId: this.address, ...lease, other: new Map<number, Uint8Array>() };
    return { ...message, op: BOOTREPLY, ciaddr: ip("0.0.0.0"), yiaddr: ip(address ?? "0.0.0.0"), options };
  }
}

interface SimClient {
  readonly config: DhcpClientConfig;
  state: DhcpState;
  wakeAt: number | undefined;
  /** What it uses, by its own actions. */
  using: string | undefined;
  probing: string | undefined;
  /** Until when a server has given it each address. */
  readonly given: Map<string, number>;
}

export interface SimOptions {
  readonly clients: number;
  readonly leaseSeconds: number;
  readonly random: () => number;
  /** Part of the messages that get lost. */
  readonly loss: number;
  readonly authoritative: boolean;
}

/** One link with two servers and some clients; time moves from event to event. */
export class DhcpSim {
  readonly clients: readonly SimClient[];
  readonly servers: readonly SimServer[];
  readonly counts = { leases: 0, expired: 0, refused: 0, declined: 0, moved: 0 };
  loss: number;
  #now = 0;
  readonly #jobs = new SimJobs();

  constructor(private readonly options: SimOptions) {
    this.loss = options.loss;
    const pool = (from: number): readonly string[] => Array.from({ length: options.clients + 2 }, (_, index) => `10.77.0.${from + index}`);
    this.servers = [
      new SimServer(ip("10.77.0.1"), pool(100), options),
      // The same pool as the other: after a loss of leases both may give one address.
      new SimServer(ip("10.77.0.2"), pool(102), options),
    ];
    this.clients = Array.from({ length: options.clients }, (_, index) => {
      const mac = `02:00:00:00:01:${(index + 16).toString(16)}` as MacAddress;
      const config: DhcpClientConfig = { ...CONFIG, mac, clientId: Uint8Array.of(0, index + 1), requestedAddress: index % 3 === 0 ? ip(`10.77.0.${100 + index}`) : undefined };
      return { config, state: dhcpStart(config), wakeAt: undefined, using: undefined, probing: undefined, given: new Map() };
    });
    for (const client of this.clients) this.at(this.#now + options.random() * 500, () => this.#send(client, { type: "tick" }));
  }

  get now(): number {
    return this.#now;
  }

  at(time: number, run: () => void): void {
    this.#jobs.add(Math.max(time, this.#now), run);
  }

  runUntil(end: number): void {
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#now = next.at;
      next.run();
      this.#check();
    }
    this.#now = end;
    this.#check();
  }

  /** An event of outside: a link that came back, a release. */
  send(client: SimClient, event: DhcpInput): void {
    this.#send(client, event);
    this.#check();
  }

  #next(end: number): Pick<Job, "at" | "run"> | undefined {
    const job = this.#jobs.next;
    const sleeper = this.clients.reduce<SimClient | undefined>((first, one) => ((one.wakeAt ?? Infinity) < (first?.wakeAt ?? Infinity) ? one : first), undefined);
    const wakeAt = sleeper?.wakeAt ?? Infinity;
    if (job !== undefined && job.at <= wakeAt) {
      if (job.at > end) return undefined;
      return this.#jobs.pop();
    }
    if (sleeper === undefined || wakeAt > end) return undefined;
    return { at: Math.max(wakeAt, this.#now), run: () => this.#send(sleeper, { type: "tick" }) };
  }

  #send(client: SimClient, event: DhcpInput): void {
    const { random } = this.options;
    const result = dhcpStep(client.state, { ...event, random: random() }, this.#now, client.config);
    client.state = result.state;
    client.wakeAt = result.wakeAt;
    for (const action of result.actions) this.#act(client, action);
  }

  #act(client: SimClient, action: DhcpAction): void {
    switch (action.type) {
      case "send":
        this.#transmit(client, decodeDhcp(encodeDhcp(action.message)), action.path);
        return;
      case "probe": {
        client.probing = action.address;
        this.at(this.#now + 35, () => this.#answerProbe(client, action.address));
        return;
      }
      case "lease":
        this.counts.leases += 1;
        if (client.using !== undefined && client.using !== action.lease.address) this.counts.moved += 1;
        client.using = action.lease.address;
        return;
      case "lost":
        if (client.using !== action.address) throw new Error(`lost ${action.address}, which was not used`);
        client.using = undefined;
        if (action.reason === "expired") this.counts.expired += 1;
        return;
      case "refused":
        this.counts.refused += 1;
        return;
      case "declined":
        this.counts.declined += 1;
        return;
      case "dropped":
        return;
    }
  }

  #answerProbe(client: SimClient, address: IpAddress): void {
    if (client.probing !== address) return;
    const others = this.clients.filter((one) => one !== client);
    client.probing = undefined;
    this.#send(client, { type: "probed", address, inUse: others.some((one) => one.using === address || one.probing === address) });
  }

  #transmit(client: SimClient, message: DhcpMessage, path: DhcpPath): void {
    if (path.via === "unicast" && path.sourceIp !== client.using) throw new Error(`a message from ${path.sourceIp}, which is not used`);
    for (const server of this.servers) {
      if (path.via === "unicast" && path.destinationIp !== server.address) continue;
      if (this.options.random() < this.loss) continue;
      this.at(this.#now + 1 + this.options.random() * 20, () => this.#serve(server, client, message));
    }
  }

  #serve(server: SimServer, client: SimClient, message: DhcpMessage): void {
    if (!server.up) return;
    const answer = server.handle(message, this.#now);
    if (answer === undefined) return;
    if (answer.options.messageType === DHCPACK) client.given.set(answer.yiaddr, this.#now + this.options.leaseSeconds * 1000);
    if (this.options.random() < this.loss) return;
    const copies = this.options.random() < 0.05 ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      this.at(this.#now + 1 + this.options.random() * 20, () => {
        // All see what is broadcast.
        for (const one of this.clients) this.#send(one, { type: "received", message: answer, from: undefined });
      });
    }
  }

  /** What must hold at every moment. */
  #check(): void {
    const seen = new Set<string>();
    for (const { using, given, state } of this.clients) {
      if (using === undefined) continue;
      if (seen.has(using)) throw new Error(`${using} is used twice at ${this.#now}`);
      seen.add(using);
      if (state.lease?.address !== using) throw new Error(`${using} is used, the machine says ${state.lease?.address ?? "none"}`);
      if (this.#now > (given.get(using) ?? -1)) throw new Error(`${using} is used at ${this.#now}, and was given until ${given.get(using) ?? 0}`);
    }
  }
}
