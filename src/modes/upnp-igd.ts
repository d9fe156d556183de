import type { IpAddress } from "../lib/ip.js";
import type { Gateway, GatewayCheck } from "../machine/upnp-gateway-state.js";
import type { UpnpRefusal } from "../machine/upnp-mapping-state.js";
import type { Http, HttpAnswer, HttpErrorShape } from "../ports/http.js";
import { decodeDescription, gatewayServices, sameHost, WAN_IP_CONNECTION_2, type UpnpDescription, type UpnpService } from "../wire/ssdp-description.js";
import { decodeSoap, encodeSoap, type SoapCall, type SoapReply } from "../wire/soap.js";
import * as igd from "../wire/soap-igd.js";
import { MAX_XML_LENGTH } from "../wire/xml.js";
import { RouterError, type MapAnswer } from "./upnp-router.js";

/** How a request is sent. */
export interface IgdDeps {
  readonly http: Http;
  /** The VIP: routers in secure mode map ports to the sender of the request only. */
  readonly from: IpAddress | undefined;
}

const TIMEOUT_MS = 4000;
/** Ways out of one router that are looked at. */
const MAX_SERVICES = 4;
const CONFLICTS: ReadonlySet<number> = new Set([igd.IGD_ERROR.conflictInMappingEntry, igd.IGD_ERROR.conflictWithOtherMechanisms]);

/** Reads the description at `location`, and chooses of the router's ways out the first that has an address, or else the first. Throws RouterError. */
export async function describe(deps: IgdDeps, { location, host }: { readonly location: string; readonly host: IpAddress }, signal: AbortSignal): Promise<Gateway> {
  const description = await describedAt(deps, location, signal);
  const services = gatewayServices(description).mapping.slice(0, MAX_SERVICES);
  const [first] = services;
  if (first === undefined) throw new RouterError("noService", `${location} describes ${description.deviceType}, which maps no ports`);
  let service = first;
  let seen = await lookAt(deps, first, signal);
  for (const other of services.slice(1)) {
    if (seen.externalAddress !== undefined) break;
    const also = await lookAt(deps, other, signal);
    if (also.externalAddress !== undefined) [service, seen] = [other, also];
  }
  return { ...gatewayOf(description, { location, host }, service), ...seen };
}

/** Reads the description at `location`. Throws RouterError. */
export async function describedAt(deps: IgdDeps, location: string, signal: AbortSignal): Promise<UpnpDescription> {
  const found = await page(deps, location, signal);
  return parsed(`description at ${location}`, () => decodeDescription(found.body, found.url));
}

/** What a description says of the gateway whose service is used. */
export function gatewayOf(description: UpnpDescription, { location, host }: { readonly location: string; readonly host: IpAddress }, service: UpnpService): Omit<Gateway, "externalAddress" | "uptimeSeconds"> {
  const name = description.friendlyName ?? description.modelName ?? host;
  return { id: `${description.udn ?? location} ${service.controlUrl}`, name, location, host, udn: description.udn, service };
}

/** Whether the router can choose another port. */
export function choosesPort({ serviceType }: UpnpService): boolean {
  return serviceType === WAN_IP_CONNECTION_2;
}

/** Asks a gateway that is known how it is; `sample` is a mapping that it should have. Throws RouterError. */
export async function check(deps: IgdDeps, { service }: Gateway, sample: igd.PortMapping | undefined, signal: AbortSignal): Promise<GatewayCheck> {
  const seen = await lookAt(deps, service, signal);
  return { ...seen, missing: sample !== undefined && !(await has(deps, service, sample, signal)) };
}

/** Asks for a mapping; `anyPort`: another external port will do. Throws RouterError. */
export async function map(deps: IgdDeps, { service }: Gateway, mapping: igd.PortMapping & { readonly anyPort: boolean }, signal: AbortSignal): Promise<MapAnswer> {
  const ask = mapping.anyPort ? igd.addAnyPortMapping : igd.addPortMapping;
  const reply = await callSoap(deps, service, ask(service.serviceType, mapping), signal);
  if (reply.type === "fault") return { type: "refused", refusal: refusalOf(reply.code), code: reply.code, text: reply.text, againSeconds: undefined };
  return { type: "mapped", externalPort: (mapping.anyPort ? igd.reservedPortOf(reply.values) : undefined) ?? mapping.externalPort, leaseSeconds: undefined };
}

/** Takes a mapping away, unless it leads elsewhere; `sure`: it is known to be ours. That it is not there is success. Throws RouterError. */
export async function unmap(deps: IgdDeps, { service }: Gateway, mapping: igd.PortMapping & { readonly sure: boolean }, signal: AbortSignal): Promise<void> {
  if (!mapping.sure && !(await has(deps, service, mapping, signal))) return;
  await callSoap(deps, service, igd.deletePortMapping(service.serviceType, mapping), signal);
}

function refusalOf(code: number): UpnpRefusal {
  if (CONFLICTS.has(code)) return "conflict";
  return code === igd.IGD_ERROR.onlyPermanentLeases ? "permanentOnly" : "other";
}

/** GetStatusInfo is no reason to do without a router that does not know it. */
async function lookAt(deps: IgdDeps, service: UpnpService, signal: AbortSignal): Promise<Omit<GatewayCheck, "missing">> {
  const external = await callSoap(deps, service, igd.getExternalIpAddress(service.serviceType), signal);
  const status = await callSoap(deps, service, igd.getStatusInfo(service.serviceType), signal);
  return {
    externalAddress: external.type === "result" ? igd.externalAddressOf(external.values) : undefined,
    uptimeSeconds: status.type === "result" ? igd.uptimeOf(status.values) : undefined,
  };
}

/** Whether the router has exactly this. One that cannot say so is believed to. */
async function has(deps: IgdDeps, service: UpnpService, mapping: igd.PortMapping, signal: AbortSignal): Promise<boolean> {
  const reply = await callSoap(deps, service, igd.getSpecificPortMappingEntry(service.serviceType, mapping), signal);
  if (reply.type === "fault") return reply.code !== igd.IGD_ERROR.noSuchEntry;
  const entry = igd.mappingEntryOf(reply.values);
  return entry === undefined || (entry.internalClient === mapping.internalClient && entry.internalPort === mapping.internalPort);
}

/** Calls an action. Throws RouterError for everything but a fault. */
export async function callSoap({ http, from }: IgdDeps, service: UpnpService, action: SoapCall, signal: AbortSignal): Promise<SoapReply> {
  const { headers, body } = encodeSoap(action);
  const answer = await answered(async () => http.request({ url: service.controlUrl, method: "POST", headers, body, from, limit: MAX_XML_LENGTH, timeoutMs: TIMEOUT_MS }, signal), signal);
  if (isRedirect(answer)) throw new RouterError("redirect", `${action.action} at ${service.controlUrl}: redirected to ${answer.location ?? "nowhere"}`);
  // A fault comes with 500 (UPnP Device Architecture 2.0, 3.2.2).
  if (answer.status !== 200 && answer.status !== 500) throw new RouterError("status", `${action.action} at ${service.controlUrl}: HTTP status ${answer.status}`);
  return parsed(`${action.action} at ${service.controlUrl}`, () => decodeSoap(answer.body, action.action));
}

/** One redirect is followed, on the same host only. */
async function page({ http, from }: IgdDeps, location: string, signal: AbortSignal): Promise<{ readonly url: string; readonly body: string }> {
  const get = async (url: string): Promise<HttpAnswer> =>
    answered(async () => http.request({ url, method: "GET", headers: {}, body: "", from, limit: MAX_XML_LENGTH, timeoutMs: TIMEOUT_MS }, signal), signal);
  let url = location;
  let answer = await get(url);
  if (isRedirect(answer)) {
    const next = answer.location === undefined || !URL.canParse(answer.location, url) ? "nowhere" : new URL(answer.location, url).href;
    if (!sameHost(next, location)) throw new RouterError("redirect", `GET ${location}: redirected to another host, ${next}`);
    url = next;
    answer = await get(url);
  }
  if (answer.status !== 200) throw new RouterError("status", `GET ${url}: HTTP status ${answer.status}`);
  return { url, body: answer.body };
}

function isRedirect({ status }: HttpAnswer): boolean {
  return status >= 300 && status < 400;
}

async function answered(ask: () => Promise<HttpAnswer>, signal: AbortSignal): Promise<HttpAnswer> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    throw new RouterError((error as Partial<HttpErrorShape>).code ?? "network", (error as Error).message, { cause: error });
  }
}

function parsed<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new RouterError("malformed", `${what}: ${(error as Error).message}`, { cause: error });
  }
}
