import { posix } from "node:path";
import { ConfigError } from "../../config/load.js";
import type { Settings } from "../../config/settings.js";
import type { Variable } from "./given.js";
import { APP, LABEL, type Json } from "./objects.js";

/** What a manifest is made of, besides settings. */
export interface Place {
  readonly kind: "pod" | "daemonset";
  /** With a tag or a digest. */
  readonly image: string;
  /** The credentials are those of a ServiceAccount, instead of a file of the host. */
  readonly inCluster: boolean;
  /** Control-plane nodes only, whatever taints they have. */
  readonly taint: boolean;
  readonly version: string;
}

export interface PodParts {
  readonly settings: Settings;
  readonly variables: readonly Variable[];
  /** Further entries of `env`, as they are: values from elsewhere. */
  readonly extra?: readonly (Json & { readonly name: string })[];
  /** Fields of the pod's spec that come before ours: where it runs. */
  readonly spec?: Json;
}

const RUN = "/run/vip";
const KUBERNETES = "/etc/kubernetes";
/** A stop takes up to a second for a hand-over, and some more for a thousand of them (`svc_election`); the rest is for an API that is slow. */
const GRACE_SECONDS = 30;
const FIRST_OPEN_PORT = 1024;
const NODE_NAME: Json = { fieldRef: { fieldPath: "spec.nodeName" } };

/** A static pod. */
export function podOf(parts: PodParts, place: Place): Json {
  return { apiVersion: "v1", kind: "Pod", metadata: { name: APP, namespace: namespaceOf(parts.settings), labels: labels(place) }, spec: podSpec(parts, place) };
}

/** A DaemonSet that is replaced node by node. */
export function daemonSetOf(parts: PodParts, place: Place): Json {
  const matchLabels = { [LABEL]: APP };
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: APP, namespace: namespaceOf(parts.settings), labels: labels(place) },
    spec: {
      selector: { matchLabels },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
      template: { metadata: { labels: labels(place) }, spec: podSpec(parts, place) },
    },
  };
}

/** Where the program and its Leases are. */
export function namespaceOf({ controlPlaneNamespace }: Settings): string {
  return controlPlaneNamespace ?? "kube-system";
}

function labels({ version }: Place): Json {
  return { [LABEL]: APP, "app.kubernetes.io/version": version };
}

function podSpec(parts: PodParts, place: Place): Json {
  const folders = hostFolders(parts.settings, place);
  return {
    ...(place.inCluster ? { serviceAccountName: APP } : { automountServiceAccountToken: false }),
    hostNetwork: true,
    // Names of VIPs are asked of the node's own servers: those of the cluster may be behind a VIP.
    dnsPolicy: "Default",
    priorityClassName: "system-node-critical",
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: { seccompProfile: { type: "RuntimeDefault" } },
    ...(place.taint ? controlPlaneOnly() : {}),
    ...parts.spec,
    containers: [container(parts, place, folders)],
    volumes: folders.map(({ name, path, made }) => ({ name, hostPath: { path, type: made ? "DirectoryOrCreate" : "Directory" } })),
  };
}

function container({ settings, variables, extra = [] }: PodParts, { image }: Place, folders: readonly Folder[]): Json {
  return {
    name: APP,
    image,
    imagePullPolicy: "IfNotPresent",
    args: ["start"],
    env: environment(variables, extra),
    ...probes(settings),
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "512Mi" } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      // Capabilities reach only root without ambient ones, which Kubernetes cannot give.
      runAsUser: 0,
      capabilities: { add: capabilities(settings), drop: ["ALL"] },
    },
    volumeMounts: folders.map(({ name, path, made }) => ({ name, mountPath: path, ...(made ? {} : { readOnly: true }) })),
  };
}

/** A name of its own for every node, unless one is given. */
function environment(variables: readonly Variable[], extra: Required<PodParts>["extra"]): readonly Json[] {
  // Kubernetes puts the values of other variables where it finds `$(NAME)`; `$$` stands for the sign itself.
  const plain: readonly Json[] = variables.map(({ name, value }) => ({ name, value: value.replaceAll("$", "$$$$") }));
  const named = [...variables, ...extra].some(({ name }) => name === "vip_nodename");
  return [...plain, ...extra, ...(named ? [] : [{ name: "vip_nodename", valueFrom: NODE_NAME }])];
}

/** NET_BIND_SERVICE where something is to listen on a port below 1024, SYS_NICE for the thread of BFD. */
export function capabilities({ prometheusServer, bgp, bgpListenPort }: Settings): readonly string[] {
  const port = Number(/:(\d+)$/.exec(prometheusServer ?? "")?.[1] ?? FIRST_OPEN_PORT);
  return ["NET_ADMIN", "NET_RAW", ...(port < FIRST_OPEN_PORT || (bgp && bgpListenPort < FIRST_OPEN_PORT) ? ["NET_BIND_SERVICE"] : []), ...(bgp ? ["SYS_NICE"] : [])];
}

function probes({ healthCheckPort: port }: Settings): Json {
  if (port === 0) return {};
  const probe = (path: string): Json => ({ httpGet: { path, port }, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 });
  return { livenessProbe: probe("/livez"), readinessProbe: probe("/readyz") };
}

interface Folder {
  readonly name: string;
  readonly path: string;
  /** Made on the host where it is missing, and written to. */
  readonly made: boolean;
}

/** Folders, never files: a file that is replaced by a new one of its name stays the old one inside of the container. */
function hostFolders(settings: Settings, { inCluster }: Place): readonly Folder[] {
  const control = mountable(settings.controlDirectory ?? RUN, "vip_control_dir");
  const read = [
    ...(inCluster ? [] : [folderOf(settings.kubeconfig ?? `${KUBERNETES}/admin.conf`, "k8s_config_file")]),
    ...(settings.bgpConfigFile === undefined ? [] : [folderOf(settings.bgpConfigFile, "bgp_config_file")]),
    ...(settings.bgpPasswordFile === undefined ? [] : [folderOf(settings.bgpPasswordFile, "bgp_peerpass_file")]),
    ...(settings.healthCaPath === undefined ? [] : [folderOf(settings.healthCaPath, "control_plane_health_check_ca_path")]),
  ];
  return [
    { name: "run", path: RUN, made: true },
    ...(control === RUN ? [] : [{ name: "control", path: control, made: true }]),
    ...[...new Set(read)].map((path, index) => ({ name: index === 0 ? "kubernetes" : `kubernetes-${index}`, path, made: false })),
  ];
}

/** /etc/kubernetes for all that is below it. */
function folderOf(path: string, name: string): string {
  return path.startsWith(`${KUBERNETES}/`) ? KUBERNETES : mountable(posix.dirname(path), name);
}

/** The folder can stand in the container where it stands on the node. */
function mountable(folder: string, name: string): string {
  const path = posix.normalize(folder).replace(/(?<=.)\/$/, "");
  if (path === "/" || !path.startsWith("/") || path.includes(":")) throw new ConfigError([`${name}: expected an absolute path, not in the root directory and without colons, for its folder is mounted into the container: "${folder}"`]);
  return path;
}

/** As kube-vip's `--taint`: the nodes of the control plane, by either of its labels, tolerating everything. */
function controlPlaneOnly(): Json {
  const label = (key: string): Json => ({ matchExpressions: [{ key, operator: "Exists" }] });
  const nodeSelectorTerms = [label("node-role.kubernetes.io/master"), label("node-role.kubernetes.io/control-plane")];
  return {
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
    tolerations: ["NoSchedule", "NoExecute"].map((effect) => ({ effect, operator: "Exists" })),
  };
}
