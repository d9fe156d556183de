import { accessSync, readFileSync } from "node:fs";
import { isIP, isIPv6 } from "node:net";
import { basename, dirname, join } from "node:path";
import { KubeConfig, makeAbsolutePath } from "@kubernetes/client-node/dist/config.js";
import { load } from "js-yaml";
import { messageOf } from "../lib/errors.js";
import { isDenial, KubeError } from "./errors.js";
import { fieldsOf, itemsOf, textOf } from "./raw.js";

const ADMIN_CONF = "/etc/kubernetes/admin.conf";
const TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/** How to find the API server. */
export interface ConnectionConfig {
  /** Setting `k8s_config_file`: looked at before the standard places; undefined or empty: none. */
  readonly kubeconfigPath?: string | undefined;
  /** Setting `kubernetes_addr`: host, host:port or URL in place of the server of the kubeconfig. */
  readonly kubernetesAddr?: string | undefined;
  /** Files after `kubeconfigPath`, in this order. Default: /etc/kubernetes/admin.conf, $HOME/.kube/config. */
  readonly standardFiles?: readonly string[] | undefined;
  /** Put before the paths of the service account. Default: none. */
  readonly inClusterRoot?: string | undefined;
  /** The control-plane VIP that this process serves, and the port of the API server: whoever provides an address cannot rely on it. */
  readonly controlPlane?: { readonly addresses: readonly string[]; readonly port: number } | undefined;
}

/** There is no kubeconfig yet, anywhere; a broken one is a plain KubeError. */
export class NoKubeconfig extends KubeError {
  constructor(tried: readonly string[]) {
    super("config", `find a kubeconfig: ${tried.join(", ")}`);
  }
}

/** A kubeconfig that was read and has a usable context. */
export interface LoadedConfig {
  /** File name, or `in-cluster`. */
  readonly source: string;
  /** Changes whenever a reload could give something else. */
  readonly fingerprint: string;
  readonly kubeConfig: KubeConfig;
  /** The server of the kubeconfig, or `kubernetesAddr`. */
  readonly url: URL;
  /** Where requests go, the next one where one does not answer: `url`, and the API server of this machine where that is an address which this process serves. */
  readonly routes: readonly [URL, ...URL[]];
  /** Host name of the server in the kubeconfig: its certificate may also be made out to this one. */
  readonly originalHost: string;
}

const ADMIN_NAME = "admin.conf";
const SUPER_ADMIN_NAME = "super-admin.conf";

/**
 * Reads the first kubeconfig there is: `kubeconfigPath`, /etc/kubernetes/admin.conf, ~/.kube/config, the service account of the pod. A file that is
 * absent or empty (a hostPath that does not exist yet is mounted as one) is passed over; a broken one is an error, since the next could belong to
 * another cluster. With `superAdmin`, a super-admin.conf beside an admin.conf comes before it: kubeadm >= 1.29 writes it on the first node, and only it has
 * rights until `kubeadm init` has bound those of admin.conf, through the VIP. Throws a KubeError `config`; where there is no kubeconfig at all, NoKubeconfig.
 */
export function loadConnection(config: ConnectionConfig, superAdmin = false): LoadedConfig {
  const tried: string[] = [];
  for (const path of placesOf(config).flatMap((place) => (superAdmin ? withSuperAdmin(place) : [place]))) {
    const text = readIfPresent(path);
    if (typeof text === "string") return finish(config, path, { fingerprint: `${path}\n${text}`, kubeConfig: parse(path, text) });
    tried.push(`${path} (${text.absent})`);
  }
  const inCluster = loadInCluster(config.inClusterRoot ?? "");
  if (inCluster instanceof KubeConfig) return finish(config, "in-cluster", { fingerprint: "in-cluster", kubeConfig: inCluster });
  throw new NoKubeconfig([...tried, `in-cluster (${inCluster.absent})`]);
}

/** Whether `superAdmin` can give something else than this file. */
export function hasSuperAdmin(source: string): boolean {
  return basename(source) === ADMIN_NAME;
}

function withSuperAdmin(place: string): readonly string[] {
  return hasSuperAdmin(place) ? [join(dirname(place), SUPER_ADMIN_NAME), place] : [place];
}

function placesOf(config: ConnectionConfig): readonly string[] {
  const home = process.env["HOME"];
  const standard = config.standardFiles ?? [ADMIN_CONF, ...(home === undefined || home === "" ? [] : [join(home, ".kube", "config")])];
  const own = config.kubeconfigPath ?? "";
  return own === "" ? standard : [own, ...standard.filter((path) => path !== own)];
}

interface Absent {
  readonly absent: string;
}

function readIfPresent(path: string): string | Absent {
  try {
    const text = readFileSync(path, "utf8");
    return text.trim() === "" ? { absent: "empty" } : text;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes(code)) return { absent: code };
    throw new KubeError("config", `read ${path}: ${code === "" ? messageOf(error) : code}${isDenial(code) ? `: ${expectedReader()}` : ""}`, { cause: error });
  }
}

/** Who is refused most often is root in a pod, and does not expect it. */
function expectedReader(): string {
  const user = process.getuid?.() ?? 0;
  return `expected a file that user ${user} may read${user === 0 ? " (without CAP_DAC_OVERRIDE, root may read its own files and those that anybody may)" : ""}`;
}

function parse(path: string, text: string): KubeConfig {
  const kubeConfig = new KubeConfig();
  try {
    kubeConfig.loadFromString(JSON.stringify(withTokenFiles(load(text), dirname(path))));
    kubeConfig.makePathsAbsolute(dirname(path));
    return kubeConfig;
  } catch (error) {
    throw new KubeError("config", `read ${path}`, { cause: error });
  }
}

/** `tokenFile` of client-go (which KubeConfig does not know) as the auth provider that reads the file again every minute. */
function withTokenFiles(raw: unknown, folder: string): unknown {
  const users = itemsOf(fieldsOf(raw)["users"]).map((entry) => {
    const user = fieldsOf(fieldsOf(entry)["user"]);
    const tokenFile = textOf(user["tokenFile"]) ?? textOf(user["token-file"]);
    if (tokenFile === undefined) return entry;
    // client-go: the file wins over `token`.
    const { token: _token, "token-file": _file, ...others } = user;
    const provider = { name: "tokenFile", config: { tokenFile: makeAbsolutePath(folder, tokenFile) } };
    return { ...fieldsOf(entry), user: { ...others, "auth-provider": provider } };
  });
  return { ...fieldsOf(raw), users };
}

function loadInCluster(root: string): KubeConfig | Absent {
  if ((process.env["KUBERNETES_SERVICE_HOST"] ?? "") === "") return { absent: "KUBERNETES_SERVICE_HOST is not set" };
  try {
    accessSync(`${root}${TOKEN_FILE}`);
  } catch {
    return { absent: `no ${root}${TOKEN_FILE}` };
  }
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromCluster(root);
  return kubeConfig;
}

function finish(config: ConnectionConfig, source: string, loaded: Pick<LoadedConfig, "fingerprint" | "kubeConfig">): LoadedConfig {
  const { kubeConfig } = loaded;
  const server = kubeConfig.getCurrentCluster()?.server;
  if (server === undefined || kubeConfig.getCurrentUser() === null) {
    throw new KubeError("config", `read ${source}: the current context ${kubeConfig.getCurrentContext()} names no cluster and user`);
  }
  if (!URL.canParse(server)) throw new KubeError("config", `read ${source}: server ${server} is no URL`);
  const original = new URL(server);
  const url = overridden(original, config.kubernetesAddr ?? "");
  return { ...loaded, source, url, routes: routesOf(config, url), originalHost: hostOf(original) };
}

/**
 * The VIP stands nowhere until this process, or one like it, holds it. A name may stand for it or not: then the machine's own server comes second. Its
 * certificate has to be made out to the host of the kubeconfig all the same, for kubeadm's names no loopback address.
 */
function routesOf({ controlPlane, kubernetesAddr = "" }: ConnectionConfig, url: URL): LoadedConfig["routes"] {
  if (controlPlane === undefined || kubernetesAddr !== "" || url.protocol !== "https:") return [url];
  const local = new URL(url);
  local.hostname = "127.0.0.1";
  local.port = String(controlPlane.port);
  const host = hostOf(url);
  if (controlPlane.addresses.includes(host)) return [local, url];
  return isIP(host) === 0 && host !== "localhost" ? [url, local] : [url];
}

function overridden(original: URL, address: string): URL {
  if (address === "") return original;
  if (/^https?:\/\//.test(address) && URL.canParse(address)) return new URL(address);
  const text = isIPv6(address) ? `[${address}]` : address;
  const hasPort = /:\d+$/.test(text);
  const port = hasPort || original.port === "" ? "" : `:${original.port}`;
  const candidate = `${original.protocol}//${text}${port}${original.pathname}`;
  if (!URL.canParse(candidate)) throw new KubeError("config", `kubernetes_addr ${address}: neither host, host:port nor URL`);
  return new URL(candidate);
}

/** Host name of a URL, without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}
