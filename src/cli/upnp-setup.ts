import { createHttp } from "../linux/http.js";
import { createPcpSockets } from "../linux/pcp.js";
import { createSsdp } from "../linux/ssdp.js";
import { createUpnpMode } from "../modes/index.js";
import type { UpnpModeDeps } from "../modes/upnp.js";
import type { VipMode } from "../core/mode.js";
import type { Links, Routes } from "../ports/kernel.js";
import { defaultGateway } from "./default-gateway.js";

export interface UpnpSetupDeps extends Omit<UpnpModeDeps, "ssdp" | "http" | "pcp" | "defaultGateway"> {
  readonly kernel: Pick<Links & Routes, "links" | "routes">;
}

/** UPnP mode with the sockets of this network namespace. */
export function createUpnp({ kernel, ...deps }: UpnpSetupDeps): VipMode<"upnp"> {
  return createUpnpMode({
    ...deps,
    ssdp: createSsdp(),
    http: createHttp(deps),
    pcp: createPcpSockets(),
    defaultGateway: async (link, family, signal) => defaultGateway(kernel, { link, family }, signal),
  });
}
