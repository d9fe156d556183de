/** The registry: one line per mode. */
export { createAddressMode } from "./address.js";
export { createArpMode } from "./arp.js";
export { createBgpMode } from "./bgp.js";
export { createDnatMode } from "./dnat.js";
export { createLinkMode } from "./link.js";
export { createUpnpMode } from "./upnp.js";
