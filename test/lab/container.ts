import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "js-yaml";
import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";

/** What is read of a Pod's spec. */
export interface PodSpec {
  readonly containers: readonly [ContainerSpec];
  readonly volumes: readonly { readonly name: string; readonly hostPath: { readonly path: string; readonly type: string } }[];
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
}

interface ContainerSpec {
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } } }[];
  readonly securityContext: { readonly allowPrivilegeEscalation: boolean; readonly readOnlyRootFilesystem: boolean; readonly runAsUser: number; readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

/** Where kubelet puts the files of the ServiceAccount. */
export const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The spec of the only Pod or DaemonSet of a manifest. */
export function podSpecOf(manifest: string): PodSpec {
  const { kind, spec } = load(manifest) as { readonly kind: string; readonly spec: PodSpec & { readonly template: { readonly spec: PodSpec } } };
  if (kind !== "Pod" && kind !== "DaemonSet") throw new Error(`a ${kind} has no pod`);
  return kind === "Pod" ? spec : spec.template.spec;
}

/** A folder that stands for a path of the node's own file system. */
export function hostFolder(lab: Lab, node: string, path: string): string {
  return join(lab.dir, node, "host", path);
}

/** $1 is the folder for the root, $2 the binary; then `host:path:options` up to `--`, then the command. */
const RUN = `
set -e
root=$1 vip=$2; shift 2
mount -t tmpfs container "$root"
cd "$root"
mkdir -p usr proc sys dev etc run var/run
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
mount --rbind -o ro /usr usr
mount --rbind /proc proc
mount --rbind /sys sys
mount --rbind /dev dev
touch vip etc/resolv.conf
mount --bind -o ro "$vip" vip
mount --bind -o ro /etc/resolv.conf etc/resolv.conf
while [ "$1" != -- ]; do
  IFS=: read -r host path options <<END
$1
END
  mkdir -p ".$path"
  mount --bind "$host" ".$path"
  mount -o "remount,bind,$options" ".$path"
  shift
done
shift
mount -o remount,ro "$root"
exec chroot "$root" "$@"
`;

/**
 * Runs the container of a pod as its manifest says: its environment and nothing else, its user and capabilities, a root that is read-only, and what it mounts
 * of the node. Fails, as kubelet does, where a folder of type Directory is not there.
 */
export async function startContainer(lab: Lab, { node, spec, service = {} }: { readonly node: string; readonly spec: PodSpec; readonly service?: Readonly<Record<string, string>> }): Promise<LabProcess> {
  const { args, env, securityContext: context, volumeMounts } = spec.containers[0];
  const root = join(lab.dir, node, `root-${lab.now()}`);
  mkdirSync(root, { recursive: true });
  const mounts = volumeMounts.map(({ name, mountPath, readOnly = false }) => {
    const volume = spec.volumes.find((one) => one.name === name);
    if (volume === undefined) throw new Error(`there is no volume ${name}`);
    const host = hostFolder(lab, node, volume.hostPath.path);
    if (volume.hostPath.type === "DirectoryOrCreate") mkdirSync(host, { recursive: true });
    return `${host}:${mountPath}:${readOnly ? "ro" : "rw"}`;
  });
  const account = spec.serviceAccountName === undefined ? [] : [`${hostFolder(lab, node, ACCOUNT)}:${ACCOUNT}:ro`];
  const given = env.map(({ name, value, valueFrom }) => `${name}=${valueFrom === undefined ? (value ?? "").replaceAll("$$", "$") : fieldOf(node, valueFrom.fieldRef.fieldPath)}`);
  const inside = [
    "setpriv",
    `--reuid=${context.runAsUser}`,
    `--regid=${context.runAsUser}`,
    "--clear-groups",
    ...(context.allowPrivilegeEscalation ? [] : ["--no-new-privs"]),
    "--inh-caps=-all",
    `--bounding-set=${[...context.capabilities.drop.map((name) => `-${name.toLowerCase()}`), ...context.capabilities.add.map((name) => `+${name.toLowerCase()}`)].join(",")}`,
    "env",
    "-i",
    ...Object.entries(service).map(([name, value]) => `${name}=${value}`),
    ...given,
    "/vip",
    ...args,
  ];
  return await lab.spawn(node, ["unshare", "--mount", "sh", "-c", RUN, "container", root, lab.built("vip"), ...mounts, ...account, "--", ...inside], { name: `container-${node}` });
}

function fieldOf(node: string, path: string): string {
  if (path !== "spec.nodeName") throw new Error(`kubelet is not asked for ${path} here`);
  return node;
}

/** The files of a ServiceAccount on a node, made from a kubeconfig. */
export function writeAccount(lab: Lab, node: string, kubeconfig: string): void {
  const { clusters, users } = load(kubeconfig) as { readonly clusters: readonly [{ readonly cluster: Readonly<Record<string, string>> }]; readonly users: readonly [{ readonly user: { readonly token: string } }] };
  const folder = hostFolder(lab, node, ACCOUNT);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "token"), users[0].user.token);
  writeFileSync(join(folder, "ca.crt"), Buffer.from(clusters[0].cluster["certificate-authority-data"] ?? "", "base64"));
  writeFileSync(join(folder, "namespace"), "kube-system");
}
