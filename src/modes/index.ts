/** The registry: one line per mode. */
export { createAddressMode } from "./address.js";
export { createArpMode } from "./arp.js";
export { createBgpMode } from "./bgp.js";
export { createDhcpMode } from "./dhcp.js";
export { createDnatMode } from "./dnat.js";
export { createLinkMode } from "./link.js";
export { createUpnpMode } from "./upnp.js";
