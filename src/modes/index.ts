/** The registry: one line per mode. */
export { createArpMode } from "./arp.js";
export { createLinkMode } from "./link.js";
