import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import type { Clock } from "../../src/ports/clock.js";
import type { Http, HttpAnswer, HttpRequest } from "../../src/ports/http.js";
import type { OnDatagram, Ssdp } from "../../src/ports/ssdp.js";
import { OpenSockets } from "./open-sockets.js";

/** Takes its time: a request is carried out whether or not who asked is still there. */
export interface RouterPace {
  readonly clock: Pick<Clock, "after">;
  /** One request after the other. */
  readonly inLine: boolean;
  /** Until a request is carried out, or a search (undefined) is answered; ms. */
  nextMs(request: HttpRequest | undefined): number;
  /** Whether the answer to a request is lost. */
  loses(request: HttpRequest): boolean;
}

/** How a fake router behaves; all of it may be changed while it runs. */
export interface RouterOptions {
  readonly version?: 1 | 2;
  readonly secure?: boolean;
  readonly answers?: boolean;
  /** Opens pinholes (WANIPv6FirewallControl) in place of mapping ports. */
  readonly pinholes?: boolean;
  /** Answers in place of its own. */
  readonly page?: (request: HttpRequest) => HttpAnswer | Error | undefined;
}

const HOST = parseIp("10.77.0.1") as IpAddress;
const TIMEOUT_MS = 4000;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A router with UPnP in memory, and the link that leads to it. */
export class FakeRouter {
  /** Number -> `TCP [fd77::c8]:80 3600`, with IANA's number of the protocol. */
  readonly pinholes = new Map<number, string>();
  #nextPinhole = 1;
  /** `TCP 80` -> `10.77.0.200:80 3600`. */
  readonly mappings = new Map<string, string>();
  readonly requests: HttpRequest[] = [];
  readonly opened = new OpenSockets();
  bootId = 1;
  external = "198.51.100.1";
  options: RouterOptions = {};
  /** Undefined: at once. */
  pace: RouterPace | undefined;
  #line: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<OnDatagram>();

  constructor(readonly host = HOST) {}

  readonly ssdp: Ssdp = {
    searcher: async (_address, received, signal) => {
      signal.throwIfAborted();
      const answer = (): void => (this.options.answers === false ? undefined : received(this.message("HTTP/1.1 200 OK", "ST"), this.host));
      const send = async (): Promise<void> => {
        if (this.pace === undefined) answer();
        else this.pace.clock.after(this.pace.nextMs(undefined), answer);
      };
      return { send, ...this.opened.open() };
    },
    listen: async (_address, received, signal) => {
      signal.throwIfAborted();
      this.#listeners.add(received);
      return this.opened.open(() => this.#listeners.delete(received));
    },
  };

  readonly http: Http = {
    request: async (request, signal) => {
      signal.throwIfAborted();
      await Promise.resolve();
      signal.throwIfAborted();
      this.requests.push(request);
      return this.pace === undefined ? this.#answer(request) : await this.#inTime(request, this.pace, signal);
    },
  };

  async #inTime(request: HttpRequest, pace: RouterPace, signal: AbortSignal): Promise<HttpAnswer> {
    const wait = async (ms: number): Promise<void> => await new Promise((resolve) => pace.clock.after(ms, () => resolve()));
    return await new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error));
      const carryOut = async (): Promise<void> => {
        await wait(pace.nextMs(request));
        const answer = this.#answer(request);
        if (!pace.loses(request)) resolve(answer);
        else pace.clock.after(TIMEOUT_MS, () => reject(Object.assign(new Error(`${request.method} ${request.url}: no answer`), { code: "timeout" })));
      };
      const before = pace.inLine ? this.#line : Promise.resolve();
      this.#line = before.then(carryOut).catch(reject);
    });
  }

  #answer(request: HttpRequest): HttpAnswer {
    const other = this.options.page?.(request);
    if (other instanceof Error) throw other;
    if (other !== undefined) return other;
    if (this.options.answers === false) throw Object.assign(new Error(`${request.method} ${request.url}: ECONNREFUSED`), { code: "network" });
    return request.method === "GET" ? ok(this.description()) : this.#action(request);
  }

  /** Loses all mappings, and announces itself. */
  restart(): void {
    this.mappings.clear();
    this.pinholes.clear();
    this.bootId += 1;
    this.announce("ssdp:alive");
  }

  announce(kind: "ssdp:alive" | "ssdp:byebye"): void {
    this.datagram(this.message("NOTIFY * HTTP/1.1", "NT", `NTS: ${kind}\r\n`));
  }

  /** Anything, sent to the group. */
  datagram(bytes: Uint8Array, from = this.host): void {
    for (const received of this.#listeners) received(bytes, from);
  }

  message(first: string, header: string, more = "", location = `http://${this.host.includes(":") ? `[${this.host}]` : this.host}:5000/root.xml`): Uint8Array {
    const target = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
    return text(`${first}\r\n${header}: ${target}\r\nUSN: uuid:router::${target}\r\nLOCATION: ${location}\r\nBOOTID.UPNP.ORG: ${this.bootId}\r\n${more}\r\n`);
  }

  description(): string {
    const type = `urn:schemas-upnp-org:service:${this.options.pinholes === true ? "WANIPv6FirewallControl:1" : `WANIPConnection:${this.options.version ?? 2}`}`;
    return `<root><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>Router</friendlyName><UDN>uuid:router</UDN><serviceList><service><serviceType>${type}</serviceType><controlURL>/ctl</controlURL></service></serviceList></device></root>`;
  }

  #action({ headers, body, from }: HttpRequest): HttpAnswer {
    const action = /#(\w+)"/.exec(headers["soapaction"] ?? "")?.[1] ?? "";
    const value = (name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1] ?? "";
    const key = `${value("NewProtocol")} ${value("NewExternalPort")}`;
    const target = `${value("NewInternalClient")}:${value("NewInternalPort")}`;
    switch (action) {
      case "GetExternalIPAddress":
        return result(action, `<NewExternalIPAddress>${this.external}</NewExternalIPAddress>`);
      case "GetStatusInfo":
        return result(action, "<NewConnectionStatus>Connected</NewConnectionStatus><NewUptime>100</NewUptime>");
      case "GetSpecificPortMappingEntry": {
        const [client = "", port = ""] = (this.mappings.get(key)?.split(" ")[0] ?? "").split(":");
        return this.mappings.has(key) ? result(action, `<NewInternalPort>${port}</NewInternalPort><NewInternalClient>${client}</NewInternalClient>`) : fault(714, "NoSuchEntryInArray");
      }
      case "AddPortMapping":
      case "AddAnyPortMapping": {
        if (this.options.secure === true && from !== value("NewInternalClient")) return fault(606, "Action not authorized");
        const taken = this.mappings.has(key) && this.mappings.get(key)?.split(" ")[0] !== target;
        if (taken && action === "AddPortMapping") return fault(718, "ConflictInMappingEntry");
        const port = taken ? "50000" : value("NewExternalPort");
        this.mappings.set(`${value("NewProtocol")} ${port}`, `${target} ${value("NewLeaseDuration")}`);
        return result(action, action === "AddPortMapping" ? "" : `<NewReservedPort>${port}</NewReservedPort>`);
      }
      case "DeletePortMapping":
        return this.mappings.delete(key) ? result(action, "") : fault(714, "NoSuchEntryInArray");
      case "GetFirewallStatus":
        return result(action, "<FirewallEnabled>1</FirewallEnabled><InboundPinholeAllowed>1</InboundPinholeAllowed>");
      case "AddPinhole": {
        if (from !== value("InternalClient")) return fault(606, "Action not authorized");
        const wanted = `${value("Protocol")} [${value("InternalClient")}]:${value("InternalPort")}`;
        const known = [...this.pinholes].find(([, pinhole]) => pinhole.startsWith(`${wanted} `))?.[0];
        const number = known ?? this.#nextPinhole++;
        this.pinholes.set(number, `${wanted} ${value("LeaseTime")}`);
        return result(action, `<UniqueID>${number}</UniqueID>`);
      }
      case "UpdatePinhole": {
        const [number, pinhole] = [Number(value("UniqueID")), this.pinholes.get(Number(value("UniqueID")))];
        if (pinhole === undefined) return fault(704, "NoSuchEntry");
        this.pinholes.set(number, `${pinhole.split(" ").slice(0, 2).join(" ")} ${value("NewLeaseTime")}`);
        return result(action, "");
      }
      case "DeletePinhole":
        return this.pinholes.delete(Number(value("UniqueID"))) ? result(action, "") : fault(704, "NoSuchEntry");
      default:
        return fault(401, "Invalid Action");
    }
  }
}

function ok(body: string): HttpAnswer {
  return { status: 200, body, location: undefined };
}

function result(action: string, inner: string): HttpAnswer {
  return ok(`<s:Envelope xmlns:s="s"><s:Body><u:${action}Response xmlns:u="u">${inner}</u:${action}Response></s:Body></s:Envelope>`);
}

function fault(code: number, words: string): HttpAnswer {
  const detail = `<UPnPError><errorCode>${code}</errorCode><errorDescription>${words}</errorDescription></UPnPError>`;
  return { ...ok(`<s:Envelope xmlns:s="s"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>${detail}</detail></s:Fault></s:Body></s:Envelope>`), status: 500 };
}
