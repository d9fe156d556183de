import type { Mapping } from "../core/model.js";
import type { IpAddress } from "../lib/ip.js";
import type { Gateway, GatewayCheck } from "../machine/upnp-gateway-state.js";
import type { Http } from "../ports/http.js";
import type { SoapReply } from "../wire/soap.js";
import * as igd from "../wire/soap-igd.js";
import { gatewayServices } from "../wire/ssdp-description.js";
import { callSoap, describedAt, gatewayOf, type IgdDeps } from "./upnp-igd.js";
import { RouterError, type MapAnswer, type Router } from "./upnp-router.js";

/** WANIPv6FirewallControl:1, 2.2.6: a day is the most. */
const MOST_SECONDS = 86_400;
/** As long as it takes to remove it. */
const MOMENT_SECONDS = 60;

/** Reads the description at `location` for a service that opens pinholes. Throws RouterError. */
export async function describePinholes(deps: IgdDeps, { location, host }: { readonly location: string; readonly host: IpAddress }, signal: AbortSignal): Promise<Gateway> {
  const description = await describedAt(deps, location, signal);
  const [service] = gatewayServices(description).pinholes;
  if (service === undefined) throw new RouterError("noService", `${location} describes ${description.deviceType}, which opens no pinholes`);
  return { ...gatewayOf(description, { location, host }, service), externalAddress: undefined, uptimeSeconds: undefined };
}

/** Whether it answers; what it has cannot be asked but by numbers that it gave to somebody. Throws RouterError. */
export async function checkPinholes(deps: IgdDeps, { service }: Gateway, signal: AbortSignal): Promise<GatewayCheck> {
  await callSoap(deps, service, igd.getFirewallStatus(service.serviceType), signal);
  return { externalAddress: undefined, uptimeSeconds: undefined, missing: false };
}

/** A gateway as pinholes are asked of it, each from its VIP: routers refuse those for others. */
export function pinholeRouter(gateway: Gateway, http: Http): Router {
  const { id, name, host, service } = gateway;
  const numbers = new Map<string, number>();
  const add = async (want: Mapping, leaseSeconds: number, signal: AbortSignal): Promise<SoapReply> => {
    const pinhole = { protocol: want.protocol, internalPort: want.port, internalClient: want.address, leaseSeconds };
    const reply = await callSoap({ http, from: want.address }, service, igd.addPinhole(service.serviceType, pinhole), signal);
    const number = reply.type === "result" ? igd.uniqueIdOf(reply.values) : undefined;
    if (number !== undefined) numbers.set(want.key, number);
    return reply;
  };
  /** One that it has forgotten, or cannot prolong, is asked for anew: routers say so with several numbers. */
  const renew = async (want: Mapping, leaseSeconds: number, signal: AbortSignal): Promise<SoapReply> => {
    const number = numbers.get(want.key);
    if (number === undefined) return await add(want, leaseSeconds, signal);
    const reply = await callSoap({ http, from: want.address }, service, igd.updatePinhole(service.serviceType, number, leaseSeconds), signal);
    return reply.type === "fault" ? await add(want, leaseSeconds, signal) : reply;
  };
  return {
    id,
    name,
    host,
    externalAddress: undefined,
    choosesPort: false,
    map: async (want, { leaseSeconds }, signal): Promise<MapAnswer> => {
      const given = leaseSeconds === 0 ? MOST_SECONDS : Math.min(leaseSeconds, MOST_SECONDS);
      const reply = await renew(want, given, signal);
      // Nothing is in the way; asked again, it is known when that changes.
      if (reply.type === "fault" && reply.code === igd.IGD_ERROR.firewallDisabled) return { type: "mapped", externalPort: want.port, leaseSeconds: given };
      if (reply.type === "fault") return { type: "refused", refusal: "other", code: reply.code, text: reply.text, againSeconds: undefined };
      return { type: "mapped", externalPort: want.port, leaseSeconds: given };
    },
    unmap: async (want, _request, signal) => {
      // Asked for again for a moment it has the number that the holder before was given.
      if (!numbers.has(want.key)) await add(want, MOMENT_SECONDS, signal);
      const number = numbers.get(want.key);
      numbers.delete(want.key);
      if (number !== undefined) await callSoap({ http, from: want.address }, service, igd.deletePinhole(service.serviceType, number), signal);
    },
  };
}
