import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient, KubeEndpointSlice } from "./kube-client.js";

const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/** Makes change number `index` (from 0) of many. */
export type Change = (index: number) => Promise<unknown>;

/** Makes changes for so long, so many a second, whether those before are done or not. Returns the rate that was reached. */
export async function churn({ perSecond, ms }: { readonly perSecond: number; readonly ms: number }, change: Change): Promise<number> {
  const start = performance.now();
  let done = 0;
  const pending = new Set<Promise<unknown>>();
  while (performance.now() - start < ms) {
    const made = change(done).finally(() => pending.delete(made));
    pending.add(made);
    done += 1;
    await sleep(Math.max(0, start + (done * 1000) / perSecond - performance.now()));
  }
  await Promise.all(pending);
  return (done / (performance.now() - start)) * 1000;
}

/** Readiness in one EndpointSlice after the other: of its last endpoint, which is on the last node, so that nothing changes that counts on the first one. */
export async function sliceChanges(client: KubeClient): Promise<Change> {
  const { items } = await client.request<{ readonly items: readonly KubeEndpointSlice[] }>("GET", SLICES);
  return async (index) => {
    const slice = items[index % items.length];
    const endpoints = slice?.endpoints ?? [];
    if (slice === undefined) throw new Error("there are no slices");
    const ready = Math.floor(index / items.length) % 2 === 1;
    const changed = endpoints.map((endpoint, at) => (at === endpoints.length - 1 ? { ...endpoint, conditions: { ready, serving: ready, terminating: false } } : endpoint));
    await client.request("PATCH", `${SLICES}/${slice.metadata.name}`, { endpoints: changed }, "application/merge-patch+json");
  };
}
