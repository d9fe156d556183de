import type { Family, IpAddress } from "../lib/ip.js";
import type { Links, Routes } from "../ports/kernel.js";

/** RT_TABLE_MAIN */
const MAIN_TABLE = 254;

/** The next hop of the default route of a family: on `link`, or on any where that one has none (a macvlan); undefined where there is no default route. */
export async function defaultGateway(kernel: Pick<Links & Routes, "links" | "routes">, { link, family }: { readonly link: string; readonly family: Family }, signal: AbortSignal): Promise<IpAddress | undefined> {
  const [links, routes] = await Promise.all([kernel.links(signal), kernel.routes(signal)]);
  const index = links.find(({ name }) => name === link)?.index;
  const hops = routes.filter((route) => route.family === family && route.destination === undefined && route.table === MAIN_TABLE && route.gateway !== undefined);
  hops.sort((a, b) => a.metric - b.metric);
  return (hops.find(({ linkIndex }) => linkIndex === index) ?? hops[0])?.gateway;
}
