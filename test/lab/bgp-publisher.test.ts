import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBird, type BirdDaemon } from "./bird.js";
import { Cluster } from "./cluster.js";
import { exampleOf, guide } from "./guide.js";
import { loadBalancer } from "./kube-client.js";
import { answeringNode } from "./service-plane.js";
import { ROUTER_NS, type LabNode } from "./topology.js";

const VIP = "10.99.0.200";
const DOC = guide("bird-publisher.md");
/** AS numbers of the examples. */
const EXAMPLE = { publisher: 1234, vip: 2345, router: 64_512 } as const;
/** Longer than BIRD waits before it dials again. */
const LONG_MS = 20_000;

/** What is said where the publisher has the session already. */
const TAKEN = /^bird \(\d+\) on this node already has a session with it, .*docs\/bird-publisher\.md/;

type AsNumbers = Readonly<Record<keyof typeof EXAMPLE, number>>;

/** One layout of AS numbers, as the guide has it. */
interface Layout extends AsNumbers {
  readonly vips: boolean;
}

const LAYOUTS: readonly Layout[] = [...DOC.matchAll(/^\| (\d+) \| (\d+) \| (\d+) \| [ei]BGP \| [ei]BGP \| cluster routes (and VIPs|only) \|$/gm)].map(([, publisher, vip, router, what]) => ({
  publisher: Number(publisher),
  vip: Number(vip),
  router: Number(router),
  vips: what === "and VIPs",
}));
/** All three in an AS of their own. */
const OUTER = LAYOUTS[0] ?? { ...EXAMPLE, vips: true };
/** vip and publisher in one AS. */
const INNER = LAYOUTS[1] ?? { ...EXAMPLE, vips: true };

/** An example of the guide that begins with this comment, with these AS numbers, and addresses of the lab. */
function example(title: string, as: AsNumbers, node?: LabNode): string {
  const numbers = new Map(Object.entries(EXAMPLE).map(([who, number]) => [String(number), String(as[who as keyof AsNumbers])]));
  return exampleOf(DOC, title)
    .replaceAll(/\b\d+\b(?![./])/g, (number) => numbers.get(number) ?? number)
    .replaceAll("192.0.2.0/24", "10.77.0.0/24")
    .replaceAll("192.0.2.11", node?.ipv4 ?? "")
    .replaceAll("192.0.2.1", "10.77.0.1")
    .replaceAll("10.112.1.0", `10.112.${node?.index}.0`);
}

/** BIRD waits for 5 s before it dials, and for a minute after an error. */
function hasty(config: string): string {
  return config.replaceAll(/^( *)(neighbor )/gm, "$1connect delay time 1; error wait time 1,2;\n$1$2");
}

let cluster: Cluster;
let router: BirdDaemon;
const publishers = new Map<string, BirdDaemon>();

beforeAll(async () => {
  cluster = await Cluster.bare(2);
  const { lab } = cluster;
  router = await startBird(lab, { ns: ROUTER_NS, config: hasty(example("bird.conf of the router", OUTER)) });
  writePeers(example("peers.yaml", OUTER));
  for (const node of lab.nodes) {
    publishers.set(node.name, await startBird(lab, { ns: node.name, config: hasty(example("bird.conf of the node", OUTER, node)) }));
    await cluster.startVip(node.name, { env: { ...ENV, bgp_config_file: peersFile() } });
  }
  await cluster.api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

const ENV = { vip_arp: "false", bgp_enable: "true", svc_enable: "true", vip_interface: "eth0" };

function peersFile(): string {
  return join(cluster.lab.dir, "peers.yaml");
}

function writePeers(text: string): void {
  writeFileSync(peersFile(), text);
}

/** Everybody with these AS numbers, without a restart of anything. */
async function laidOut(as: AsNumbers, peers = example("peers.yaml", as)): Promise<void> {
  writePeers(peers);
  await router.configure(hasty(example("bird.conf of the router", as)));
  for (const node of cluster.lab.nodes) await publisherOn(node.name).configure(hasty(example("bird.conf of the node", as, node)));
}

function publisherOn(node: string): BirdDaemon {
  const found = publishers.get(node);
  if (found === undefined) throw new Error(`no publisher on ${node}`);
  return found;
}

interface Peer {
  readonly state: string;
  readonly localAs: number;
  readonly lastEnd: { readonly reason: string } | null;
  readonly problem: string | null;
}

/** What `vip` prints on a node, as JSON. */
async function vipSays<T>(node: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<T> {
  const { stdout } = await cluster.lab.exec(node, [cluster.lab.built("vip"), ...args, "-o", "json"], { mayFail: true, env });
  return JSON.parse(stdout) as T;
}

async function peer(node: string): Promise<Peer> {
  const { processes } = await vipSays<{ readonly processes: readonly { readonly peers: readonly Peer[] }[] }>(node, ["bgp", "peers", "--directory", join(cluster.lab.dir, node, "run-vip")]);
  const [first] = processes.flatMap(({ peers }) => peers);
  if (first === undefined) throw new Error(`${node} has no peer`);
  return first;
}

/** Waits until `vip` on every node has its session, with this AS. */
async function allUp(localAs: number): Promise<void> {
  const up = async (): Promise<unknown> => {
    const peers = await Promise.all(cluster.lab.nodes.map(async ({ name }) => peer(name)));
    return { ok: peers.every((one) => one.state === "Established" && one.localAs === localAs), peers };
  };
  await cluster.lab.waitFor(up, LONG_MS, "vip to peer with the publisher on each node");
}

/** Routes of the outer router: prefix, and next hops with their AS path, sorted. */
async function outside(): Promise<string> {
  const text = await router.ctl("show route all where source = RTS_BGP");
  const rows = text.split(/\n(?=[\d.]+\/\d+|\s+(?:unicast|unreachable))/).flatMap((part) => {
    const hop = /BGP\.next_hop: (\S+)/.exec(part)?.[1];
    return hop === undefined ? [] : [{ prefix: /^([\d.]+\/\d+)/.exec(part)?.[1], via: `${hop} path ${/BGP\.as_path: ?(.*)/.exec(part)?.[1]?.trim() ?? ""}` }];
  });
  let prefix = "";
  // A second way to the same prefix does not repeat it.
  return rows
    .map((row) => {
      prefix = row.prefix ?? prefix;
      return `${prefix} via ${row.via}`;
    })
    .toSorted()
    .join("\n");
}

/** What the outer router should have: each node's cluster routes, and the VIP by every node where it comes through. */
function expected({ publisher: pub, vip, router: out, vips }: Layout): string {
  const path = [pub === out ? [] : [pub], vip === pub ? [] : [vip]];
  const rows = cluster.lab.nodes.flatMap(({ ipv4, index }) => [`10.112.${index}.0/24 via ${ipv4} path ${(path[0] ?? []).join(" ")}`, ...(vips ? [`${VIP}/32 via ${ipv4} path ${path.flat().join(" ")}`] : [])]);
  return rows.toSorted().join("\n");
}

/** The routes, and next hops in the router's kernel. */
async function outsideIs(layout: Layout): Promise<void> {
  const hops = layout.vips ? cluster.lab.nodes.map(({ ipv4 }) => ipv4) : [];
  const wanted = { routes: expected(layout), hops: hops.join(" ") };
  const look = async (): Promise<unknown> => {
    const { stdout } = await cluster.lab.exec(ROUTER_NS, ["ip", "route", "show", VIP]);
    const seen = { routes: await outside(), hops: [...stdout.matchAll(/via (\S+)/g)].map((match) => match[1]).join(" ") };
    return { ok: seen.routes === wanted.routes && seen.hops === wanted.hops, seen, wanted };
  };
  await cluster.lab.waitFor(look, LONG_MS, "the routes of the outer router");
}

describe("a route publisher on each node, between vip and the router", () => {
  test("the guide has the four layouts of AS numbers", () => {
    expect(LAYOUTS.map(({ vips }) => vips)).toEqual([true, true, true, false]);
  });

  for (const layout of LAYOUTS) {
    const { publisher: pub, vip, router: out, vips } = layout;
    test(`publisher ${pub}, vip ${vip}, router ${out}: the router has ${vips ? "cluster routes and VIP" : "cluster routes only, with every session up"}`, async () => {
      await laidOut(layout);
      await allUp(vip);
      await outsideIs(layout);
      for (const node of cluster.lab.nodes) {
        const protocols = await publisherOn(node.name).ctl("show protocols");
        expect(protocols).toMatch(/^metallb .*Established/m);
        expect(protocols).toMatch(/^outside .*Established/m);
        // What came over the session, as it came.
        expect(await publisherOn(node.name).ctl("show route all protocol metallb")).toContain(`BGP.next_hop: ${node.ipv4}`);
      }
      const { warnings } = await vipSays<{ readonly warnings: readonly string[] }>("n1", ["check"], { ...ENV, bgp_config_file: peersFile() });
      expect(warnings.some((one) => one.includes("iBGP everywhere"))).toBe(vip === pub);
    });
  }

  test("packets come to the pods, and no route of the VIP is in the nodes' tables; with `export all` there is one", async () => {
    await laidOut(OUTER);
    await allUp(OUTER.vip);
    await cluster.lab.waitFor(async () => answeringNode(cluster.lab, VIP), LONG_MS, `an answer at ${VIP}`);
    const [node] = cluster.lab.nodes;
    if (node === undefined) throw new Error("no node");
    const table = async (): Promise<string> => (await cluster.lab.exec(node.name, ["ip", "route", "show", "exact", `${VIP}/32`])).stdout;
    expect(await table()).toBe("");
    const config = hasty(example("bird.conf of the node", OUTER, node));
    await publisherOn(node.name).configure(config.replace('export where proto = "outside"', "export all"));
    await cluster.lab.waitFor(async () => (await table()).includes(`unreachable ${VIP}`), LONG_MS, "what the guide warns of");
    await publisherOn(node.name).configure(config);
    await cluster.lab.waitFor(async () => (await table()) === "", LONG_MS, "the route to be gone");
  });

  test("with the router ID of the publisher, in one AS with it, there is no session, and why is said", async () => {
    const [node] = cluster.lab.nodes;
    if (node === undefined) throw new Error("no node");
    await laidOut(INNER, example("peers.yaml", INNER).replace("router-id: 127.0.0.1", `router-id: ${node.ipv4}`));
    const refused = async (): Promise<unknown> => {
      const { state, lastEnd } = await peer(node.name);
      return { ok: state !== "Established" && lastEnd?.reason.startsWith("OPEN Message Error/Bad BGP Identifier"), state, lastEnd };
    };
    await cluster.lab.waitFor(refused, LONG_MS, "the reason");
  });

  test("who has the session already is said where vip is to peer with the router itself", async () => {
    await laidOut(OUTER);
    await cluster.lab.waitFor(async () => (await publisherOn("n1").ctl("show protocols outside")).includes("Established"), LONG_MS, "the publisher's session");
    const { node } = await vipSays<{ readonly node: readonly { readonly what: string; readonly state: string; readonly detail: string }[] }>("n1", ["check"], { ...ENV, bgp_peers: "10.77.0.1:64512" });
    const fact = node.find(({ what }) => what === "BGP peer 10.77.0.1");
    expect(fact?.state).toBe("missing");
    expect(fact?.detail).toMatch(TAKEN);
    writePeers(`peers:\n- {peer-asn: ${OUTER.router}, my-asn: ${OUTER.publisher}, peer-address: 10.77.0.1}\n`);
    await cluster.lab.waitFor(async () => ({ ok: TAKEN.test((await peer("n1")).problem ?? ""), peer: await peer("n1") }), LONG_MS, "the daemon to say it, too");
    const events = async (): Promise<readonly string[]> => (await cluster.api.client.events()).flatMap(({ reason, message }) => (reason === "BgpPeerTaken" ? [String(message)] : []));
    await cluster.lab.waitFor(async () => (await events()).some((message) => /^there is no BGP session with 10\.77\.0\.1: bird \(\d+\) on this node/.test(message)), LONG_MS, "an Event of the Node");
  });
});
