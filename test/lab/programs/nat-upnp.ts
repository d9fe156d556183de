// nat-upnp.mjs: finds the gateway and lists its port mappings by the package `nat-upnp`, which shares nothing with ours; one line of JSON (NatUpnpMapping[]).
// It has no types, and its libraries are loaded only here.
import { createRequire } from "node:module";

/** A mapping as the package tells of it. */
export interface NatUpnpMapping {
  readonly public: { readonly host: string; readonly port: number };
  readonly private: { readonly host: string; readonly port: number };
  readonly protocol: string;
  readonly enabled: boolean;
  readonly ttl: number;
}

interface NatUpnp {
  createClient(): { getMappings(done: (error: Error | null, mappings: readonly NatUpnpMapping[]) => void): void; close(): void };
}

const client = (createRequire(import.meta.url)("nat-upnp") as NatUpnp).createClient();
client.getMappings((error, mappings) => {
  client.close();
  if (error !== null && error !== undefined) throw error;
  console.log(JSON.stringify(mappings));
});
