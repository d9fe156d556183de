/** The registry: one line per mode. */
export { createArpMode } from "./arp.js";
