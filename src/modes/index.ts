/** The registry: one line per mode. */
export { createArpMode } from "./arp.js";
export { createDnatMode } from "./dnat.js";
export { createLinkMode } from "./link.js";
