// hammer.mjs {"kubeconfig","service","perSecond"}: changes an annotation of one Service again and again through the API, as fast as
// that answers but no faster than asked for, until SIGINT; then one line of JSON: {"updates": number}.
import { setTimeout as sleep } from "node:timers/promises";
import { KubeClient } from "../kube-client.js";
import { monotonicMs } from "../wait.js";

const { kubeconfig, service, perSecond } = JSON.parse(process.argv[2] ?? "{}") as { readonly kubeconfig: string; readonly service: string; readonly perSecond: number };
const IN_FLIGHT = 4;

using client = KubeClient.from(kubeconfig);
const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());
let sent = 0;
let done = 0;
console.log("ready");
const started = monotonicMs();

async function worker(): Promise<void> {
  while (!stopping.signal.aborted) {
    const due = started + (sent / perSecond) * 1000;
    sent += 1;
    const early = due - monotonicMs();
    if (early > 1) await sleep(early);
    await client.patchService(service, { metadata: { annotations: { "example.com/beat": String(sent) } } });
    done += 1;
  }
}

await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
console.log(JSON.stringify({ updates: done, ms: monotonicMs() - started }));
