import { readFileSync } from "node:fs";

import { fromHex } from "../hex.js";

export const SERVERS = ["dnsmasq", "kea", "isc-dhcpd", "udhcpd"] as const;
export type Server = (typeof SERVERS)[number];

/** The recorded frames of a server by name: test/golden/dhcp/README.md. */
export function goldenFrames(server: Server): ReadonlyMap<string, Uint8Array> {
  const text = readFileSync(new URL(`../../golden/dhcp/${server}.txt`, import.meta.url), "utf8");
  const rows = text.trim().split("\n").map((line) => line.split(" "));
  return new Map(rows.map(([name = "", hex = ""]) => [name, fromHex(hex)]));
}

export function goldenFrame(server: Server, name: string): Uint8Array {
  const frame = goldenFrames(server).get(name);
  if (frame === undefined) throw new Error(`no frame ${name} of ${server}`);
  return frame;
}
