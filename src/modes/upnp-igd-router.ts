import type { Mapping } from "../core/model.js";
import type { Gateway } from "../machine/upnp-gateway-state.js";
import type { Http } from "../ports/http.js";
import type { PortMapping } from "../wire/soap-igd.js";
import { choosesPort, map, unmap } from "./upnp-igd.js";
import { RouterError, type Router } from "./upnp-router.js";

const MOST_DESCRIPTION = 60;

/** A gateway as port mappings are asked of it, each from its VIP. */
export function igdRouter(gateway: Gateway, http: Http): Router {
  const { id, name, host, externalAddress, service } = gateway;
  return {
    id,
    name,
    host,
    externalAddress,
    choosesPort: choosesPort(service),
    map: async (want, { externalPort, leaseSeconds, anyPort }, signal) => map({ http, from: want.address }, gateway, { ...portMapping(want, externalPort, leaseSeconds), anyPort }, signal),
    unmap: async (want, { externalPort, sure }, signal) => {
      const mapping = { ...portMapping(want, externalPort, 0), sure };
      try {
        await unmap({ http, from: want.address }, gateway, mapping, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof RouterError) || error.code !== "network") throw error;
        // The address may be gone; a router that is not in secure mode listens to any other.
        await unmap({ http, from: undefined }, gateway, mapping, signal);
      }
    },
  };
}

/** What is said of a port in SOAP. */
export function portMapping({ protocol, port, address, owners }: Mapping, externalPort: number, leaseSeconds: number): PortMapping {
  return { externalPort, protocol, internalPort: port, internalClient: address, description: `vip ${owners[0] ?? ""}`.slice(0, MOST_DESCRIPTION), leaseSeconds };
}
