import { setTimeout as sleep } from "node:timers/promises";
import { ingressOf, VIP } from "../cluster.js";
import { deployment, exposed } from "../kube-client.js";
import { monotonicMs } from "../wait.js";
import { failOver, gaps, timeline, type Failover } from "./failover.js";
import { ms } from "./paint.js";
import { DemoError, type Stage } from "./stage.js";

const SERVICE = "web";

/** Where Services without an address of their own get theirs from; the first of it is the VIP of the story. */
const POOL = `${VIP}-10.77.0.220`;

/** A candidate looks at the Lease every second here: after this time it has had its chance. */
const LONGER_THAN_A_RETRY_MS = 1_200;

function title(stage: Stage, number: number, text: string): void {
  stage.screen.say("", stage.screen.paint.bold(`${number}. ${text}`));
}

function command(stage: Stage, where: string, text: string): void {
  const { paint } = stage.screen;
  stage.screen.say(`   ${paint.cyan(`${where} $`)} ${text}`);
}

/** Tells the whole story; throws where something is not as told. */
export async function tell(stage: Stage): Promise<void> {
  await startNodes(stage);
  const service = await createService(stage);
  await reach(stage, 3, service.holder);
  const crash = await kill(stage, service.holder);
  await bringBack(stage, crash);
  const handOver = await terminate(stage, crash.to);
  summary(stage, { createdMs: service.createdMs, crash, handOver });
}

async function startNodes(stage: Stage): Promise<void> {
  const { screen } = stage;
  title(stage, 1, "Three nodes, each with one `vip` process");
  screen.explain("Nodes, a client on the same LAN and a Kubernetes API are network namespaces of this machine. The processes elect one owner by a Lease in that API: only the owner may hold addresses.");
  await stage.build();
  const { lab } = stage.cluster;
  for (const { name } of lab.nodes) {
    command(stage, name, `vip_arp=true svc_enable=true vip_interface=eth0 vip_nodename=${name} vip_leaseduration=5 vip start`);
    await stage.startVip(name);
  }
  const ended = lab.nodes.map(async ({ name }) => {
    const exit = await stage.processOf(name)?.exited;
    throw new DemoError(`vip on ${name} ended at once: ${JSON.stringify(exit)}`);
  });
  await Promise.race([stage.cluster.owner(), ...ended]);
  for (const one of ended) one.catch(() => undefined); // from now on they may end: that is what the demo shows
  await stage.pause();
}

async function createService(stage: Stage): Promise<{ readonly holder: string; readonly createdMs: number }> {
  const { cluster, screen, vip } = stage;
  const { client } = cluster.api;
  title(stage, 2, "Somebody creates an app and exposes it");
  screen.explain("Nobody asks for an address: the owner takes the first free one of the pool, adds it to its network card, announces it on the LAN and writes it into the Service's status.");
  command(stage, "admin", `kubectl create configmap kubevip -n kube-system --from-literal=range-global=${POOL}`);
  await client.putConfigMap("kubevip", { "range-global": POOL });
  command(stage, "admin", `kubectl create deployment ${SERVICE} --image=lab/pod --port=8080 --replicas=${cluster.lab.nodes.length}`);
  await client.createDeployment(deployment(SERVICE, cluster.lab.nodes.length));
  command(stage, "admin", `kubectl expose deployment ${SERVICE} --type=LoadBalancer --port=80 --target-port=8080`);
  const started = monotonicMs();
  await client.createService(exposed(SERVICE));
  const holder = await cluster.heldBy(vip, 2_000);
  const createdMs = Math.max(0, (await stage.addresses.when(holder, vip, "added")) - started);
  await cluster.service(SERVICE, 2_000, "its status", (service) => ingressOf(service).includes(vip));
  screen.say(`   service/${SERVICE} exposed`, `   ${screen.paint.green("✓")} ${holder} has ${vip} ${ms(createdMs)} later; the Service's status says EXTERNAL-IP ${vip}.`);
  await stage.pause();
  return { holder, createdMs };
}

/** Shows that the client reaches this node by the VIP, and that no other node has it. */
async function reach(stage: Stage, number: number | undefined, holder: string): Promise<void> {
  const { cluster, screen, vip } = stage;
  if (number !== undefined) {
    title(stage, number, "A client uses it");
    screen.explain("The web server behind the Service says which node it runs on; the client's ARP table shows whose network card stands for the VIP.");
  }
  const url = `http://${vip}/`;
  const answer = await cluster.lab.exec("client", ["curl", "-sS", "--max-time", "2", url], { mayFail: true });
  command(stage, "client", `curl -sS ${url}`);
  screen.say(...`${answer.stdout}${answer.stderr}`.trim().split("\n").map((line) => `   ${line}`));
  if (answer.code !== 0 || answer.stdout.trim() !== holder) throw new DemoError(`the client should have been answered by ${holder}`);
  if (number !== undefined) {
    const neighbour = await cluster.lab.exec("client", ["ip", "neigh", "show", vip]);
    command(stage, "client", `ip neigh show ${vip}`);
    screen.say(`   ${neighbour.stdout.trim()}   ${screen.paint.dim(`(${holder} has ${await cluster.lab.mac(holder)})`)}`);
  }
  const holders = await cluster.lab.holders(vip);
  if (holders.length !== 1 || holders[0] !== holder) throw new DemoError(`${vip} should be on ${holder} only, and is on ${holders.join(", ") || "no node"}`);
  screen.say(`   ${screen.paint.green("✓")} ${holder} answers, and no other node has ${vip}.`);
  await stage.pause();
}

async function kill(stage: Stage, owner: string): Promise<Failover> {
  const { screen } = stage;
  title(stage, 4, `The owner is killed: ${owner} crashes`);
  screen.explain("A killed process can clean up nothing. But its address was only lent by the kernel, for a few seconds at a time: it ends by itself, and only after that may another node take over (Lease time here: 5 s). The client probes every 5 ms.");
  command(stage, owner, "kill -KILL $(pidof vip)");
  const failover = await failOver(stage, owner, "SIGKILL");
  report(stage, failover, "SIGKILL");
  await reach(stage, undefined, failover.to);
  return failover;
}

function report(stage: Stage, failover: Failover, signal: "SIGKILL" | "SIGTERM"): void {
  const { screen, vip } = stage;
  screen.say("", ...timeline(failover, signal, vip).map((line) => `   ${line}`));
  screen.say("", `   ${screen.paint.bold(`The client was without an answer for: ${gaps(failover)}`)}`);
}

async function bringBack(stage: Stage, { from, to }: Failover): Promise<void> {
  const { cluster, screen, vip } = stage;
  title(stage, 5, `${from} comes back`);
  screen.explain(`Its \`vip\` is started again, as the kubelet would do it. It sees that the Lease is ${to}'s and waits: nothing moves, no connection breaks.`);
  command(stage, from, "vip start");
  const process = await stage.startVip(from);
  await process.waitFor(/"started"/, 3_000);
  await sleep(LONGER_THAN_A_RETRY_MS);
  await cluster.heldBy(vip, 500, to);
  screen.say(`   ${screen.paint.green("✓")} ${to} still has ${vip}.`);
  await stage.pause();
}

async function terminate(stage: Stage, owner: string): Promise<Failover> {
  const { screen } = stage;
  title(stage, 6, `The owner is shut down properly: ${owner} is to be updated`);
  screen.explain("This time it can say goodbye: it gives the Lease up, and keeps the address until the Lease names the next owner.");
  command(stage, owner, "kill -TERM $(pidof vip)");
  const failover = await failOver(stage, owner, "SIGTERM");
  const exit = await stage.processOf(owner)?.exited;
  if (exit?.code !== 0) throw new DemoError(`after SIGTERM vip on ${owner} should end with 0, and ended with ${JSON.stringify(exit)}`);
  report(stage, failover, "SIGTERM");
  await reach(stage, undefined, failover.to);
  return failover;
}

interface Figures {
  readonly createdMs: number;
  readonly crash: Failover;
  readonly handOver: Failover;
}

function summary({ screen, vip }: Stage, { createdMs, crash, handOver }: Figures): void {
  const { bold } = screen.paint;
  const overlap = handOver.dropped - handOver.taken;
  const both = overlap >= 0 ? `both had it for ${ms(overlap)}` : `nobody had it for ${ms(-overlap)}`;
  const rows = [
    ["Service exposed, until a node has its VIP", ms(createdMs)],
    ["crash, until the old node's kernel dropped the VIP", ms(crash.dropped)],
    ["crash, until the next owner had it", ms(crash.taken)],
    ["  in between nobody had it (never two)", ms(crash.taken - crash.dropped)],
    ["  gap that the client saw", gaps(crash)],
    ["shut-down, until the next owner had it", `${ms(handOver.taken)} (${both})`],
    ["  gap that the client saw", gaps(handOver)],
  ].map(([what = "", figure = ""]) => `   ${what.padEnd(52)}${figure}`);
  screen.say("", bold("Figures"), ...rows, "", bold("What you have seen"));
  screen.explain(`- ${vip} belongs to no machine: it went ${crash.from} → ${crash.to} → ${handOver.to}, and the client used one address all along.`);
  screen.explain("- In the crash no two nodes ever had it: the dead one's kernel dropped it first, with no process alive to tell it to.");
  screen.explain("- A planned hand-over costs next to nothing, so nodes can be updated one by one.");
  screen.explain("- Here only the process died, so its node answered until the address ended. Had the whole machine died, the gap would have been all the time from crash to take-over.");
}
