import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { get, type Agent } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { createNft } from "../../src/linux/nft.js";
import type { Nft, NftPort, NftVip } from "../../src/ports/nft.js";
import { inNamespace, run } from "./command.js";
import { LabProcess } from "./process.js";

if (process.env["VIP_LAB"] !== "1") throw new Error("these tests change the network: run `npm test`, which gives them a network namespace of their own");

export const never = new AbortController().signal;
export const CLIENT = { ns: "nft-cl", ipv4: "10.91.0.2", ipv6: "fd91::2" } as const;
export const VIP4 = "192.0.2.10";
export const VIP6 = "2001:db8::10";
/** The node is the namespace of the tests themselves; this is its address towards the client. */
export const NODE4 = "10.91.0.1";

const POD_NS = "nft-pod";
const PODS = [11, 12, 13] as const;
const exec = promisify(execFile);

export type PodNumber = (typeof PODS)[number];

/** What a pod says of a connection. */
export interface Seen {
  readonly pod: string;
  readonly address: string;
}

/** A node with three pods, two VIPs and a client, and one Nft. */
export class NftLab implements AsyncDisposable {
  readonly nft: Nft & AsyncDisposable = createNft();
  readonly #dir = mkdtempSync(join(tmpdir(), "vip-lab-nft-"));
  readonly #pods: LabProcess[] = [];

  static async build(): Promise<NftLab> {
    await run(["sh", "-ec", SETUP]);
    const lab = new NftLab();
    for (const pod of PODS) {
      const argv = [process.execPath, "dist/lab/pod.mjs", `p${pod}`, podAddress(4, pod), podAddress(6, pod)];
      lab.#pods.push(await LabProcess.start(`p${pod}`, join(lab.#dir, `p${pod}.log`), inNamespace(POD_NS, argv)));
    }
    await Promise.all(lab.#pods.map(async (pod) => pod.waitFor(/ready/)));
    return lab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nft[Symbol.asyncDispose]();
    await Promise.all(this.#pods.map(async (pod) => pod[Symbol.asyncDispose]()));
    await run(["sh", "-ec", TEARDOWN]);
    rmSync(this.#dir, { recursive: true });
  }
}

// No duplicate address detection: an address works at once. A node of a cluster forwards.
const SETUP = `
for d in all default; do echo 0 >/proc/sys/net/ipv6/conf/$d/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/$d/dad_transmits; done
echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
ip link set lo up
for ns in ${CLIENT.ns} ${POD_NS}; do ip netns add $ns; ip -n $ns link set lo up; done
ip link add nftc type veth peer name eth0 netns ${CLIENT.ns}
ip link add nftp type veth peer name eth0 netns ${POD_NS}
ip addr add ${NODE4}/24 dev nftc; ip addr add fd91::1/64 dev nftc nodad
ip addr add 10.92.0.1/24 dev nftp; ip addr add fd92::1/64 dev nftp nodad
ip addr add ${VIP4}/32 dev nftc; ip addr add ${VIP6}/128 dev nftc nodad
ip link set nftc up; ip link set nftp up
ip -n ${CLIENT.ns} addr add ${CLIENT.ipv4}/24 dev eth0; ip -n ${CLIENT.ns} addr add ${CLIENT.ipv6}/64 dev eth0 nodad
for n in ${PODS.join(" ")}; do ip -n ${POD_NS} addr add 10.92.0.$n/24 dev eth0; ip -n ${POD_NS} addr add fd92::$n/64 dev eth0 nodad; done
for ns in ${CLIENT.ns} ${POD_NS}; do ip -n $ns link set eth0 up; done
ip -n ${CLIENT.ns} route add default via ${NODE4}; ip -n ${CLIENT.ns} route add default via fd91::1
ip -n ${POD_NS} route add default via 10.92.0.1; ip -n ${POD_NS} route add default via fd92::1
`;

const TEARDOWN = `
ip link del nftc; ip link del nftp
ip netns del ${CLIENT.ns}; ip netns del ${POD_NS}
echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
for d in all default; do echo 1 >/proc/sys/net/ipv6/conf/$d/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/$d/dad_transmits; done
`;

export function podAddress(family: 4 | 6, pod: PodNumber): string {
  return family === 4 ? `10.92.0.${pod}` : `fd92::${pod}`;
}

/** Port 80 to HTTP, 90 to TCP (the name, then the end) or 53 to UDP of these pods. */
export function port(kind: "http" | "name" | "udp", family: 4 | 6, ...pods: readonly PodNumber[]): NftPort {
  const [from, to] = ({ http: [80, 8080], name: [90, 9001], udp: [53, 9000] } as const)[kind];
  return { protocol: kind === "udp" ? "UDP" : "TCP", port: from, targets: pods.map((pod) => ({ address: ip(podAddress(family, pod)), port: to })) };
}

export function vip(address: string, ...ports: readonly NftPort[]): NftVip {
  return { key: `eth0/${address}`, address: ip(address), ports };
}

export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Asks by TCP from the client who answers; undefined where the connection is refused. */
export async function askTcp(host: string, number = 80): Promise<Seen | undefined> {
  const curl = ["curl", "-sS", "-m", "5", `http://${bracketed(host)}:${number}/source`];
  const { code, stdout, stderr } = await run(inNamespace(CLIENT.ns, curl), { mayFail: true });
  if (code === 7) return undefined; // curl: connection refused
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Seen;
}

const ASK_UDP = `const [host, port] = process.argv.slice(1);
const socket = require("node:dgram").createSocket(host.includes(":") ? "udp6" : "udp4");
socket.on("message", (message) => { console.log(message.toString()); socket.close(); clearTimeout(timer); });
const timer = setTimeout(() => { console.log("null"); socket.close(); }, 3000);
socket.send("source", Number(port), host);`;

/** Asks by UDP from the client who answers; null where nobody does. */
export async function askUdp(host: string, number = 53): Promise<Seen | null> {
  const { stdout } = await run(inNamespace(CLIENT.ns, [process.execPath, "-e", ASK_UDP, host, String(number)]));
  return JSON.parse(stdout) as Seen | null;
}

/** Asks by HTTP from the node itself, over a connection of the agent. */
export async function askFromNode(host: string, agent: Agent): Promise<string> {
  const request = get({ host, port: 80, path: "/", agent });
  const [response] = (await once(request, "response")) as [NodeJS.ReadableStream];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text.trim();
}

/** The name of the pod that answers the node itself by TCP; rejects where the connection is refused. */
export async function nameFromNode(host: string, number = 90): Promise<string> {
  const socket = connect(number, host);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

/** Runs nft(8). */
export async function nftTool(...args: readonly string[]): Promise<string> {
  return (await exec("nft", args)).stdout;
}
