import type { Mapping } from "../core/model.js";
import { messageOf } from "../lib/errors.js";
import type { Family, IpAddress } from "../lib/ip.js";
import { Drive } from "../machine/drive.js";
import { NAT_PMP_PACE, PCP_PACE } from "../machine/pcp-exchange.js";
import { PCP_SERVER_TIMING, pcpServerStep } from "../machine/pcp-server.js";
import { pcpServerStart, type PcpDialect, type PcpGreeting, type PcpProbe, type PcpServer, type PcpServerAction, type PcpServerEvent, type PcpServerState } from "../machine/pcp-server-state.js";
import { decodeNatPmp, encodeNatPmpExternal, NAT_PMP_RESULT, NAT_PMP_VERSION } from "../wire/nat-pmp.js";
import { decodePcp, encodePcpAnnounce } from "../wire/pcp.js";
import { exchange, type PcpExchangeDeps } from "./upnp-pcp-exchange.js";
import { askNatPmp, askPcp, type PortAnswer } from "./upnp-pcp-map.js";
import type { MapAnswer, Router, RouterClient } from "./upnp-router.js";

export interface PcpDeps extends PcpExchangeDeps {
  /** The next hop of the default route on a link, or of another one where that link has none. */
  defaultGateway(link: string, family: Family, signal: AbortSignal): Promise<IpAddress | undefined>;
}

/** The question, with the pace of its own machine: it is sent once. */
const ONCE = { tries: 1, jitter: 0 };
const NAMES: Readonly<Record<PcpDialect, string>> = { pcp: "PCP", "nat-pmp": "NAT-PMP" };
/** As in IGD 2, where the router is to decide. */
const FOR_EVER = 0xffff_ffff;

/** The next hop of a link, where it opens ports by PCP (RFC 6887) or NAT-PMP (RFC 6886): asked, checked, followed through its restarts. */
export class PcpGateway implements AsyncDisposable {
  readonly #drive: Drive<PcpServerState, PcpServerEvent, PcpServerAction>;
  readonly #closing = new AbortController();
  readonly #probes = new Map<number, AbortController>();
  #router: Router | undefined;
  #listener: Promise<AsyncDisposable | undefined> | undefined;

  constructor(
    private readonly at: { readonly link: string; readonly family: Family },
    private readonly client: RouterClient,
    private readonly deps: PcpDeps,
  ) {
    const { clock } = deps;
    this.#drive = new Drive(
      {
        start: pcpServerStart(clock.now()),
        step: (state, event: PcpServerEvent, now) => pcpServerStep(state, event, now, PCP_SERVER_TIMING),
        tick: () => this.#event({ type: "tick" }),
        act: (action: PcpServerAction) => this.#act(action),
        moved: (state: PcpServerState) => this.#moved(state),
      },
      clock,
    );
  }

  /** Undefined where the next hop does not answer. */
  get router(): Router | undefined {
    return this.#router;
  }

  /** Whether it has had the time to answer. */
  get searched(): boolean {
    return this.#drive.state.searched;
  }

  /** Asks for the first time. */
  start(): void {
    this.#listener = this.#listen();
    this.#drive.send(this.#event({ type: "tick" }));
  }

  /** A request to the router had no answer. */
  doubt(): void {
    this.#drive.send(this.#event({ type: "doubt" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#drive.stop();
    this.#closing.abort(new DOMException("closing", "AbortError"));
    const listener = await this.#listener;
    await listener?.[Symbol.asyncDispose]();
  }

  /** Without it the checks find a restart, too, only later. */
  async #listen(): Promise<AsyncDisposable | undefined> {
    const { link: iface, family } = this.at;
    try {
      return await this.deps.pcp.listen({ iface, family }, (_bytes, from) => this.#announced(from), this.#closing.signal);
    } catch (error) {
      if (!this.#closing.signal.aborted) this.deps.log.warn("announcements of PCP servers are not heard", { link: iface, error: messageOf(error) });
      return undefined;
    }
  }

  /** What it says is asked for, not believed: anybody may send to all hosts. */
  #announced(from: IpAddress): void {
    const { server } = this.#drive.state;
    if (server === undefined || server.host === from) this.doubt();
  }

  #event(body: EventBody): PcpServerEvent {
    return { ...body, random: this.deps.random.float() };
  }

  #act(action: PcpServerAction): void {
    if (action.type === "probe") void this.#probe(action);
    else if (action.type === "cancel") this.#probes.get(action.id)?.abort(new DOMException("no longer of interest", "AbortError"));
    else {
      this.deps.log.info("gateway has forgotten its mappings: they are asked for again", { gateway: this.#router?.name, host: this.#router?.host });
      this.client.restarted();
    }
  }

  #moved({ server }: PcpServerState): void {
    const before = this.#router;
    const id = server === undefined ? undefined : `${server.dialect} ${server.host}`;
    if (server === undefined || id === undefined) this.#router = undefined;
    else if (before?.id !== id || before.externalAddress !== server.externalAddress) this.#router = this.#routerOf(id, server);
    if (before?.id !== id && this.#router !== undefined) this.deps.log.info("gateway found", { gateway: this.#router.name, host: this.#router.host, external: this.#router.externalAddress });
    this.client.changed();
  }

  async #probe({ id, dialects, waitMs }: PcpProbe): Promise<void> {
    const abort = new AbortController();
    this.#probes.set(id, abort);
    const signal = AbortSignal.any([abort.signal, this.#closing.signal]);
    try {
      const greeting = await this.#greeting({ dialects, waitMs }, signal);
      this.#drive.send(this.#event(greeting === "older" ? { type: "older", id } : { type: "answered", id, greeting }));
    } catch (error) {
      if (signal.aborted) return;
      this.deps.log.debug("no answer by PCP", { link: this.at.link, error: messageOf(error) });
      this.#drive.send(this.#event({ type: "failed", id }));
    } finally {
      this.#probes.delete(id);
    }
  }

  async #greeting({ dialects, waitMs }: Pick<PcpProbe, "dialects" | "waitMs">, signal: AbortSignal): Promise<PcpGreeting | "older"> {
    const { link: iface, family } = this.at;
    const from = this.client.source();
    const host = await this.deps.defaultGateway(iface, family, signal);
    if (from === undefined || host === undefined) throw new Error(`no ${from === undefined ? "address" : "default route"} on ${iface}`);
    const datagrams = dialects.map((dialect) => (dialect === "pcp" ? encodePcpAnnounce(from) : encodeNatPmpExternal()));
    const pace = { ...ONCE, firstMs: waitMs, mostMs: waitMs };
    return await exchange({ path: { from, to: host, iface }, pace, datagrams, accept: (bytes) => greetingOf(bytes, host) }, this.deps, signal);
  }

  #routerOf(id: string, { dialect, host, externalAddress }: PcpServer): Router {
    const ask = async (want: Mapping, port: { readonly externalPort: number; readonly lifetime: number }, signal: AbortSignal): Promise<PortAnswer> => {
      const path = { from: want.address, to: host, iface: this.at.link };
      const asked = { ...port, want, path, pace: dialect === "pcp" ? PCP_PACE : NAT_PMP_PACE };
      const answer = await (dialect === "pcp" ? askPcp(asked, this.deps, signal) : askNatPmp(asked, this.deps, signal));
      this.#drive.send(this.#event({ type: "learned", epoch: answer.epoch, externalAddress: answer.externalAddress }));
      return answer;
    };
    return {
      id,
      name: NAMES[dialect],
      host,
      externalAddress,
      // Where the wanted port is taken, it gives another one unasked.
      choosesPort: false,
      map: async (want, { externalPort, leaseSeconds }, signal): Promise<MapAnswer> => (await ask(want, { externalPort, lifetime: leaseSeconds === 0 ? FOR_EVER : leaseSeconds }, signal)).answer,
      unmap: async (want, _request, signal) => {
        // Only what this Service has asked for goes: by its nonce in PCP, by its address in NAT-PMP.
        await ask(want, { externalPort: 0, lifetime: 0 }, signal);
      },
    };
  }
}

type EventBody = PcpServerEvent extends infer E ? (E extends PcpServerEvent ? Omit<E, "random"> : never) : never;

/** Any answer but the one of an older router says that PCP is spoken, also one that knows no such opcode. */
function greetingOf(bytes: Uint8Array, host: IpAddress): PcpGreeting | "older" | undefined {
  if (bytes[0] !== NAT_PMP_VERSION) return { dialect: "pcp", host, epoch: decodePcp(bytes).epoch, externalAddress: undefined };
  const { result, epoch, body } = decodeNatPmp(bytes);
  if (result === NAT_PMP_RESULT.unsupportedVersion) return "older";
  return { dialect: "nat-pmp", host, epoch, externalAddress: body.type === "external" && body.address !== "0.0.0.0" ? body.address : undefined };
}
