import { createKube } from "../../kube/kube.js";
import { createClusterReader } from "../../kube/lease-list.js";
import { createClock } from "../../linux/clock.js";
import { createKernel } from "../../linux/kernel.js";
import { createNft } from "../../linux/nft.js";
import { createRandom } from "../../linux/random.js";
import type { Log } from "../../ports/log.js";
import { apiConnection, type ApiOptions } from "../api-connection.js";
import { askDaemons, NoDaemon } from "../control-client.js";
import { CONTROL_DIRECTORY } from "../control-socket.js";
import type { CleanupDeps } from "./cleanup.js";
import { fileLeftovers } from "./files.js";
import { labelLeftovers } from "./labels.js";
import { leaseFindings } from "./leases.js";
import { kernelLeftovers, type Found } from "./leftovers.js";
import { serviceLeftovers } from "./services.js";

export interface CleanupPlaces extends ApiOptions {
  /** Where the daemons of this node have their sockets. */
  readonly directory?: string | undefined;
  /** What was written to the API, instead of what is in the kernel of this node. */
  readonly api: boolean;
  /** Namespace of the Leases. */
  readonly namespace: string;
  /** Lease of the Services. */
  readonly lease: string;
}

/** Only a command's own output is of interest. */
const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, with: () => SILENT };

/** The kernel of this node, or the API, opened when they are looked at and closed by `cleanup`. */
export function cleanupDeps(places: CleanupPlaces, cleanup: { use<T extends AsyncDisposable>(resource: T): T }): CleanupDeps {
  return {
    // What is in the API belongs to the cluster: its Lease says whether somebody lives.
    daemons: async () => (places.api ? [] : daemonsOf(places)),
    find: async (signal) => {
      if (places.api) return apiLeftovers(places, cleanup, signal);
      const kernel = cleanup.use(createKernel({ log: SILENT, clock: createClock() }));
      const { leftovers, problems } = await kernelLeftovers({ kernel, nft: cleanup.use(createNft()) }, signal);
      const files = (await daemonsOf(places)).length === 0 ? fileLeftovers(places.directory ?? CONTROL_DIRECTORY) : [];
      // The record last: it says which addresses are ours where the kernel cannot.
      return { leftovers: [...leftovers, ...files], problems };
    },
  };
}

async function daemonsOf({ directory }: CleanupPlaces): Promise<readonly string[]> {
  try {
    return (await askDaemons("/v1/status", { directory })).map(({ socket }) => socket);
  } catch (error) {
    if (error instanceof NoDaemon) return [];
    throw error;
  }
}

async function apiLeftovers({ namespace, lease, ...api }: CleanupPlaces, cleanup: { use<T extends AsyncDisposable>(resource: T): T }, signal: AbortSignal): Promise<Found> {
  const clock = createClock();
  const connection = apiConnection(api);
  const reader = cleanup.use(createClusterReader(connection, { clock, log: SILENT }));
  const kube = cleanup.use(createKube({ connection, nodeName: "cleanup" }, { clock, log: SILENT, random: createRandom() }));
  const { living, leftovers } = await leaseFindings({ namespace, services: lease }, { reader, clock }, signal);
  if (living !== undefined) throw new Error(`${living.holder} holds and renews the Lease ${living.lease}: stop every vip and kube-vip that serves Services first, or it would write all of it again`);
  const [services, labels] = [serviceLeftovers(await reader.services(signal), kube.services), await labelLeftovers(reader, signal)];
  return { leftovers: [...services, ...labels, ...leftovers], problems: [] };
}
