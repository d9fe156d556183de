import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { API_LISTEN } from "../daemons.js";
import { CLIENT_NS } from "../topology.js";
import { monotonicMs } from "../wait.js";
import type { Outside } from "./control.js";
import { DemoError, type Stage } from "./stage.js";

/** What keeping the cluster takes. */
export interface KeepOptions {
  readonly control: Promise<Outside> | undefined;
  readonly signal: AbortSignal;
}

/** A `vip` that ended is started again after this time, as by the kubelet. */
const REVIVE_MS = 10_000;
const LOOK_MS = 200;

/** Leaves the cluster running until `signal`, with a way to its API and into its namespaces. */
export async function keep(stage: Stage, { control, signal }: KeepOptions): Promise<void> {
  if (control === undefined) throw new DemoError("--keep needs scripts/demo.mjs: run `npm run demo -- --keep`");
  const { pid, dir, server } = await control;
  stage.pids = true;
  for (const { name } of stage.cluster.lab.nodes) if (stage.processOf(name)?.ended !== undefined) await stage.startVip(name);
  const port = relay(server);
  const kubeconfig = join(dir, "kubeconfig");
  writeFileSync(kubeconfig, readFileSync(stage.cluster.api.adminConf, "utf8").replace(/server: .*/, `server: https://127.0.0.1:${port}`), { mode: 0o600 });
  await noteOwner(stage, dir);
  instructions(stage, { pid, dir, kubeconfig });
  await mind(stage, dir, signal);
}

/** Passes connections from outside to the API; returns the port that takes them. */
function relay(server: Server): number {
  const [host = "", port = ""] = API_LISTEN.split(":");
  server.on("connection", (near: Socket) => {
    const far = connect({ host, port: Number(port) });
    near.pipe(far).pipe(near);
    near.on("error", () => far.destroy()).on("close", () => far.destroy());
    far.on("error", () => near.destroy()).on("close", () => near.destroy());
  });
  return (server.address() as AddressInfo).port;
}

interface Instructions {
  readonly pid: number;
  readonly dir: string;
  readonly kubeconfig: string;
}

function instructions({ screen, vip, cluster }: Stage, { pid, dir, kubeconfig }: Instructions): void {
  const { bold, cyan, dim } = screen.paint;
  const { lab } = cluster;
  const ofNode = `--directory ${join(lab.dir, "n1", "run-vip")}`;
  const blocks = [
    ["the cluster, as kubectl sees it", `export KUBECONFIG=${kubeconfig}`, "kubectl get services", "kubectl get leases -n kube-system", "kubectl get events"],
    ["a second app: its Service gets the next address of the pool", "kubectl create deployment shop --image=lab/pod --port=8080 --replicas=3", "kubectl expose deployment shop --type=LoadBalancer --port=80 --target-port=8080", "kubectl get service,endpointslices,pods -o wide"],
    ["another address, by name; and none of its pods: without endpoints nobody holds it", "kubectl annotate service shop kube-vip.io/loadbalancerIPs=10.77.0.215", "kubectl get service shop", "kubectl scale deployment/shop --replicas=0", "kubectl get service shop"],
    ["what vip itself says: of the cluster, of node n1, and why n1 does or does not serve a Service", `alias vip=${lab.built("vip")}`, "vip status --cluster", `vip status ${ofNode}`, `vip why default/web ${ofNode}`],
    ["into the namespaces: ask as the client; look at a node's network card", `IN="nsenter -t ${pid} -m -p"`, `$IN ip netns exec ${CLIENT_NS} curl -s http://${vip}/`, "$IN ip -n lab-n1 -d addr show dev eth0"],
    [`kill the owner, and ask again (it is started again ${REVIVE_MS / 1000} s later)`, `$IN sh -c "kill -9 $(cat ${dir}/owner.pid)"`],
  ];
  screen.say("", bold("The cluster stays until Ctrl-C. To try, as root in another terminal:"));
  for (const [what = "", ...commands] of blocks) screen.say("", `   ${dim(`# ${what}`)}`, ...commands.map((one) => `   ${cyan(one)}`));
  screen.say("");
}

/** Writes the pid of the owner's `vip` where a command line can read it. */
async function noteOwner(stage: Stage, dir: string): Promise<void> {
  const owner = await stage.cluster.leaseHolder();
  const process = stage.processOf(owner ?? "");
  if (process === undefined || process.ended !== undefined) return;
  writeFileSync(join(dir, "owner.pid.new"), `${process.pid}\n`);
  renameSync(join(dir, "owner.pid.new"), join(dir, "owner.pid"));
}

/** Starts again what ended, and keeps the note of the owner true. */
async function mind(stage: Stage, dir: string, signal: AbortSignal): Promise<void> {
  const endedAt = new Map<string, number>();
  while (!signal.aborted) {
    for (const { name } of stage.cluster.lab.nodes) {
      if (stage.processOf(name)?.ended === undefined) continue;
      const since = endedAt.get(name) ?? monotonicMs();
      endedAt.set(name, since);
      if (monotonicMs() - since < REVIVE_MS) continue;
      endedAt.delete(name);
      await stage.startVip(name);
    }
    await noteOwner(stage, dir);
    await sleep(LOOK_MS);
  }
}
